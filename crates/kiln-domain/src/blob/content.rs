//! A blob: what is known of it and which extents hold its bytes.

use serde::{Deserialize, Serialize};

use super::condition::Face;
use super::metadata::Metadata;
use crate::time::Timestamp;

/// A run of bytes somebody keeps: a row's id, not a file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtentId(pub i64);

/// One block of a blob, in the place its list gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Base64 text as the client sent it; empty for content that came in one piece.
    pub id: String,
    /// Where its bytes are.
    pub extent: ExtentId,
    /// How many bytes.
    pub size_bytes: u64,
}

/// A block blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its name within the container.
    pub name: String,
    /// When a blob of this name came to be; overwriting keeps it.
    pub created_at: Timestamp,
    /// Time of the last change; the entity tag is made of it.
    pub modified_at: Timestamp,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Headers kept with the content.
    pub properties: ContentProperties,
    /// What users attached.
    pub metadata: Metadata,
}

impl Blob {
    /// What conditions look at.
    pub fn face(&self) -> Face {
        Face { modified_at: self.modified_at }
    }
}

/// Headers kept with the content and repeated when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentProperties {
    /// `Content-Type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-MD5`, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// The access tier the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The copy that the content came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyRecord>,
}

/// A copy that brought a blob its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRecord {
    /// Name of the copy.
    pub id: String,
    /// The address it was copied from, as the client gave it.
    pub source: String,
    /// Bytes copied.
    pub size_bytes: u64,
    /// When it was done.
    pub completed_at: Timestamp,
}

/// A part of one extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Whose bytes.
    pub extent: ExtentId,
    /// First byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// The slices that hold `length` bytes from `offset` of a blob made of `blocks`.
pub fn slices(blocks: &[Block], offset: u64, length: u64) -> Vec<Slice> {
    let end = offset.saturating_add(length);
    let mut at = 0_u64;
    let mut found = Vec::new();
    for block in blocks {
        let block_end = at.saturating_add(block.size_bytes);
        let (from, to) = (offset.max(at), end.min(block_end));
        if from < to {
            found.push(Slice { extent: block.extent, offset: from - at, length: to - from });
        }
        at = block_end;
        if at >= end {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Block, ExtentId, slices};

    fn check(offset: u64, length: u64, expected: &[(i64, u64, u64)]) {
        let blocks: Vec<Block> = [10, 0, 5, 20]
            .iter()
            .zip(1..)
            .map(|(size, id)| Block { id: String::new(), extent: ExtentId(id), size_bytes: *size })
            .collect();
        let found: Vec<_> = slices(&blocks, offset, length)
            .iter()
            .map(|slice| (slice.extent.0, slice.offset, slice.length))
            .collect();
        assert_eq!(found, expected, "{offset}+{length}");
    }

    #[test]
    fn ranges_cross_blocks() {
        check(0, 35, &[(1, 0, 10), (3, 0, 5), (4, 0, 20)]);
        check(0, 10, &[(1, 0, 10)]);
        check(9, 2, &[(1, 9, 1), (3, 0, 1)]);
        check(12, 20, &[(3, 2, 3), (4, 0, 17)]);
        check(34, 1, &[(4, 19, 1)]);
        check(35, 1, &[]);
        check(0, 0, &[]);
    }
}
