//! How staged blocks become a blob.

use std::collections::BTreeMap;

use super::content::Block;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// How many.
    pub n_blocks: usize,
    /// Characters in the id of each of them.
    pub id_length: usize,
}

/// Decides whether a block called `id` may be staged beside the others, if there are any.
pub fn admit(id: &str, others: Option<Staged>) -> Result<(), BlobRejection> {
    match others {
        Some(Staged { id_length, .. }) if id_length != id.len() => {
            Err(BlobRejection::BlockIdLengthDiffers { id: id.to_owned() })
        }
        Some(Staged { n_blocks, .. }) if n_blocks >= BLOCKS_STAGED_MAX => {
            Err(BlobRejection::TooManyStagedBlocks { n_blocks })
        }
        Some(_) | None => Ok(()),
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
    use super::{Block, BlockSource, Staged, admit, commit};

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
        let others = |n_blocks, id_length| Some(Staged { n_blocks, id_length });
        assert!(admit("AAAA", None).is_ok());
        assert!(admit("AAAA", others(1, 4)).is_ok());
        assert!(admit("AAAA", others(1, 8)).is_err());
        assert!(admit("AAAA", others(100_000, 4)).is_err());
    }
}
