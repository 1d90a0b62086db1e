//! What becomes of the state of a blob that a change replaces.

use super::content::{Blob, Deletion};
use super::edition::Edition;
use super::rejection::BlobRejection;
use super::settings::StorageSettings;
use crate::time::Timestamp;

/// Why the present state of a blob ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Other content takes its place.
    Overwritten,
    /// What is attached to it changes, and its content stays.
    Changed,
    /// It is deleted.
    Deleted,
}

/// How a state is kept as part of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the past.
    pub edition: Edition,
    /// Set when it can be brought back only for a while, and is not seen until then.
    pub deleted: Option<Deletion>,
}

/// Decides whether the present state of `blob` may end at `now`, whether it is kept then, and
/// how.
///
/// A version has the id of its state, which it had before; what deletion retention keeps is
/// a snapshot of what was overwritten, or the blob itself. A state that is protected ends only
/// if it lives on as a version.
pub fn keep(
    blob: &Blob,
    settings: &StorageSettings,
    cause: Cause,
    now: Timestamp,
) -> Result<Option<Kept>, BlobRejection> {
    if settings.keeps_versions || blob.details.version_at.is_some() {
        let version_at = blob.details.version_at.unwrap_or(blob.modified_at);
        return Ok(Some(Kept { edition: Edition::Version(version_at), deleted: None }));
    }
    blob.details.protection.admit_change(now)?;
    let edition = match cause {
        Cause::Overwritten => Edition::Snapshot(now),
        Cause::Deleted => Edition::Deleted(now),
        Cause::Changed => return Ok(None),
    };
    let deletion = settings.blob_deletion(now);
    Ok(deletion.map(|deleted| Kept { edition, deleted: Some(deleted) }))
}

#[cfg(test)]
mod tests {
    use super::{Cause, StorageSettings, keep};
    use crate::blob::content::Blob;
    use crate::blob::immutability::Protection;
    use crate::blob::kind::BlobKind;
    use crate::time::Timestamp;

    fn check(settings: &StorageSettings, version_at: Option<i64>, expected: [&str; 3]) {
        check_under(Protection::default(), settings, version_at, expected);
    }

    fn check_under(
        protection: Protection,
        settings: &StorageSettings,
        version_at: Option<i64>,
        expected: [&str; 3],
    ) {
        let mut blob = Blob::new("b".to_owned(), BlobKind::Block, Timestamp(5));
        blob.details.version_at = version_at.map(Timestamp);
        blob.details.protection = protection;
        let causes = [Cause::Overwritten, Cause::Changed, Cause::Deleted];
        let found = causes.map(|cause| match keep(&blob, settings, cause, Timestamp(9)) {
            Err(_) => "refused".to_owned(),
            Ok(None) => "nothing".to_owned(),
            Ok(Some(kept)) => {
                let moment = kept.edition.moment().map_or(0, |at| at.0);
                let word = format!("{:?}", kept.edition);
                let word = word.split('(').next().unwrap_or_default().to_owned();
                format!("{word} {moment}{}", if kept.deleted.is_some() { " deleted" } else { "" })
            }
        });
        assert_eq!(found, expected.map(str::to_owned));
    }

    #[test]
    fn what_is_kept_depends_on_the_account() {
        let off = StorageSettings::default();
        let soft = StorageSettings { blobs_kept_days: Some(7), ..StorageSettings::default() };
        let versions = StorageSettings { keeps_versions: true, ..StorageSettings::default() };
        check(&off, None, ["nothing"; 3]);
        check(&soft, None, ["Snapshot 9 deleted", "nothing", "Deleted 9 deleted"]);
        check(&versions, None, ["Version 5"; 3]);
        check(&versions, Some(3), ["Version 3"; 3]);
        // Versions were switched off since: the last one is still kept.
        check(&off, Some(3), ["Version 3"; 3]);
        let held = Protection { has_legal_hold: true, ..Protection::default() };
        check_under(held, &off, None, ["refused"; 3]);
        check_under(held, &soft, None, ["refused"; 3]);
        check_under(held, &versions, None, ["Version 5"; 3]);
    }
}
