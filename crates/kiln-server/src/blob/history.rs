//! Carries out what becomes of the state of a blob that a change replaces.

use kiln_domain::blob::content::{Blob, BlobDetails};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::history::{self, Cause, Kept};
use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, ExtentUses, StoreError, Tx};

use super::failure::Failure;

/// Ends the present state of a blob whose row is to be replaced or deleted: it moves to the
/// past with its content, or its content is released.
pub(super) fn retire(
    tx: &mut Tx<'_>,
    key: ContainerKey,
    blob: Blob,
    settings: &StorageSettings,
    (cause, now): (Cause, Timestamp),
    uses: &mut ExtentUses,
) -> Result<Option<Kept>, Failure> {
    let kept = history::keep(&blob, settings, cause, now)?;
    match kept {
        Some(kept) => {
            let blocks = tx.blob_blocks(key, &blob.name, None)?;
            tx.put_blob(key, &of_past(blob, kept), &blocks)?;
        }
        None => tx.release_content(key, &blob, uses)?,
    }
    Ok(kept)
}

/// Keeps the present state of a blob that stays present: past and present share its content.
pub(super) fn share(
    tx: &mut Tx<'_>,
    key: ContainerKey,
    blob: Blob,
    kept: Kept,
) -> Result<(), StoreError> {
    let blocks = tx.blob_blocks(key, &blob.name, None)?;
    let mut uses = ExtentUses::default();
    for block in &blocks {
        uses.add(block.extent);
    }
    tx.apply_extent_uses(uses)?;
    let pieces = blob.pieces.map(|pieces| tx.copy_piece_list(pieces)).transpose()?;
    tx.put_blob(key, &Blob { pieces, ..of_past(blob, kept) }, &blocks)
}

fn of_past(blob: Blob, kept: Kept) -> Blob {
    let version_at = match kept.edition {
        Edition::Version(at) => Some(at),
        Edition::Current | Edition::Snapshot(_) | Edition::Deleted(_) => None,
    };
    let details = BlobDetails { version_at, ..blob.details };
    Blob { edition: kept.edition, deleted: kept.deleted, lease: None, details, ..blob }
}

/// A blob takes the place of one that was deleted and is kept: what is kept is a snapshot from
/// now on.
pub(super) fn bury(tx: &mut Tx<'_>, key: ContainerKey, name: &str) -> Result<(), StoreError> {
    for blob in tx.past_of_blob(key, name)? {
        if let Edition::Deleted(at) = blob.edition {
            tx.update_blob(key, &Blob { edition: Edition::Snapshot(at), ..blob })?;
        }
    }
    Ok(())
}
