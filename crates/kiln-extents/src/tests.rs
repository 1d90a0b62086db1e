//! One suite for all places that extents can be in.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use crate::{ExtentFailure, Extents, FileId, Hold, Inventory, Kept, ObjectPlace};

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

/// A place for extents; opening it again finds what was there.
enum Place {
    Folder(PathBuf),
    Objects(ObjectPlace),
}

impl Place {
    async fn open(&self) -> Extents {
        match self {
            Self::Folder(root) => Extents::open(root).expect("opened"),
            Self::Objects(place) => Extents::open_objects(place).await.expect("opened"),
        }
    }

    fn inventory(&self) -> Inventory {
        match self {
            Self::Folder(root) => Inventory::of_folder(root),
            Self::Objects(place) => Inventory::of_objects(place),
        }
    }
}

/// Runs a test in each kind of place.
fn everywhere(name: &str, test: impl AsyncFn(Place)) {
    let scratch = Scratch::new(name);
    let local = scratch.0.join("objects");
    fs::create_dir_all(&local).expect("a directory");
    let objects = |name: &str, store: Arc<dyn ObjectStore>| {
        Place::Objects(ObjectPlace::new(name, store, "some/prefix"))
    };
    let local = LocalFileSystem::new_with_prefix(&local).expect("a store");
    let places = [
        Place::Folder(scratch.0.join("folder")),
        objects("memory", Arc::new(InMemory::new())),
        objects("local", Arc::new(local)),
    ];
    // The work that waits for objects blocks a thread, and they answer on another.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    let runtime = runtime.expect("a runtime");
    for place in places {
        runtime.block_on(test(place));
    }
}

/// Blocks a thread that may, as the server does.
fn sweep(extents: &Extents, unnamed: impl Fn(&FileId) -> bool + Sync) -> (u64, u64) {
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
async fn is_gone(extents: &Extents, id: FileId) -> bool {
    for _ in 0..1000 {
        if get(extents, vec![(id, 0, 1)]).await.is_err() {
            return true;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    false
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
    everywhere("round", async |place| {
        let extents = place.open().await;
        for size in [0, 1, 4096, 512 * 1024, 3_000_001, 20_000_003] {
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
    everywhere("slices", async |place| {
        let extents = place.open().await;
        let all = content(1_200_000);
        let first = put(&extents, &all[..700_000], 65_536).await;
        let second = put(&extents, &all[700_000..], 65_536).await;
        let slices = vec![(first.id, 100_000, 600_000), (second.id, 0, 300_000)];
        assert_eq!(get(&extents, slices).await.expect("read"), all[100_000..1_000_000]);
    });
}

#[test]
fn reading_past_the_end_fails() {
    everywhere("short", async |place| {
        let extents = place.open().await;
        let kept = put(&extents, &content(10), 10).await;
        assert!(get(&extents, vec![(kept.id, 0, 11)]).await.is_err());
    });
}

#[test]
fn an_upload_given_up_leaves_nothing() {
    everywhere("dropped", async |place| {
        let extents = place.open().await;
        for size in [10, 20_000_000] {
            let mut upload = extents.upload();
            upload.write(Bytes::from(content(size))).await.expect("written");
            let kept = upload.finish().await.expect("durable");
            drop(upload);
            assert!(is_gone(&extents, kept.id).await);
        }
    });
}

#[test]
fn removing_waits_for_readers() {
    everywhere("pinned", async |place| {
        let extents = place.open().await;
        let kept = put(&extents, &content(10), 10).await;
        let pin = extents.pin(vec![kept.id]);
        extents.remove(vec![kept.id]).await;
        assert!(get(&extents, vec![(kept.id, 0, 10)]).await.is_ok());
        drop(pin);
        assert!(is_gone(&extents, kept.id).await);
    });
}

#[test]
fn a_sweep_removes_what_nobody_names_and_spares_this_run() {
    everywhere("sweep", async |place| {
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
    });
}

#[test]
fn run_numbers_are_not_used_twice() {
    everywhere("runs", async |place| {
        let first = place.open().await;
        let kept = put(&first, &content(5), 5).await;
        let second = place.open().await;
        sweep(&second, |_| true);
        let third = place.open().await;
        assert_ne!(put(&third, &content(5), 5).await.id, kept.id);
    });
}

#[test]
fn an_inventory_has_all_and_changes_nothing() {
    everywhere("inventory", async |place| {
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
    });
}

#[test]
fn places_are_parsed_and_do_not_show_their_keys() {
    let options = [("azure_storage_account_name", "a"), ("azure_storage_account_key", "c2VjcmV0")];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let place = ObjectPlace::parse("az://container/prefix/", options).expect("a place");
    assert_eq!(place.name(), "az://container/prefix");
    assert!(!format!("{place:?}").contains("c2VjcmV0"));
    assert!(ObjectPlace::parse("nowhere", []).is_err());
}

#[test]
fn nothing_is_removed_while_it_is_held() {
    let scratch = Scratch::new("hold-lock");
    fs::create_dir_all(&scratch.0).expect("a directory");
    let lock = scratch.0.join("lock");
    everywhere("hold", async |place| {
        let extents = place.open().await.with_lock(lock.clone());
        let (one, two) = (put(&extents, b"one", 3).await, put(&extents, b"two", 3).await);
        let hold = Hold::take(&lock).expect("a lock").expect("free");
        assert!(Hold::take(&lock).expect("a lock").is_none(), "it is had once");
        extents.remove(vec![one.id]).await;
        let pin = extents.pin(vec![two.id]);
        extents.remove(vec![two.id]).await;
        drop(pin);
        for (kept, content) in [(&one, b"one"), (&two, b"two")] {
            assert_eq!(get(&extents, vec![(kept.id, 0, 3)]).await.expect("there"), content);
        }
        // The next opening finds them without a name.
        let later = place.open().await.with_lock(lock.clone());
        assert_eq!(sweep(&later, |_| true), (2, 2));
        assert_eq!(get(&extents, vec![(one.id, 0, 3)]).await.expect("there"), b"one");
        drop(hold);
        extents.remove(Vec::new()).await;
        assert!(is_gone(&extents, one.id).await && is_gone(&extents, two.id).await);
    });
}

#[test]
fn copies_are_whole_and_made_once() {
    let scratch = Scratch::new("copy-target");
    everywhere("copy", async |place| {
        fs::remove_dir_all(&scratch.0).ok();
        let extents = place.open().await;
        let mut kept = Vec::new();
        for content in [&b"one"[..], b"second", &[7; 700_000]] {
            kept.push((put(&extents, content, 100_000).await, content));
        }
        let wanted = |n: usize| kept.iter().take(n).map(|(it, _)| (it.id, it.size_bytes)).collect();
        let copy = |n: usize| {
            let (inventory, wanted) = (place.inventory(), wanted(n));
            let runtime = tokio::runtime::Handle::current();
            let root = scratch.0.clone();
            std::thread::scope(|scope| {
                let copying = scope.spawn(|| {
                    let _runtime = runtime.enter();
                    let mut n_told = 0;
                    let copied = inventory.copy_to(&root, &wanted, |n_bytes| n_told += n_bytes);
                    copied.map(|copied| (copied.n_files, copied.n_bytes, n_told))
                });
                copying.join().expect("no panic").expect("copied")
            })
        };
        assert_eq!(copy(2), (2, 9, 9));
        assert_eq!(copy(3), (1, 700_000, 700_009));
        // One that is not whole is none.
        let [.., (_, content)] = kept.as_slice() else { panic!("three") };
        let path = crate::path_of(&scratch.0, kept[2].0.id);
        fs::write(&path, b"cut").expect("written");
        assert_eq!(copy(3), (1, 700_000, 700_009));
        assert_eq!(fs::read(&path).expect("read"), *content);
        let copies = Inventory::of_folder(&scratch.0);
        copies.remove_others(&wanted(1)).expect("removed");
        let left = copies.sizes().expect("listed");
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [(kept[0].0.id, 3)]);
    });
}
