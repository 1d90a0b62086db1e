//! What may be appended to an append blob.

use super::content::Blob;
use super::kind::BlobKind;
use super::limits::BLOCKS_APPENDED_MAX;
use super::rejection::BlobRejection;

/// What an append makes its success depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendConditions {
    /// Bytes that the blob may have afterwards.
    pub size_bytes_max: Option<u64>,
    /// Bytes that the blob must have before.
    pub position: Option<u64>,
}

/// Decides whether `length` bytes may be appended to `blob`.
pub fn admit(blob: &Blob, length: u64, conditions: AppendConditions) -> Result<(), BlobRejection> {
    blob.kind.expect(BlobKind::Append)?;
    if conditions.position.is_some_and(|position| position != blob.size_bytes) {
        return Err(BlobRejection::AppendPositionNotMet { size_bytes: blob.size_bytes });
    }
    let size_bytes = blob.size_bytes.saturating_add(length);
    if conditions.size_bytes_max.is_some_and(|max| size_bytes > max) {
        return Err(BlobRejection::MaxBlobSizeNotMet { size_bytes });
    }
    if blob.details.is_sealed {
        return Err(BlobRejection::Sealed { name: blob.name.clone() });
    }
    if blob.details.n_appended >= BLOCKS_APPENDED_MAX {
        return Err(BlobRejection::TooManyAppendedBlocks { n_blocks: blob.details.n_appended });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{AppendConditions, Blob, BlobKind, admit};
    use crate::time::Timestamp;

    fn check(change: impl FnOnce(&mut Blob), max: Option<u64>, position: Option<u64>, word: &str) {
        let mut blob = Blob::new("b".to_owned(), BlobKind::Append, Timestamp(1));
        blob.size_bytes = 10;
        change(&mut blob);
        let conditions = AppendConditions { size_bytes_max: max, position };
        let found = match admit(&blob, 5, conditions) {
            Ok(()) => "ok".to_owned(),
            Err(rejection) => format!("{rejection:?}").split(' ').next().unwrap_or("").to_owned(),
        };
        assert_eq!(found, word);
    }

    #[test]
    fn rules_of_appending() {
        check(|_| {}, None, None, "ok");
        check(|_| {}, Some(15), Some(10), "ok");
        check(|_| {}, Some(14), None, "MaxBlobSizeNotMet");
        check(|_| {}, None, Some(9), "AppendPositionNotMet");
        check(|blob| blob.details.is_sealed = true, None, None, "Sealed");
        check(|blob| blob.details.n_appended = 50_000, None, None, "TooManyAppendedBlocks");
        check(|blob| blob.kind = BlobKind::Block, None, None, "WrongKind");
    }
}
