//! Operations that change a blob and leave its content.

use kiln_domain::blob::content::{Blob, ContentProperties};
use kiln_domain::blob::history::{Cause, keep};
use kiln_domain::blob::tier::{Tier, TierState};
use kiln_store::{ExtentUses, Tx};
use kiln_wire::blob::error::BlobError;

use super::answer::{Answer, with_encryption};
use super::call::Call;
use super::failure::Failure;
use super::guard::Guard;
use super::page::PageChange;
use super::put::{Written, with_written};
use super::{history, read};
use crate::http::Response;

/// `PUT /CONTAINER/BLOB?comp=metadata`: replaces all of it.
pub(super) async fn set_metadata(call: &Call) -> Answer {
    let metadata = call.headers().metadata()?;
    let apply = move |_: &mut Tx<'_>, blob: &mut Blob, _: &mut ExtentUses| {
        blob.metadata = metadata;
        Ok(())
    };
    let written = change(call, Keeps::Version, apply).await?;
    let response = with_written(Response::new(200), &written, &call.gates);
    Ok(with_encryption(response, &call.gates))
}

/// `PUT /CONTAINER/BLOB?comp=properties`: one that is sent clears those that are not.
pub(super) async fn set_properties(call: &Call) -> Answer {
    let sent = call.headers().properties();
    call.headers().md5("x-ms-blob-content-md5")?;
    let pages = PageChange::of(call)?;
    let apply = move |tx: &mut Tx<'_>, blob: &mut Blob, uses: &mut ExtentUses| {
        if sent != ContentProperties::default() {
            blob.properties = sent;
        }
        pages.apply(tx, blob, uses)
    };
    let written = change(call, Keeps::Nothing, apply).await?;
    let response = with_written(Response::new(200), &written, &call.gates);
    Ok(match written.sequence_number {
        Some(number) => response.with_header("x-ms-blob-sequence-number", number.to_string()),
        None => response,
    })
}

/// Whether a change of what is attached leaves a version behind, where versions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    Version,
    Nothing,
}

/// Changes a blob, if the request's conditions let it.
pub(super) async fn change(
    call: &Call,
    keeps: Keeps,
    apply: impl FnOnce(&mut Tx<'_>, &mut Blob, &mut ExtentUses) -> Result<(), Failure> + Send + 'static,
) -> Result<Written, Failure> {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.admit_rewrite(&blob)?;
        blob.expect_online()?;
        let now = stamps.next();
        if keeps == Keeps::Version {
            guard.expect_key(&blob)?;
            let settings = tx.storage_settings(&spot.account)?;
            if let Some(kept) = keep(&blob, &settings, Cause::Changed, now)? {
                history::share(tx, key, blob.clone(), kept)?;
            }
            blob.details.version_at = settings.keeps_versions.then_some(now);
        }
        let mut uses = ExtentUses::default();
        apply(tx, &mut blob, &mut uses)?;
        blob.modified_at = now;
        blob.lease = guard.lease_left(blob.lease.take());
        tx.update_blob(key, &blob)?;
        Ok(Written { freed: tx.apply_extent_uses(uses)?, ..Written::of(&blob) })
    };
    call.service.commit(op).await
}

/// `PUT /CONTAINER/BLOB?comp=tier`: content that was archived can be read at once.
pub(super) async fn set_tier(call: &Call) -> Answer {
    let Some(tier) = call.headers().tier()? else {
        return Err(BlobError::missing_header("x-ms-access-tier").into());
    };
    let priority = "x-ms-rehydrate-priority";
    match call.headers().get(priority) {
        None | Some("High" | "Standard") => {}
        Some(other) => return Err(BlobError::invalid_header(priority, other).into()),
    }
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let changed_at = call.service.stamps.next();
    let op = move |tx: &mut Tx<'_>| -> Result<Tier, Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.conditions.decide_change(blob.face())?;
        if guard.lease_id.is_some() {
            guard.admit_lease(blob.lease.as_ref())?;
        }
        tier.check(blob.kind)?;
        let was = blob.tier();
        blob.details.tier = Some(TierState { tier, changed_at });
        tx.update_blob(key, &blob)?;
        Ok(was)
    };
    let was = call.service.store.write(op).await?;
    let is_rehydrated = was == Tier::Archive && tier != Tier::Archive;
    Ok(Response::new(if is_rehydrated { 202 } else { 200 }))
}
