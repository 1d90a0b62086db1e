//! Containers, blobs, staged blocks and extents as the store keeps them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use kiln_domain::blob::block::Staged;
use kiln_domain::blob::container::{Container, PublicAccess, StoredPolicy};
use kiln_domain::blob::content::{
    Blob, BlobDetails, Block, ContentProperties, ExtentId, Piece, Slice,
};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::encryption::Encryption;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::blob::tags::Tags;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, ExtentPlace, ExtentUses, Store, StoreError, Tx};

struct Scratch {
    store: Store,
    directory: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kiln-store-blob-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::remove_dir_all(&directory).ok();
        std::fs::create_dir_all(&directory).expect("a directory");
        let store = Store::open(&directory, Box::new(|_| {})).expect("a store");
        Self { store, directory }
    }

    fn write<T: Send + 'static>(
        &self,
        op: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.store.write(op)).expect("written")
    }
}

fn container(name: &str) -> Container {
    let pair = ("Key".to_owned(), "välue".to_owned());
    Container {
        name: name.to_owned(),
        modified_at: Timestamp(7),
        metadata: Metadata::admit([pair]).expect("allowed"),
        public_access: PublicAccess::Blob,
        policies: vec![StoredPolicy { id: "p".to_owned(), ..StoredPolicy::default() }],
        lease: None,
        deleted: None,
    }
}

fn blob(name: &str) -> Blob {
    Blob {
        name: name.to_owned(),
        edition: Edition::Current,
        kind: BlobKind::Block,
        created_at: Timestamp(1),
        modified_at: Timestamp(2),
        size_bytes: 3,
        properties: ContentProperties { encoding: Some("x".to_owned()), ..Default::default() },
        metadata: Metadata::default(),
        tags: Tags::default(),
        lease: None,
        details: BlobDetails::default(),
        pieces: None,
        deleted: None,
    }
}

fn block(id: &str, extent: ExtentId) -> Block {
    Block { id: id.to_owned(), extent, offset: 0, size_bytes: 3 }
}

/// A container called `name`, made in `tx`.
fn make(tx: &mut Tx<'_>, name: &str) -> Result<ContainerKey, StoreError> {
    tx.insert_container("acct", &container(name))?;
    Ok(tx.container("acct", name)?.expect("just made").key)
}

#[test]
fn a_container_comes_back_as_it_was() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        make(tx, "b")?;
        make(tx, "a")?;
        let second = tx.insert_container("acct", &container("a")).expect_err("refused");
        assert!(second.is_duplicate());
        let found = tx.container("acct", "a")?.expect("there");
        assert_eq!(found.container, container("a"));
        assert_eq!(tx.container("other", "a")?, None);
        let changed = Container { public_access: PublicAccess::Private, ..container("a") };
        tx.update_container(found.key, &changed)?;
        let all = |from: &[u8]| -> Result<Vec<Container>, StoreError> {
            Ok(tx.containers("acct", from, 9)?.into_iter().map(|it| it.container).collect())
        };
        assert_eq!(all(b"")?, [changed, container("b")]);
        assert_eq!(all(b"a\0")?, [container("b")]);
        Ok(())
    });
}

#[test]
fn a_deleted_name_is_free_at_once() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let first = make(tx, "a")?;
        tx.put_blob(first, &blob("b"), &[])?;
        tx.mark_container_deleted(first)?;
        assert_eq!(tx.container("acct", "a")?, None);
        let second = make(tx, "a")?;
        assert_ne!(first, second);
        assert_eq!(tx.blob(second, "b")?, None);
        assert_eq!(tx.deleted_containers()?, [first]);
        let mut uses = ExtentUses::default();
        assert_eq!(tx.take_blobs(first, 9, &mut uses)?, 1);
        assert_eq!(tx.take_blobs(first, 9, &mut uses)?, 0);
        tx.delete_container(first)?;
        assert_eq!(tx.deleted_containers()?, []);
        Ok(())
    });
}

#[test]
fn blobs_sort_by_bytes() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let key = make(tx, "a")?;
        for name in ["é", "a/b", "Z", "a", "\u{10FFFF}", "a!"] {
            tx.put_blob(key, &blob(name), &[])?;
        }
        let names = |from: &[u8], limit| -> Result<Vec<String>, StoreError> {
            Ok(tx.blobs(key, from, limit)?.into_iter().map(|blob| blob.name).collect())
        };
        assert_eq!(names(b"", 9)?, ["Z", "a", "a!", "a/b", "é", "\u{10FFFF}"]);
        assert_eq!(names(b"a\x30", 1)?, ["é"]);
        assert_eq!(names(b"\xF5", 9)?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn content_is_replaced_and_counted() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let key = make(tx, "a")?;
        let inline = tx.insert_extent(&ExtentPlace::Inline(b"abc".to_vec()))?;
        let file = tx.insert_extent(&ExtentPlace::File(77))?;
        let blocks = [block("AAAA", inline), block("BBBB", file), block("AAAA", inline)];
        tx.put_blob(key, &blob("b"), &blocks)?;
        assert_eq!(tx.blob(key, "b")?, Some(blob("b")));
        assert_eq!(tx.blob_blocks(key, "b", None)?, blocks);
        assert_eq!(tx.blob_blocks(key, "none", None)?, []);
        let mut uses = ExtentUses::default();
        for block in &blocks {
            uses.add(block.extent);
        }
        assert!(tx.apply_extent_uses(uses)?.is_empty());
        assert_eq!(tx.extent_place(file)?, Some(ExtentPlace::File(77)));
        assert_eq!(tx.unnamed_files(&[76, 77, 78])?, [76, 78]);
        let mut uses = ExtentUses::default();
        uses.remove(inline);
        uses.remove(file);
        assert_eq!(tx.apply_extent_uses(uses)?, [77]);
        assert_eq!(tx.extent_place(file)?, None);
        assert_eq!(tx.extent_place(inline)?, Some(ExtentPlace::Inline(b"abc".to_vec())));
        Ok(())
    });
}

#[test]
fn staged_blocks_are_replaced_listed_and_taken() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let key = make(tx, "a")?;
        let [one, two, three] = [1, 2, 3].map(|file| tx.insert_extent(&ExtentPlace::File(file)));
        let (one, two, three) = (one?, two?, three?);
        assert_eq!(tx.staged(key, "b")?, None);
        let encryption = Encryption::Key("hash".to_owned());
        let at = |moment| (Some(&encryption), Timestamp(moment));
        assert_eq!(tx.put_staged_block(key, "b", &block("BBBB", one), at(5))?, None);
        assert_eq!(tx.put_staged_block(key, "b", &block("AAAA", two), at(6))?, None);
        let replaced = tx.put_staged_block(key, "b", &block("BBBB", three), at(7))?;
        assert_eq!(replaced, Some(one));
        let encryption = Some(encryption.clone());
        let staged = Staged { n_blocks: 2, id_length: 4, encryption };
        assert_eq!(tx.staged(key, "b")?, Some(staged));
        assert_eq!(tx.staged_blocks(key, "b")?, [block("AAAA", two), block("BBBB", three)]);
        let names: Vec<String> =
            tx.uncommitted_names(key, b"", 9)?.into_iter().map(|found| found.0).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(tx.stale_uploads(Timestamp(7), 9)?, []);
        assert_eq!(tx.stale_uploads(Timestamp(8), 9)?, [(key, "b".to_owned())]);
        tx.put_blob(key, &blob("b"), &[])?;
        assert_eq!(tx.uncommitted_names(key, b"", 9)?, []);
        assert_eq!(tx.take_staged_blocks(key, "b")?.len(), 2);
        assert_eq!(tx.take_staged_blocks(key, "b")?.len(), 0);
        assert_eq!(tx.staged(key, "b")?, None);
        Ok(())
    });
}

#[test]
fn the_past_lies_beside_the_present() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let key = make(tx, "a")?;
        let at = |name: &str, edition| Blob { edition, ..blob(name) };
        for (name, edition) in [
            ("b", Edition::Snapshot(Timestamp(20))),
            ("b", Edition::Current),
            ("b", Edition::Version(Timestamp(10))),
            ("a", Edition::Deleted(Timestamp(30))),
            ("c", Edition::Snapshot(Timestamp(5))),
        ] {
            tx.put_blob(key, &at(name, edition), &[])?;
        }
        assert_eq!(tx.blobs(key, b"", 9)?, [blob("b")]);
        let past = |from, moment| -> Result<Vec<Edition>, StoreError> {
            let found = tx.past_blobs(key, (from, Timestamp(moment)), 9)?;
            Ok(found.into_iter().map(|blob| blob.edition).collect())
        };
        let (ten, twenty) = (Edition::Version(Timestamp(10)), Edition::Snapshot(Timestamp(20)));
        let five = Edition::Snapshot(Timestamp(5));
        assert_eq!(past(b"", 0)?, [Edition::Deleted(Timestamp(30)), ten, twenty, five]);
        assert_eq!(past(b"b", 11)?, [twenty, five]);
        assert_eq!(tx.past_of_blob(key, "b")?, [at("b", ten), at("b", twenty)]);
        assert_eq!(tx.blob_at(key, "b", Some(Timestamp(20)))?, Some(at("b", twenty)));
        assert_eq!(tx.blob_at(key, "b", Some(Timestamp(21)))?, None);
        tx.delete_blob(key, "b", Some(Timestamp(20)))?;
        assert_eq!(tx.blob(key, "b")?, Some(blob("b")));
        assert_eq!(tx.past_of_blob(key, "b")?, [at("b", ten)]);
        Ok(())
    });
}

#[test]
fn pieces_are_found_copied_and_released() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let key = make(tx, "a")?;
        let extent = tx.insert_extent(&ExtentPlace::File(77))?;
        let list = tx.insert_piece_list()?;
        let piece = |start| Piece { start, slice: Slice { extent, offset: 0, length: 10 } };
        let mut uses = ExtentUses::default();
        for start in [0, 10, 30] {
            tx.put_piece(list, &piece(start))?;
            uses.add(extent);
        }
        tx.apply_extent_uses(uses)?;
        let starts = |list, start, end, limit| -> Result<Vec<u64>, StoreError> {
            Ok(tx.pieces(list, start, end, limit)?.into_iter().map(|it| it.start).collect())
        };
        assert_eq!(starts(list, 0, 40, 9)?, [0, 10, 30]);
        assert_eq!(starts(list, 9, 11, 9)?, [0, 10]);
        assert_eq!(starts(list, 10, 30, 9)?, [10]);
        assert_eq!(starts(list, 20, 30, 9)?, Vec::<u64>::new());
        assert_eq!(starts(list, 0, 40, 2)?, [0, 10]);
        let copy = tx.copy_piece_list(list)?;
        let first = Blob { pieces: Some(list), kind: BlobKind::Page, ..blob("b") };
        tx.put_blob(key, &first, &[])?;
        let mut uses = ExtentUses::default();
        tx.release_content(key, &first, &mut uses)?;
        assert!(tx.apply_extent_uses(uses)?.is_empty());
        assert_eq!(tx.pieces(list, 0, 40, 9)?, []);
        assert_eq!(tx.pieces(copy, 0, 40, 9)?.len(), 3);
        let second = Blob { pieces: Some(copy), ..first };
        let mut uses = ExtentUses::default();
        tx.release_content(key, &second, &mut uses)?;
        assert_eq!(tx.apply_extent_uses(uses)?, [77]);
        Ok(())
    });
}

#[test]
fn blobs_are_found_by_their_tags() {
    let scratch = Scratch::new();
    scratch.write(|tx| {
        let key = make(tx, "a")?;
        let tagged = |name: &str, value: &str| {
            let pair = ("k".to_owned(), value.to_owned());
            Blob { tags: Tags::admit([pair]).expect("allowed"), ..blob(name) }
        };
        for (name, value) in [("x", "1"), ("y", "2"), ("z", "1")] {
            tx.put_blob(key, &tagged(name, value), &[])?;
        }
        let found = |tx: &Tx<'_>, from| -> Result<Vec<String>, StoreError> {
            let found = tx.tagged(key, "k", from, 9)?;
            Ok(found.into_iter().map(|(value, name)| value + &name).collect())
        };
        assert_eq!(found(tx, ("", b""))?, ["1x", "1z", "2y"]);
        assert_eq!(found(tx, ("1", b"y"))?, ["1z", "2y"]);
        assert!(tx.tagged(key, "j", ("", b""), 9)?.is_empty());
        tx.update_blob(key, &tagged("x", "2"))?;
        tx.delete_blob(key, "z", None)?;
        assert_eq!(found(tx, ("", b""))?, ["2x", "2y"]);
        assert_eq!(tx.blob(key, "x")?, Some(tagged("x", "2")));
        Ok(())
    });
}
