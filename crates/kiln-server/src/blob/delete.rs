//! Deleting blobs, their snapshots and versions, and bringing them back.

use kiln_domain::blob::content::{Blob, Deletion};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::history::Cause;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, ExtentUses, Tx};
use kiln_wire::blob::error::BlobError;

use super::answer::Answer;
use super::call::{At, Call, Spot};
use super::failure::Failure;
use super::guard::Guard;
use super::{history, read};
use crate::http::Response;

/// What becomes of the snapshots of a blob that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshots {
    /// There must be none.
    Forbid,
    /// They are deleted too.
    Include,
    /// They are deleted, the blob is not.
    Only,
}

/// What a deletion did.
struct Deleted {
    freed: Vec<u64>,
    is_permanent: bool,
}

/// `DELETE /CONTAINER/BLOB`, a snapshot or a version of it.
pub(super) async fn delete(call: &Call) -> Answer {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let snapshots = snapshots(call)?;
    let is_permanent = is_permanent(call)?;
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<Deleted, Failure> {
        let settings = tx.storage_settings(&spot.account)?;
        let now = stamps.next();
        match (spot.at, is_permanent) {
            (At::Now, true) => Err(not_for_the_present()),
            (At::Now, false) => delete_present(tx, &spot, &guard, snapshots, (&settings, now)),
            (At::Snapshot(_) | At::Version(_), true) => {
                delete_for_good(tx, &spot, (&settings, now))
            }
            (At::Snapshot(_) | At::Version(_), false) => {
                delete_past(tx, &spot, &guard, (&settings, now))
            }
        }
    };
    let deleted = call.service.store.write(op).await?;
    call.service.remove_files(deleted.freed).await;
    let is_permanent = if deleted.is_permanent { "true" } else { "false" };
    Ok(Response::new(202).with_header("x-ms-delete-type-permanent", is_permanent))
}

fn snapshots(call: &Call) -> Result<Snapshots, BlobError> {
    let name = "x-ms-delete-snapshots";
    match call.headers().get(name) {
        None => Ok(Snapshots::Forbid),
        Some(text) if text.eq_ignore_ascii_case("include") => Ok(Snapshots::Include),
        Some(text) if text.eq_ignore_ascii_case("only") => Ok(Snapshots::Only),
        Some(other) => Err(BlobError::invalid_header(name, other)),
    }
}

fn is_permanent(call: &Call) -> Result<bool, BlobError> {
    let name = "deletetype";
    match call.parameter(name) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("permanent") => Ok(true),
        Some(other) => Err(BlobError::invalid_parameter(name, other, "Permanent is expected")),
    }
}

fn not_for_the_present() -> Failure {
    let reason = "only snapshots and versions are deleted for good";
    BlobError::invalid_parameter("deletetype", "Permanent", reason).into()
}

fn delete_present(
    tx: &mut Tx<'_>,
    spot: &Spot,
    guard: &Guard,
    snapshots: Snapshots,
    (settings, now): (&StorageSettings, Timestamp),
) -> Result<Deleted, Failure> {
    let (key, blob) = read::find(tx, spot)?;
    guard.admit_change(&blob)?;
    let taken: Vec<Blob> = tx
        .past_of_blob(key, &spot.blob)?
        .into_iter()
        .filter(|past| past.deleted.is_none() && matches!(past.edition, Edition::Snapshot(_)))
        .collect();
    if snapshots == Snapshots::Forbid && !taken.is_empty() {
        return Err(BlobRejection::SnapshotsPresent { name: blob.name }.into());
    }
    let mut uses = ExtentUses::default();
    let deletion = settings.blob_deletion(now);
    for past in taken {
        forget_past(tx, key, past, (deletion, now), &mut uses)?;
    }
    let mut is_permanent = deletion.is_none();
    if snapshots != Snapshots::Only {
        for block in tx.take_staged_blocks(key, &spot.blob)? {
            uses.remove(block.extent);
        }
        let kept = history::retire(tx, key, blob, settings, (Cause::Deleted, now), &mut uses)?;
        tx.delete_blob(key, &spot.blob, None)?;
        is_permanent = kept.is_none();
    }
    Ok(Deleted { freed: tx.apply_extent_uses(uses)?, is_permanent })
}

fn delete_past(
    tx: &mut Tx<'_>,
    spot: &Spot,
    guard: &Guard,
    (settings, now): (&StorageSettings, Timestamp),
) -> Result<Deleted, Failure> {
    let (key, blob) = read::find(tx, spot)?;
    guard.conditions.decide_change(blob.face())?;
    if blob.edition.is_current() {
        let message = "The current version of a blob is deleted by its name, without a version.";
        return Err(BlobError::new(403, "OperationNotAllowedOnRootBlob", message).into());
    }
    let mut uses = ExtentUses::default();
    let deletion = settings.blob_deletion(now);
    forget_past(tx, key, blob, (deletion, now), &mut uses)?;
    Ok(Deleted { freed: tx.apply_extent_uses(uses)?, is_permanent: deletion.is_none() })
}

/// Removes what was deleted before and is still kept.
fn delete_for_good(
    tx: &mut Tx<'_>,
    spot: &Spot,
    (settings, now): (&StorageSettings, Timestamp),
) -> Result<Deleted, Failure> {
    if !settings.allows_permanent_delete {
        let message = "Permanent delete is not enabled for this account.";
        return Err(BlobError::new(409, "FeatureNotEnabled", message).into());
    }
    let key = spot.container(tx)?.key;
    let moment = match spot.at {
        At::Now => None,
        At::Snapshot(at) | At::Version(at) => Some(at),
    };
    let found = tx.blob_at(key, &spot.blob, moment)?;
    let Some(blob) = found.filter(|blob| blob.deleted.is_some()) else {
        return Err(spot.no_blob());
    };
    let mut uses = ExtentUses::default();
    forget_past(tx, key, blob, (None, now), &mut uses)?;
    Ok(Deleted { freed: tx.apply_extent_uses(uses)?, is_permanent: true })
}

/// Marks an edition of the past as deleted, or forgets it where nothing deleted is kept; not
/// one that is protected.
fn forget_past(
    tx: &mut Tx<'_>,
    key: ContainerKey,
    blob: Blob,
    (deletion, now): (Option<Deletion>, Timestamp),
    uses: &mut ExtentUses,
) -> Result<(), Failure> {
    blob.details.protection.admit_change(now)?;
    if deletion.is_some() {
        return Ok(tx.update_blob(key, &Blob { deleted: deletion, ..blob })?);
    }
    tx.release_content(key, &blob, uses)?;
    Ok(tx.delete_blob(key, &blob.name, blob.edition.moment())?)
}

/// `PUT /CONTAINER/BLOB?comp=undelete`: brings back the blob and all that was deleted of it.
pub(super) async fn undelete(call: &Call) -> Answer {
    let spot = call.spot();
    let op = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
        let key = spot.container(tx)?.key;
        let past = tx.past_of_blob(key, &spot.blob)?;
        let is_present = tx.blob(key, &spot.blob)?.is_some();
        if !is_present && past.iter().all(|blob| blob.deleted.is_none()) {
            return Err(spot.no_blob());
        }
        for blob in past.into_iter().filter(|blob| blob.deleted.is_some()) {
            let back = Blob { deleted: None, ..blob };
            let Edition::Deleted(at) = back.edition else {
                tx.update_blob(key, &back)?;
                continue;
            };
            let blocks = tx.blob_blocks(key, &back.name, Some(at))?;
            tx.put_blob(key, &Blob { edition: Edition::Current, ..back }, &blocks)?;
            tx.delete_blob(key, &spot.blob, Some(at))?;
        }
        Ok(())
    };
    call.service.store.write(op).await?;
    Ok(Response::new(200))
}
