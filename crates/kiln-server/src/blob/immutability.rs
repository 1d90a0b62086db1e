//! Policies and legal holds that keep an edition of a blob as it is.

use kiln_domain::blob::content::Blob;
use kiln_domain::blob::immutability::ImmutabilityPolicy;
use kiln_store::Tx;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::immutability::{HOLD, MODE, UNTIL};

use super::answer::Answer;
use super::call::Call;
use super::failure::Failure;
use super::guard::Guard;
use super::read;
use crate::http::Response;

/// `PUT /CONTAINER/BLOB?comp=immutabilityPolicies`: the entity tag stays.
pub(super) async fn set_policy(call: &Call) -> Answer {
    let Some(policy) = call.headers().policy()? else {
        return Err(BlobError::missing_header(UNTIL).into());
    };
    let now = call.received_at;
    change(call, move |blob| {
        blob.details.protection.admit_policy(policy, now)?;
        blob.details.protection.policy = Some(policy);
        Ok(())
    })
    .await?;
    Ok(with_policy(Response::new(200), policy))
}

/// `DELETE /CONTAINER/BLOB?comp=immutabilityPolicies`.
pub(super) async fn delete_policy(call: &Call) -> Answer {
    change(call, |blob| {
        blob.details.protection.admit_removal()?;
        blob.details.protection.policy = None;
        Ok(())
    })
    .await?;
    Ok(Response::new(200))
}

/// `PUT /CONTAINER/BLOB?comp=legalhold`.
pub(super) async fn set_legal_hold(call: &Call) -> Answer {
    let Some(has_legal_hold) = call.headers().legal_hold()? else {
        return Err(BlobError::missing_header(HOLD).into());
    };
    change(call, move |blob| {
        blob.details.protection.has_legal_hold = has_legal_hold;
        Ok(())
    })
    .await?;
    Ok(Response::new(200).with_header(HOLD, has_legal_hold.to_string()))
}

/// The headers that tell what keeps a blob as it is.
pub(super) fn with_protection(mut response: Response, blob: &Blob) -> Response {
    let protection = blob.details.protection;
    if let Some(policy) = protection.policy {
        response = with_policy(response, policy);
    }
    if protection.has_legal_hold {
        response = response.with_header(HOLD, "true");
    }
    response
}

fn with_policy(response: Response, policy: ImmutabilityPolicy) -> Response {
    response.with_header(UNTIL, policy.until.to_rfc1123()).with_header(MODE, policy.mode.as_str())
}

/// Changes what keeps an edition, of the present or the past, if conditions and lease let it.
async fn change(
    call: &Call,
    apply: impl FnOnce(&mut Blob) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let op = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.conditions.decide_change(blob.face())?;
        apply(&mut blob)?;
        Ok(tx.update_blob(key, &blob)?)
    };
    call.service.store.write(op).await
}
