//! The engine against a real directory.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::{ExtentFailure, Extents, FileId, Kept};

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kiln-extents-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

async fn put(extents: &Extents, content: &[u8], step: usize) -> Kept {
    let mut upload = extents.upload();
    for bytes in content.chunks(step) {
        upload.write(Bytes::copy_from_slice(bytes)).await.expect("written");
    }
    let kept = upload.finish().await.expect("durable");
    upload.keep();
    kept
}

async fn get(extents: &Extents, slices: Vec<(FileId, u64, u64)>) -> Result<Vec<u8>, ExtentFailure> {
    let pin = Arc::new(extents.pin(slices.iter().map(|(id, ..)| *id).collect()));
    let mut stream = extents.read(slices, pin);
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await {
        all.extend_from_slice(&bytes?);
    }
    Ok(all)
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from(n * 7 % 251).expect("below 251")).collect()
}

#[test]
fn what_is_written_is_read() {
    let scratch = Scratch::new("round");
    run(async {
        let extents = Extents::open(&scratch.0).expect("opened");
        for size in [0, 1, 4096, 512 * 1024, 3_000_001] {
            let content = content(size);
            let kept = put(&extents, &content, 70_000).await;
            assert_eq!(kept.md5, <[u8; 16]>::from(Md5::digest(&content)));
            let length = u64::try_from(size).expect("small");
            assert_eq!(kept.size_bytes, length);
            assert_eq!(get(&extents, vec![(kept.id, 0, length)]).await.expect("read"), content);
        }
    });
}

#[test]
fn slices_join_across_extents() {
    let scratch = Scratch::new("slices");
    run(async {
        let extents = Extents::open(&scratch.0).expect("opened");
        let all = content(1_200_000);
        let first = put(&extents, &all[..700_000], 65_536).await;
        let second = put(&extents, &all[700_000..], 65_536).await;
        let slices = vec![(first.id, 100_000, 600_000), (second.id, 0, 300_000)];
        assert_eq!(get(&extents, slices).await.expect("read"), all[100_000..1_000_000]);
    });
}

#[test]
fn an_upload_given_up_leaves_nothing() {
    let scratch = Scratch::new("dropped");
    run(async {
        let extents = Extents::open(&scratch.0).expect("opened");
        let mut upload = extents.upload();
        upload.write(Bytes::from(content(10))).await.expect("written");
        let kept = upload.finish().await.expect("durable");
        drop(upload);
        let missing = get(&extents, vec![(kept.id, 0, 10)]).await.expect_err("gone");
        assert!(missing.is_missing());
    });
}

#[test]
fn removing_waits_for_readers() {
    let scratch = Scratch::new("pinned");
    run(async {
        let extents = Extents::open(&scratch.0).expect("opened");
        let kept = put(&extents, &content(10), 10).await;
        let pin = extents.pin(vec![kept.id]);
        extents.remove(vec![kept.id]).await;
        assert!(get(&extents, vec![(kept.id, 0, 10)]).await.is_ok());
        drop(pin);
        assert!(get(&extents, vec![(kept.id, 0, 10)]).await.is_err());
    });
}

#[test]
fn a_sweep_removes_what_nobody_names_and_spares_this_run() {
    let scratch = Scratch::new("sweep");
    run(async {
        let before = Extents::open(&scratch.0).expect("opened");
        let named = put(&before, &content(5), 5).await;
        let unnamed = put(&before, &content(6), 6).await;
        drop(before);

        let extents = Extents::open(&scratch.0).expect("opened again");
        let fresh = put(&extents, &content(7), 7).await;
        let swept = extents
            .sweep(|ids| {
                assert!(!ids.contains(&fresh.id));
                let unnamed = ids.iter().copied().filter(|id| *id != named.id).collect();
                Ok::<_, ExtentFailure>(unnamed)
            })
            .expect("swept");
        assert_eq!((swept.n_seen, swept.n_removed), (2, 1));
        assert!(get(&extents, vec![(named.id, 0, 5), (fresh.id, 0, 7)]).await.is_ok());
        assert!(get(&extents, vec![(unnamed.id, 0, 6)]).await.is_err());
    });
}

#[test]
fn run_numbers_are_not_used_twice() {
    let scratch = Scratch::new("runs");
    run(async {
        let first = Extents::open(&scratch.0).expect("opened");
        let kept = put(&first, &content(5), 5).await;
        let second = Extents::open(&scratch.0).expect("opened again");
        second.sweep(|ids| Ok::<_, ExtentFailure>(ids.to_vec())).expect("swept");
        let third = Extents::open(&scratch.0).expect("opened a third time");
        assert_ne!(put(&third, &content(5), 5).await.id, kept.id);
    });
}
