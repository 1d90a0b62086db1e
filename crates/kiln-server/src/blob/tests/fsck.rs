//! Names held against bytes, and what a check says of damage.

use std::path::{Path, PathBuf};

use super::{World, noise, run};
use crate::blob::fsck::{Damage, Depth, Report, check};

/// Everything of a Kiln that has ended, and what a check of it says.
async fn checked(directory: &Path, depth: Depth) -> Report {
    let directory = directory.to_owned();
    let checking = tokio::task::spawn_blocking(move || check(&directory, None, depth, |_| {}));
    checking.await.expect("no panic").expect("a report")
}

/// What a check finds, in order: damage and place.
async fn findings(directory: &Path, depth: Depth) -> Vec<(Damage, String)> {
    let report = checked(directory, depth).await;
    assert_eq!(report.n_findings, u64::try_from(report.findings.len()).expect("few"));
    let mut found: Vec<_> = report.findings.into_iter().map(|it| (it.damage, it.place)).collect();
    found.sort();
    found
}

/// The largest file, which is that of the largest blob.
fn file_of(directory: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![directory.join("extents")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let size = |path: &PathBuf| std::fs::metadata(path).expect("a file").len();
    files.into_iter().max_by_key(size).expect("a file")
}

async fn world() -> World {
    let world = World::new().await;
    world.container("cont").await;
    world.put("/cont/large", noise(200_000)).await;
    world.put("/cont/other", noise(100_000)).await;
    world.put("/cont/small", "small").await;
    world.send("PUT /cont/large?comp=snapshot", "").await;
    world.send("PUT /cont/up?comp=block&blockid=AAAA", noise(50_000)).await;
    world
}

const LARGE: &str = "devstoreaccount1/cont/large";

#[test]
fn a_whole_kiln_is_whole() {
    run(async {
        let world = world().await;
        let mut upload = world.service.extents.upload();
        upload.write(noise(70_000)).await.expect("written");
        upload.finish().await.expect("durable");
        upload.keep();
        let report = checked(&world.directory, Depth::Content).await;
        assert_eq!(report.findings, []);
        assert_eq!((report.n_blobs, report.n_staged, report.n_extents), (4, 1, 4));
        assert_eq!((report.n_files, report.file_bytes), (3, 350_000));
        assert_eq!((report.n_unnamed, report.unnamed_bytes), (1, 70_000));
    });
}

#[test]
fn damage_is_found_and_named() {
    run(async {
        let world = world().await;
        let file = file_of(&world.directory);
        let content = std::fs::read(&file).expect("read");
        // The snapshot has the same bytes, and so the same damage.
        let of_large = |found: Vec<(Damage, String)>, damage| {
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(found.iter().all(|it| it.0 == damage && it.1.starts_with(LARGE)), "{found:?}");
        };

        let mut flipped = content.clone();
        flipped[150_000] ^= 1;
        std::fs::write(&file, flipped).expect("written");
        assert_eq!(findings(&world.directory, Depth::Names).await, []);
        of_large(findings(&world.directory, Depth::Content).await, Damage::Checksum);

        std::fs::write(&file, &content[..100]).expect("written");
        of_large(findings(&world.directory, Depth::Names).await, Damage::Size);

        std::fs::remove_file(&file).expect("removed");
        of_large(findings(&world.directory, Depth::Names).await, Damage::NoBytes);

        std::fs::write(&file, &content).expect("written");
        assert_eq!(findings(&world.directory, Depth::Content).await, []);
    });
}

#[test]
fn counts_that_are_wrong_are_found() {
    run(async {
        let world = world().await;
        let wrong = world.service.store.write(|tx| -> Result<_, kiln_store::StoreError> {
            let mut uses = kiln_store::ExtentUses::default();
            let key = tx.container("devstoreaccount1", "cont")?.expect("there").key;
            let extent = tx.blob_blocks(key, "other", None)?[0].extent;
            uses.add(extent);
            tx.apply_extent_uses(uses)?;
            Ok(extent)
        });
        let extent = wrong.await.expect("written");
        let found = findings(&world.directory, Depth::Names).await;
        assert_eq!(found, [(Damage::UseCount, format!("extent {}", extent.0))]);
    });
}
