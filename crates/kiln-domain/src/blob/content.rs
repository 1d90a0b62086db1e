//! A blob: what is known of it and which extents hold its bytes.

use serde::{Deserialize, Serialize};

use super::condition::Face;
use super::edition::Edition;
use super::encryption::Encryption;
use super::immutability::Protection;
use super::kind::BlobKind;
use super::lease::Lease;
use super::metadata::Metadata;
use super::rejection::BlobRejection;
use super::tags::Tags;
use super::tier::{Tier, TierState};
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
    /// Where they begin in the extent.
    pub offset: u64,
    /// How many bytes.
    pub size_bytes: u64,
}

/// The number of the list of pieces that an append or page blob is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceListId(pub i64);

/// A run of bytes of an append or page blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte in the blob.
    pub start: u64,
    /// Where its bytes are.
    pub slice: Slice,
}

/// One edition of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its name within the container.
    pub name: String,
    /// Which state of the blob this is.
    pub edition: Edition,
    /// What it is made of.
    pub kind: BlobKind,
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
    /// What it can be found by.
    pub tags: Tags,
    /// Who alone may change it.
    pub lease: Option<Lease>,
    /// What few blobs have.
    pub details: BlobDetails,
    /// Of an append or page blob: its pieces.
    pub pieces: Option<PieceListId>,
    /// Set when it was deleted and can still be brought back.
    pub deleted: Option<Deletion>,
}

impl Blob {
    /// An empty blob that comes to be at `now`.
    pub fn new(name: String, kind: BlobKind, now: Timestamp) -> Self {
        Self {
            name,
            edition: Edition::Current,
            kind,
            created_at: now,
            modified_at: now,
            size_bytes: 0,
            properties: ContentProperties::default(),
            metadata: Metadata::default(),
            tags: Tags::default(),
            lease: None,
            details: BlobDetails::default(),
            pieces: None,
            deleted: None,
        }
    }

    /// The tier it is in; that of the account when nobody chose one.
    pub fn tier(&self) -> Tier {
        self.details.tier.map_or(Tier::Hot, |state| state.tier)
    }

    /// Decides whether its content may be read or changed.
    pub fn expect_online(&self) -> Result<(), BlobRejection> {
        if self.tier() == Tier::Archive {
            Err(BlobRejection::Archived { name: self.name.clone() })
        } else {
            Ok(())
        }
    }

    /// What conditions look at.
    pub fn face(&self) -> Face {
        Face { modified_at: self.modified_at }
    }
}

/// That something was deleted and is kept for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When.
    pub deleted_at: Timestamp,
    /// When it is gone for good.
    pub purge_at: Timestamp,
}

/// What few blobs have; what is absent is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlobDetails {
    /// Where somebody put it, when not the account's usual tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierState>,
    /// The copy that the content came from, or is to come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyRecord>,
    /// Of a page blob: a number that clients count with.
    #[serde(skip_serializing_if = "is_zero")]
    pub sequence_number: u64,
    /// Of an append blob: blocks appended.
    #[serde(skip_serializing_if = "is_none_appended")]
    pub n_appended: u32,
    /// Of an append blob: that it takes no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_sealed: bool,
    /// In an account that keeps versions: the id of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_at: Option<Timestamp>,
    /// Of a page blob that is made by incremental copies alone: its snapshot by the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental: Option<Timestamp>,
    /// The key or scope that the client brought for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What keeps it as it is.
    #[serde(skip_serializing_if = "Protection::is_none")]
    pub protection: Protection,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none_appended(n_appended: &u32) -> bool {
    *n_appended == 0
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
}

/// A copy that brought a blob its content, or is to bring it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRecord {
    /// Name of the copy.
    pub id: String,
    /// The address it was copied from, as the client gave it.
    pub source: String,
    /// Bytes of the source.
    pub size_bytes: u64,
    /// Bytes copied so far.
    #[serde(default)]
    pub copied_bytes: Option<u64>,
    /// How it stands.
    #[serde(default)]
    pub status: CopyStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was done; while it is pending, when it began.
    pub completed_at: Timestamp,
}

/// How a copy stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyStatus {
    /// Under way.
    Pending,
    /// Done.
    #[default]
    Success,
    /// Given up on a client's word.
    Aborted,
    /// Given up because the source could not be read.
    Failed,
}

impl CopyStatus {
    /// Azure's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
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
            let offset = block.offset + (from - at);
            found.push(Slice { extent: block.extent, offset, length: to - from });
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
            .map(|(size, id)| Block {
                id: String::new(),
                extent: ExtentId(id),
                offset: if id == 4 { 100 } else { 0 },
                size_bytes: *size,
            })
            .collect();
        let found: Vec<_> = slices(&blocks, offset, length)
            .iter()
            .map(|slice| (slice.extent.0, slice.offset, slice.length))
            .collect();
        assert_eq!(found, expected, "{offset}+{length}");
    }

    #[test]
    fn ranges_cross_blocks() {
        check(0, 35, &[(1, 0, 10), (3, 0, 5), (4, 100, 20)]);
        check(0, 10, &[(1, 0, 10)]);
        check(9, 2, &[(1, 9, 1), (3, 0, 1)]);
        check(12, 20, &[(3, 2, 3), (4, 100, 17)]);
        check(34, 1, &[(4, 119, 1)]);
        check(35, 1, &[]);
        check(0, 0, &[]);
    }
}
