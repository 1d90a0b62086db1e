//! How staged blocks become a blob.

use std::collections::BTreeMap;

use super::content::Block;
use super::encryption::{Encryption, expect_same};
use super::limits::{BLOCKS_COMMITTED_MAX, BLOCKS_STAGED_MAX};
use super::rejection::BlobRejection;

/// Where a block list looks for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSource {
    /// Among the blocks the blob is made of.
    Committed,
    /// Among the blocks staged since.
    Uncommitted,
    /// Staged if there, else committed.
    Latest,
}

/// Blocks that were staged for one blob and wait for their list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// How many.
    pub n_blocks: usize,
    /// Characters in the id of each of them.
    pub id_length: usize,
    /// What all of them were written with.
    pub encryption: Option<Encryption>,
}

/// Decides whether a block called `id`, written with `given`, may be staged beside the others,
/// if there are any.
pub fn admit(
    id: &str,
    given: Option<&Encryption>,
    others: Option<&Staged>,
) -> Result<(), BlobRejection> {
    match others {
        Some(Staged { id_length, .. }) if *id_length != id.len() => {
            Err(BlobRejection::BlockIdLengthDiffers { id: id.to_owned() })
        }
        Some(Staged { n_blocks, .. }) if *n_blocks >= BLOCKS_STAGED_MAX => {
            Err(BlobRejection::TooManyStagedBlocks { n_blocks: *n_blocks })
        }
        Some(Staged { encryption, .. }) => expect_same(encryption.as_ref(), given),
        None => Ok(()),
    }
}

/// Decides whether a request that brings `given` may list these blocks: it brings the key that
/// the staged ones were written with, and that of the blob if it lists blocks of it.
pub fn admit_list(
    list: &[(BlockSource, String)],
    given: Option<&Encryption>,
    (committed_with, staged_with): (Option<&Encryption>, Option<&Encryption>),
    staged: &[Block],
) -> Result<(), BlobRejection> {
    if !staged.is_empty() {
        expect_same(staged_with, given)?;
    }
    match expect_same(committed_with, given) {
        Err(_) if commit(list, &[], staged).is_ok() => Ok(()),
        decided => decided,
    }
}

/// Decides which blocks the blob is made of from now on; order and repeats are the list's.
pub fn commit(
    list: &[(BlockSource, String)],
    committed: &[Block],
    staged: &[Block],
) -> Result<Vec<Block>, BlobRejection> {
    if list.len() > BLOCKS_COMMITTED_MAX {
        return Err(BlobRejection::BlockListTooLong { n_blocks: list.len() });
    }
    let index = |blocks: &'_ [Block]| -> BTreeMap<String, Block> {
        blocks
            .iter()
            .filter(|block| !block.id.is_empty())
            .map(|block| (block.id.clone(), block.clone()))
            .collect()
    };
    let (committed, staged) = (index(committed), index(staged));
    let mut chosen = Vec::with_capacity(list.len());
    for (source, id) in list {
        let (found, searched) = match source {
            BlockSource::Committed => (committed.get(id), "committed"),
            BlockSource::Uncommitted => (staged.get(id), "uncommitted"),
            BlockSource::Latest => (staged.get(id).or_else(|| committed.get(id)), "latest"),
        };
        let Some(block) = found else {
            return Err(BlobRejection::BlockNotFound { id: id.clone(), searched });
        };
        chosen.push(block.clone());
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::super::content::ExtentId;
    use super::{Block, BlockSource, Encryption, Staged, admit, admit_list, commit};

    fn blocks(text: &str) -> Vec<Block> {
        text.split_whitespace()
            .map(|word| {
                let (id, extent) = word.split_once(':').expect("id:extent");
                let extent = extent.parse().expect("a number");
                let id = if id == "-" { String::new() } else { id.to_owned() };
                Block { id, extent: ExtentId(extent), offset: 0, size_bytes: 1 }
            })
            .collect()
    }

    fn check(list: &str, expected: &str) {
        let list: Vec<_> = list
            .split_whitespace()
            .map(|word| {
                let (source, id) = word.split_at(1);
                let source = match source {
                    "c" => BlockSource::Committed,
                    "u" => BlockSource::Uncommitted,
                    _ => BlockSource::Latest,
                };
                (source, id.to_owned())
            })
            .collect();
        let found = match commit(&list, &blocks("A:1 B:2 -:9"), &blocks("B:3 C:4")) {
            Ok(chosen) => chosen
                .iter()
                .map(|block| format!("{}:{}", block.id, block.extent.0))
                .collect::<Vec<_>>()
                .join(" "),
            Err(rejection) => rejection.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn rules_of_committing() {
        check("", "");
        check("lA lB lC", "A:1 B:3 C:4");
        check("cB uB cA cA", "B:2 B:3 A:1 A:1");
        check("cC", "block `C` is not among the committed blocks of this blob");
        check("uA", "block `A` is not among the uncommitted blocks of this blob");
        check("lD", "block `D` is not among the latest blocks of this blob");
    }

    #[test]
    fn a_long_list_is_refused() {
        let list = vec![(BlockSource::Latest, "A".to_owned()); 50_001];
        assert!(commit(&list, &blocks("A:1"), &[]).is_err());
    }

    #[test]
    fn ids_of_one_blob_have_one_length() {
        let others = |n_blocks, id_length| Staged { n_blocks, id_length, encryption: None };
        assert!(admit("AAAA", None, None).is_ok());
        assert!(admit("AAAA", None, Some(&others(1, 4))).is_ok());
        assert!(admit("AAAA", None, Some(&others(1, 8))).is_err());
        assert!(admit("AAAA", None, Some(&others(100_000, 4))).is_err());
    }

    #[test]
    fn blocks_of_one_blob_have_one_key() {
        let key = |name: &str| Encryption::Key(name.to_owned());
        let others = |encryption| Staged { n_blocks: 1, id_length: 4, encryption };
        assert!(admit("AAAA", Some(&key("k")), None).is_ok());
        assert!(admit("AAAA", Some(&key("k")), Some(&others(Some(key("k"))))).is_ok());
        for (given, kept) in [(Some("k"), Some("l")), (None, Some("k")), (Some("k"), None)] {
            let (given, kept) = (given.map(key), others(kept.map(key)));
            assert!(admit("AAAA", given.as_ref(), Some(&kept)).is_err(), "{given:?} {kept:?}");
        }
    }

    #[test]
    fn who_lists_blocks_brings_their_key() {
        let check = |ids: &str, staged: &str, keys: [&str; 3], expected: bool| {
            let list: Vec<_> =
                ids.split(' ').map(|id| (BlockSource::Latest, id.to_owned())).collect();
            let [given, committed, staged_with] = keys
                .map(|name| Some(Encryption::Key(name.to_owned())).filter(|_| !name.is_empty()));
            let written_with = (committed.as_ref(), staged_with.as_ref());
            let found = admit_list(&list, given.as_ref(), written_with, &blocks(staged));
            assert_eq!(found.is_ok(), expected, "{ids} {keys:?}");
        };
        check("A B", "B:2", ["k", "k", "k"], true);
        check("A B", "B:2", ["l", "k", "l"], false);
        check("A B", "B:2", ["", "k", ""], false);
        check("B", "B:2", ["l", "k", "l"], true);
        check("B", "B:2", ["", "k", ""], true);
        check("B", "B:2", ["", "k", "k"], false);
        check("B", "B:2", ["k", "k", ""], false);
        check("A", "", ["k", "k", ""], true);
        check("A", "", ["k", "", ""], false);
    }
}
