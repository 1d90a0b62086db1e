//! Operations that change a blob and leave its content.

use kiln_domain::blob::content::{Blob, ContentProperties};
use kiln_domain::time::Timestamp;
use kiln_store::{ExtentUses, Tx};

use super::answer::{Answer, with_encryption, with_face};
use super::call::Call;
use super::failure::Failure;
use crate::http::Response;

/// `PUT /CONTAINER/BLOB?comp=metadata`: replaces all of it.
pub(super) async fn set_metadata(call: &Call) -> Answer {
    let metadata = call.headers().metadata()?;
    let response = change(call, move |blob| blob.metadata = metadata).await?;
    Ok(with_encryption(response, &call.gates))
}

/// `PUT /CONTAINER/BLOB?comp=properties`: one that is sent clears those that are not.
pub(super) async fn set_properties(call: &Call) -> Answer {
    let sent = call.headers().properties();
    call.headers().md5("x-ms-blob-content-md5")?;
    change(call, move |blob| {
        let kept = std::mem::take(&mut blob.properties);
        let of_content = ContentProperties { tier: None, copy: None, ..sent };
        blob.properties = if of_content == ContentProperties::default() {
            kept
        } else {
            ContentProperties { tier: kept.tier, copy: kept.copy, ..of_content }
        };
    })
    .await
}

/// Changes a blob, if the request's conditions let it.
async fn change(call: &Call, apply: impl FnOnce(&mut Blob) + Send + 'static) -> Answer {
    let spot = call.spot();
    let conditions = call.conditions()?;
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<Timestamp, Failure> {
        let container = spot.container(tx)?;
        let Some(mut blob) = tx.blob(container.key, &spot.blob)? else {
            return Err(spot.no_blob());
        };
        conditions.decide_change(blob.face())?;
        apply(&mut blob);
        blob.modified_at = stamps.next();
        tx.update_blob(container.key, &blob)?;
        Ok(blob.modified_at)
    };
    let modified_at = call.service.store.write(op).await?;
    Ok(with_face(Response::new(200), modified_at, &call.gates))
}

/// `DELETE /CONTAINER/BLOB`.
pub(super) async fn delete(call: &Call) -> Answer {
    let spot = call.spot();
    let conditions = call.conditions()?;
    let op = move |tx: &mut Tx<'_>| -> Result<Vec<u64>, Failure> {
        let container = spot.container(tx)?;
        let Some(blob) = tx.blob(container.key, &spot.blob)? else {
            return Err(spot.no_blob());
        };
        conditions.decide_change(blob.face())?;
        let mut uses = ExtentUses::default();
        for block in tx.blob_blocks(container.key, &spot.blob)? {
            uses.remove(block.extent);
        }
        for block in tx.take_staged_blocks(container.key, &spot.blob)? {
            uses.remove(block.extent);
        }
        tx.delete_blob(container.key, &spot.blob)?;
        Ok(tx.apply_extent_uses(uses)?)
    };
    let freed = call.service.store.write(op).await?;
    call.service.remove_files(freed).await;
    Ok(Response::new(202).with_header("x-ms-delete-type-permanent", "true"))
}
