//! Taking snapshots.

use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::history::Kept;
use kiln_domain::blob::immutability::Protection;
use kiln_domain::time::Timestamp;
use kiln_store::Tx;

use super::answer::{Answer, with_encryption, with_face};
use super::call::Call;
use super::failure::Failure;
use super::guard::Guard;
use super::{history, read};
use crate::http::Response;

/// `PUT /CONTAINER/BLOB?comp=snapshot`.
pub(super) async fn take(call: &Call) -> Answer {
    let spot = call.spot();
    let guard = Guard::of(call)?;
    let metadata = call.headers().metadata()?;
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<(Timestamp, Timestamp), Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.conditions.decide_change(blob.face())?;
        if guard.lease_id.is_some() {
            guard.admit_lease(blob.lease.as_ref())?;
        }
        guard.expect_key(&blob)?;
        blob.expect_online()?;
        let taken_at = stamps.next();
        if !metadata.is_empty() {
            blob.metadata = metadata;
            blob.modified_at = taken_at;
        }
        let modified_at = blob.modified_at;
        blob.details.protection = Protection::default();
        let kept = Kept { edition: Edition::Snapshot(taken_at), deleted: None };
        history::share(tx, key, blob, kept)?;
        Ok((taken_at, modified_at))
    };
    let (taken_at, modified_at) = call.service.store.write(op).await?;
    let response = Response::new(201).with_header("x-ms-snapshot", taken_at.to_iso_seven());
    Ok(with_encryption(with_face(response, modified_at, &call.gates), &call.gates))
}
