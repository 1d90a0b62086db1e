//! Copies between blobs of this Kiln: the copy uses the same extents, so any size is instant.

use kiln_domain::blob::condition::Conditions;
use kiln_domain::blob::content::{Blob, CopyRecord, CopyStatus};
use kiln_domain::blob::rejection::BlobRejection;
use kiln_store::{ContainerKey, Tx, View};
use kiln_wire::auth::sas::Token;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::target::{Address, Target};

use super::answer::Answer;
use super::call::{At, Call, Spot};
use super::failure::Failure;
use super::guard::Guard;
use super::put::{Content, Replacement, Written, with_written};
use super::{access, read};
use crate::clock;
use crate::http::Response;

/// `PUT /CONTAINER/BLOB` with `x-ms-copy-source`: done when it is answered.
pub(super) async fn start(call: &Call) -> Answer {
    let address = call.headers().get("x-ms-copy-source").unwrap_or_default().to_owned();
    let (source, at, token) = source(call, &address)?;
    access::authorize_source(call, &source, token.as_ref())?;
    let spot = Spot {
        account: source.account,
        container: source.container.unwrap_or_default(),
        blob: source.blob.unwrap_or_default(),
        at,
    };
    let conditions = call.headers().source_conditions()?;
    let mut replacement = Replacement::new(call, call.headers().properties())?;
    let copy_id = clock::new_id().to_string();
    let id = copy_id.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (source_key, blob) = load(tx, &spot, &conditions)?;
        let (key, present) = replacement.decide(tx)?;
        if let Some(present) = &present {
            present.kind.expect(blob.kind)?;
        }
        let content = content_of(tx, source_key, &blob)?;
        let tier_of_source = || blob.details.tier.map(|state| state.tier);
        replacement.tier = replacement.tier.or_else(tier_of_source);
        replacement.properties = blob.properties;
        replacement.copy = Some(CopyRecord {
            id,
            source: address,
            size_bytes: blob.size_bytes,
            copied_bytes: None,
            status: CopyStatus::Success,
            reason: None,
            completed_at: replacement.stamps.next(),
        });
        if replacement.metadata.is_empty() {
            replacement.metadata = blob.metadata;
        }
        replacement.commit(tx, key, present, content)
    };
    let written = call.service.commit(op).await?;
    let response = Response::new(202)
        .with_header("x-ms-copy-id", copy_id)
        .with_header("x-ms-copy-status", "success");
    Ok(with_written(response, &written, &call.gates))
}

/// `PUT /CONTAINER/BLOB?comp=copy&copyid=ID`: gives up a copy under way.
pub(super) async fn abort(call: &Call) -> Answer {
    let Some(id) = call.parameter("copyid").map(str::to_owned) else {
        return Err(BlobError::missing_parameter("copyid").into());
    };
    let name = "x-ms-copy-action";
    match call.headers().get(name) {
        Some("abort") => {}
        Some(other) => return Err(BlobError::invalid_header(name, other).into()),
        None => return Err(BlobError::missing_header(name).into()),
    }
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.admit_lease(blob.lease.as_ref())?;
        let now = stamps.next();
        match &mut blob.details.copy {
            Some(copy) if copy.id == id && copy.status == CopyStatus::Pending => {
                copy.status = CopyStatus::Aborted;
                copy.completed_at = now;
            }
            Some(_) | None => return Err(BlobRejection::NoCopyPending { id }.into()),
        }
        blob.modified_at = now;
        Ok(tx.update_blob(key, &blob)?)
    };
    call.service.store.write(op).await?;
    Ok(Response::new(204))
}

/// The content of a blob, to be that of another one too.
fn content_of(tx: &mut Tx<'_>, key: ContainerKey, blob: &Blob) -> Result<Content, Failure> {
    let pieces = blob.pieces.map(|pieces| tx.copy_piece_list(pieces)).transpose()?;
    Ok(Content {
        kind: blob.kind,
        size_bytes: blob.size_bytes,
        blocks: tx.blob_blocks(key, &blob.name, blob.edition.moment())?,
        pieces,
        sequence_number: blob.details.sequence_number,
        n_appended: blob.details.n_appended,
        is_sealed: false,
    })
}

fn load(
    view: &View<'_>,
    spot: &Spot,
    conditions: &Conditions,
) -> Result<(ContainerKey, Blob), Failure> {
    let (key, blob) = read::find(view, spot).map_err(missing)?;
    match conditions.decide_change(blob.face()) {
        Ok(()) => {}
        Err(_not_met) => {
            let message = "The source condition specified using HTTP conditional header(s) is \
                           not met.";
            return Err(BlobError::new(412, "SourceConditionNotMet", message).into());
        }
    }
    blob.expect_online()?;
    Ok((key, blob))
}

/// That the source is missing, whatever of it is.
fn missing(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(error) if error.status == 404 => {
            BlobError::new(404, "CannotVerifyCopySource", error.message).into()
        }
        Failure::Refused(_) | Failure::BodyEnded(_) | Failure::Store(_) | Failure::Extent(_) => {
            failure
        }
    }
}

/// The blob that an address leads to, and the token in it.
fn source(call: &Call, address: &str) -> Result<(Target, At, Option<Token>), Failure> {
    let invalid = || BlobError::invalid_header("x-ms-copy-source", address);
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"))
        .ok_or_else(invalid)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => return Err(invalid().into()),
    };
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let at = At::of_query(&query)?;
    let address = Address { host, raw_path: path, is_for_container: false, fallback_account: None };
    let accounts = &call.service.accounts;
    let is_account = |name: &str| accounts.storage(name).is_ok_and(|found| found.is_some());
    let Ok(target) = Target::parse(address, is_account) else {
        return Err(BlobError::not_served("Copy Blob from another service").into());
    };
    if target.blob.is_none() {
        return Err(invalid().into());
    }
    Ok((target, at, Token::from_query(&query)))
}
