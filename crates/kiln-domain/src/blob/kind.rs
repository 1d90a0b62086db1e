//! The three kinds of blobs.

use serde::{Deserialize, Serialize};

use super::rejection::BlobRejection;

/// What a blob is made of, which decides how it may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlobKind {
    /// Blocks, put together by a list.
    #[default]
    Block,
    /// Bytes that only grow at the end.
    Append,
    /// Pages of 512 bytes that are written in any order.
    Page,
}

impl BlobKind {
    /// Decides whether an operation for blobs of the kind `wanted` fits this one.
    pub fn expect(self, wanted: Self) -> Result<(), BlobRejection> {
        if self == wanted { Ok(()) } else { Err(BlobRejection::WrongKind { found: self, wanted }) }
    }
}
