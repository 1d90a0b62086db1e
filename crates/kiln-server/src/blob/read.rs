//! Finding the edition of a blob that a request names.

use kiln_domain::blob::content::Blob;
use kiln_domain::blob::edition::Edition;
use kiln_store::{ContainerKey, View};

use super::call::{At, Call, Spot};
use super::failure::Failure;
use super::guard::Guard;

/// The edition of a blob that `spot` names; what was deleted is not there.
pub(super) fn find(view: &View<'_>, spot: &Spot) -> Result<(ContainerKey, Blob), Failure> {
    let key = spot.container(view)?.key;
    match edition(view, key, spot)? {
        Some(blob) => Ok((key, blob)),
        None => Err(spot.no_blob()),
    }
}

/// The edition of a blob of a container that `spot` names, if it is there.
pub(super) fn edition(
    view: &View<'_>,
    key: ContainerKey,
    spot: &Spot,
) -> Result<Option<Blob>, Failure> {
    let found = match spot.at {
        At::Now => view.blob(key, &spot.blob)?,
        At::Snapshot(at) => {
            let found = view.blob_at(key, &spot.blob, Some(at))?;
            found.filter(|blob| matches!(blob.edition, Edition::Snapshot(_)))
        }
        At::Version(at) => match view.blob(key, &spot.blob)? {
            Some(blob) if blob.details.version_at == Some(at) => Some(blob),
            Some(_) | None => {
                let found = view.blob_at(key, &spot.blob, Some(at))?;
                found.filter(|blob| matches!(blob.edition, Edition::Version(_)))
            }
        },
    };
    Ok(found.filter(|blob| blob.deleted.is_none()))
}

/// The blob of a request that reads it, if its conditions let it.
pub(super) fn load(call: &Call) -> Result<(ContainerKey, Blob), Failure> {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    call.service.store.read(|view| {
        let (key, blob) = find(view, &spot)?;
        guard.admit_read(&blob)?;
        guard.expect_key(&blob)?;
        Ok((key, blob))
    })
}
