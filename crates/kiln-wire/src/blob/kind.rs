//! What kinds of blobs are called on the wire.

use kiln_domain::blob::kind::BlobKind;

/// Azure's name of a kind.
pub fn name(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Block => "BlockBlob",
        BlobKind::Append => "AppendBlob",
        BlobKind::Page => "PageBlob",
    }
}

/// The kind called `name`.
pub fn parse(name: &str) -> Option<BlobKind> {
    match name {
        "BlockBlob" => Some(BlobKind::Block),
        "AppendBlob" => Some(BlobKind::Append),
        "PageBlob" => Some(BlobKind::Page),
        _ => None,
    }
}
