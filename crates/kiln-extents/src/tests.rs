//! The suite of all places of extents, in those that this process has, and what it takes their
//! inside to show.

#[path = "../tests/suite/mod.rs"]
mod suite;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use crate::{Hold, Inventory, ObjectPlace};
use suite::{Place, get, is_gone, put, sweep};

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
    let runtime = suite::runtime();
    for place in places {
        runtime.block_on(test(place));
    }
}

#[test]
fn what_is_written_is_read() {
    everywhere("what_is_written_is_read", suite::what_is_written_is_read);
}

#[test]
fn slices_join_across_extents() {
    everywhere("slices_join_across_extents", suite::slices_join_across_extents);
}

#[test]
fn reading_past_the_end_fails() {
    everywhere("reading_past_the_end_fails", suite::reading_past_the_end_fails);
}

#[test]
fn an_upload_given_up_leaves_nothing() {
    everywhere("an_upload_given_up_leaves_nothing", suite::an_upload_given_up_leaves_nothing);
}

#[test]
fn removing_waits_for_readers() {
    everywhere("removing_waits_for_readers", suite::removing_waits_for_readers);
}

#[test]
fn a_sweep_removes_what_nobody_names_and_spares_this_run() {
    everywhere(
        "a_sweep_removes_what_nobody_names_and_spares_this_run",
        suite::a_sweep_removes_what_nobody_names_and_spares_this_run,
    );
}

#[test]
fn run_numbers_are_not_used_twice() {
    everywhere("run_numbers_are_not_used_twice", suite::run_numbers_are_not_used_twice);
}

#[test]
fn an_inventory_has_all_and_changes_nothing() {
    everywhere(
        "an_inventory_has_all_and_changes_nothing",
        suite::an_inventory_has_all_and_changes_nothing,
    );
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
