//! What every place of extents promises, whatever it is. It is tried in places of this process by
//! `src/tests.rs` and in servers of others by the example `extents_suite`.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use kiln_extents::{ExtentFailure, Extents, FileId, Inventory, Kept, ObjectPlace};
use md5::{Digest, Md5};

/// A place for extents; opening it again finds what was there.
pub(crate) enum Place {
    Folder(PathBuf),
    Objects(ObjectPlace),
}

impl Place {
    pub(crate) async fn open(&self) -> Extents {
        match self {
            Self::Folder(root) => Extents::open(root).expect("opened"),
            Self::Objects(place) => Extents::open_objects(place).await.expect("opened"),
        }
    }

    pub(crate) fn inventory(&self) -> Inventory {
        match self {
            Self::Folder(root) => Inventory::of_folder(root),
            Self::Objects(place) => Inventory::of_objects(place),
        }
    }
}

/// The work that waits for objects blocks a thread, and they answer on another.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime")
}

/// Blocks a thread that may, as the server does.
pub(crate) fn sweep(extents: &Extents, unnamed: impl Fn(&FileId) -> bool + Sync) -> (u64, u64) {
    let swept = std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| {
            extents.sweep(|ids| {
                Ok::<_, ExtentFailure>(ids.iter().copied().filter(|id| unnamed(id)).collect())
            })
        });
        sweeping.join().expect("no panic").expect("swept")
    });
    (swept.n_seen, swept.n_removed)
}

/// Waits until an extent is gone: what is dropped goes a little later.
pub(crate) async fn is_gone(extents: &Extents, id: FileId) -> bool {
    for _ in 0..1000 {
        if get(extents, vec![(id, 0, 1)]).await.is_err() {
            return true;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    false
}

pub(crate) async fn put(extents: &Extents, content: &[u8], step: usize) -> Kept {
    let mut upload = extents.upload();
    for bytes in content.chunks(step) {
        upload.write(Bytes::copy_from_slice(bytes)).await.expect("written");
    }
    let kept = upload.finish().await.expect("durable");
    upload.keep();
    kept
}

pub(crate) async fn get(
    extents: &Extents,
    slices: Vec<(FileId, u64, u64)>,
) -> Result<Vec<u8>, ExtentFailure> {
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

pub(crate) async fn what_is_written_is_read(place: Place) {
    let extents = place.open().await;
    for size in [0, 1, 4096, 512 * 1024, 3_000_001, 20_000_003] {
        let content = content(size);
        let kept = put(&extents, &content, 70_000).await;
        assert_eq!(kept.md5, <[u8; 16]>::from(Md5::digest(&content)));
        let length = u64::try_from(size).expect("small");
        assert_eq!(kept.size_bytes, length);
        assert_eq!(get(&extents, vec![(kept.id, 0, length)]).await.expect("read"), content);
    }
}

pub(crate) async fn slices_join_across_extents(place: Place) {
    let extents = place.open().await;
    let all = content(1_200_000);
    let (one, two) = all.split_at(700_000);
    let first = put(&extents, one, 65_536).await;
    let second = put(&extents, two, 65_536).await;
    let slices = vec![(first.id, 100_000, 600_000), (second.id, 0, 300_000)];
    let expected = all.get(100_000..1_000_000).expect("inside");
    assert_eq!(get(&extents, slices).await.expect("read"), expected);
}

pub(crate) async fn reading_past_the_end_fails(place: Place) {
    let extents = place.open().await;
    let kept = put(&extents, &content(10), 10).await;
    assert!(get(&extents, vec![(kept.id, 0, 11)]).await.is_err());
}

pub(crate) async fn an_upload_given_up_leaves_nothing(place: Place) {
    let extents = place.open().await;
    for size in [10, 20_000_000] {
        let mut upload = extents.upload();
        upload.write(Bytes::from(content(size))).await.expect("written");
        let kept = upload.finish().await.expect("durable");
        drop(upload);
        assert!(is_gone(&extents, kept.id).await);
    }
}

pub(crate) async fn removing_waits_for_readers(place: Place) {
    let extents = place.open().await;
    let kept = put(&extents, &content(10), 10).await;
    let pin = extents.pin(vec![kept.id]);
    extents.remove(vec![kept.id]).await;
    assert!(get(&extents, vec![(kept.id, 0, 10)]).await.is_ok());
    drop(pin);
    assert!(is_gone(&extents, kept.id).await);
}

pub(crate) async fn a_sweep_removes_what_nobody_names_and_spares_this_run(place: Place) {
    let before = place.open().await;
    let named = put(&before, &content(5), 5).await;
    let unnamed = put(&before, &content(6), 6).await;
    drop(before);

    let extents = place.open().await;
    let fresh = put(&extents, &content(7), 7).await;
    let swept = sweep(&extents, |id| {
        assert_ne!(*id, fresh.id);
        *id != named.id
    });
    assert_eq!(swept, (2, 1));
    assert!(get(&extents, vec![(named.id, 0, 5), (fresh.id, 0, 7)]).await.is_ok());
    assert!(get(&extents, vec![(unnamed.id, 0, 6)]).await.is_err());
}

pub(crate) async fn run_numbers_are_not_used_twice(place: Place) {
    let first = place.open().await;
    let kept = put(&first, &content(5), 5).await;
    let second = place.open().await;
    sweep(&second, |_| true);
    let third = place.open().await;
    assert_ne!(put(&third, &content(5), 5).await.id, kept.id);
}

pub(crate) async fn an_inventory_has_all_and_changes_nothing(place: Place) {
    let extents = place.open().await;
    let mut kept = Vec::new();
    for size in [1, 9_000_000] {
        kept.push(put(&extents, &content(size), 70_000).await);
    }
    drop(extents);
    let inventory = place.inventory();
    let mut found = std::thread::scope(|scope| {
        let listing = scope.spawn(|| {
            let mut found = Vec::new();
            inventory.each(|id, size_bytes| found.push((id, size_bytes))).expect("listed");
            found
        });
        listing.join().expect("no panic")
    });
    found.sort_unstable();
    let expected: Vec<_> = kept.iter().map(|kept| (kept.id, kept.size_bytes)).collect();
    assert_eq!(found, expected);
    for kept in kept {
        let digest = inventory.digest(kept.id, kept.size_bytes).await.expect("read");
        assert_eq!(digest.md5, kept.md5);
    }
}
