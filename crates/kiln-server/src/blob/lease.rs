//! Leases of blobs and containers.

use kiln_domain::blob::lease::{self, LeaseAction, LeaseOutcome};
use kiln_domain::blob::limits::{LEASE_BREAK_SECONDS_MAX, LEASE_SECONDS};
use kiln_domain::time::Timestamp;
use kiln_store::{KeyedContainer, Tx};
use kiln_wire::blob::error::BlobError;

use super::answer::{Answer, with_face};
use super::call::Call;
use super::failure::Failure;
use super::guard::{Guard, lease_id};
use super::read;
use crate::clock;
use crate::http::Response;

/// `PUT /CONTAINER/BLOB?comp=lease`.
pub(super) async fn of_blob(call: &Call) -> Answer {
    let action = action(call)?;
    let asked = action.clone();
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let op = move |tx: &mut Tx<'_>| -> Result<(LeaseOutcome, Timestamp), Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.conditions.decide_change(blob.face())?;
        let outcome = lease::decide(blob.lease.as_ref(), action, guard.now)?;
        blob.lease.clone_from(&outcome.lease);
        tx.update_blob(key, &blob)?;
        Ok((outcome, blob.modified_at))
    };
    let (outcome, modified_at) = call.service.store.write(op).await?;
    Ok(answer(call, &asked, &outcome, modified_at))
}

/// `PUT /CONTAINER?restype=container&comp=lease`.
pub(super) async fn of_container(call: &Call) -> Answer {
    let action = action(call)?;
    let asked = action.clone();
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let op = move |tx: &mut Tx<'_>| -> Result<(LeaseOutcome, Timestamp), Failure> {
        let KeyedContainer { key, mut container } = spot.container(tx)?;
        guard.conditions.decide_change(container.face())?;
        let outcome = lease::decide(container.lease.as_ref(), action, guard.now)?;
        container.lease.clone_from(&outcome.lease);
        tx.update_container(key, &container)?;
        Ok((outcome, container.modified_at))
    };
    let (outcome, modified_at) = call.service.store.write(op).await?;
    Ok(answer(call, &asked, &outcome, modified_at))
}

fn answer(
    call: &Call,
    asked: &LeaseAction,
    outcome: &LeaseOutcome,
    modified_at: Timestamp,
) -> Response {
    let status = match asked {
        LeaseAction::Acquire { .. } => 201,
        LeaseAction::Renew { .. } | LeaseAction::Change { .. } | LeaseAction::Release { .. } => 200,
        LeaseAction::Break { .. } => 202,
    };
    let mut response = with_face(Response::new(status), modified_at, &call.gates);
    match (asked, &outcome.lease) {
        (LeaseAction::Break { .. }, _) => {
            response =
                response.with_header("x-ms-lease-time", outcome.remaining_seconds.to_string());
        }
        (_, Some(lease)) => response = response.with_header("x-ms-lease-id", lease.id.as_str()),
        (_, None) => {}
    }
    response
}

fn action(call: &Call) -> Result<LeaseAction, Failure> {
    let name = "x-ms-lease-action";
    let Some(text) = call.headers().get(name) else {
        return Err(BlobError::missing_header(name).into());
    };
    Ok(match text.to_ascii_lowercase().as_str() {
        "acquire" => LeaseAction::Acquire {
            lasts_seconds: duration(call)?,
            id: lease_id(call, "x-ms-proposed-lease-id")?
                .unwrap_or_else(|| clock::new_id().to_string()),
        },
        "renew" => LeaseAction::Renew { id: id(call)? },
        "change" => LeaseAction::Change { id: id(call)?, proposed: proposed(call)? },
        "release" => LeaseAction::Release { id: id(call)? },
        "break" => LeaseAction::Break { period_seconds: break_period(call)? },
        _ => return Err(BlobError::invalid_header(name, text).into()),
    })
}

fn id(call: &Call) -> Result<String, BlobError> {
    let name = "x-ms-lease-id";
    lease_id(call, name)?.ok_or_else(|| BlobError::missing_header(name))
}

fn proposed(call: &Call) -> Result<String, BlobError> {
    let name = "x-ms-proposed-lease-id";
    lease_id(call, name)?.ok_or_else(|| BlobError::missing_header(name))
}

/// Seconds that the lease is to last; `None` without end.
fn duration(call: &Call) -> Result<Option<i64>, BlobError> {
    let name = "x-ms-lease-duration";
    match call.headers().number::<i64>(name)? {
        None => Err(BlobError::missing_header(name)),
        Some(-1) => Ok(None),
        Some(seconds) if LEASE_SECONDS.contains(&seconds) => Ok(Some(seconds)),
        Some(seconds) => Err(BlobError::invalid_header(name, &seconds.to_string())),
    }
}

fn break_period(call: &Call) -> Result<Option<i64>, BlobError> {
    let name = "x-ms-lease-break-period";
    match call.headers().number::<i64>(name)? {
        None => Ok(None),
        Some(seconds) if (0..=LEASE_BREAK_SECONDS_MAX).contains(&seconds) => Ok(Some(seconds)),
        Some(seconds) => Err(BlobError::invalid_header(name, &seconds.to_string())),
    }
}
