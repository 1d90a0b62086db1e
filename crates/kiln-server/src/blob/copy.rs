//! Copies between blobs of this Kiln: the copy uses the same extents, so any size is instant.

use kiln_domain::blob::condition::Conditions;
use kiln_domain::blob::content::{Blob, CopyRecord};
use kiln_domain::time::Timestamp;
use kiln_store::{Tx, View};
use kiln_wire::auth::sas::Token;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::target::{Address, Target};

use super::access;
use super::answer::{Answer, with_face};
use super::call::{Call, Spot};
use super::failure::Failure;
use super::put::Replacement;
use crate::clock;
use crate::http::Response;

/// `PUT /CONTAINER/BLOB` with `x-ms-copy-source`: done when it is answered.
pub(super) async fn start(call: &Call) -> Answer {
    let address = call.headers().get("x-ms-copy-source").unwrap_or_default().to_owned();
    let (source, token) = source(call, &address)?;
    access::authorize_source(call, &source, token.as_ref())?;
    let spot = Spot {
        account: source.account,
        container: source.container.unwrap_or_default(),
        blob: source.blob.unwrap_or_default(),
    };
    let conditions = call.headers().source_conditions()?;
    let mut replacement = Replacement::new(call, call.headers().properties())?;
    let copy_id = clock::new_id().to_string();
    let id = copy_id.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<(Timestamp, Vec<u64>), Failure> {
        let blob = load(tx, &spot, &conditions)?;
        let source_key = spot.container(tx)?.key;
        let blocks = tx.blob_blocks(source_key, &spot.blob)?;
        let (key, present) = replacement.decide(tx)?;
        let tier = replacement.properties.tier.take().or_else(|| blob.properties.tier.clone());
        replacement.properties = blob.properties;
        replacement.properties.tier = tier;
        replacement.properties.copy = Some(CopyRecord {
            id,
            source: address,
            size_bytes: blob.size_bytes,
            completed_at: replacement.stamps.next(),
        });
        if replacement.metadata.is_empty() {
            replacement.metadata = blob.metadata;
        }
        replacement.commit(tx, key, present, &blocks)
    };
    let (modified_at, freed) = call.service.store.write(op).await?;
    call.service.remove_files(freed).await;
    let response = Response::new(202)
        .with_header("x-ms-copy-id", copy_id)
        .with_header("x-ms-copy-status", "success");
    Ok(with_face(response, modified_at, &call.gates))
}

fn load(view: &View<'_>, spot: &Spot, conditions: &Conditions) -> Result<Blob, Failure> {
    let container = spot.container(view).map_err(missing)?;
    let Some(blob) = view.blob(container.key, &spot.blob)? else {
        return Err(missing(spot.no_blob()));
    };
    match conditions.decide_change(blob.face()) {
        Ok(()) => Ok(blob),
        Err(_not_met) => {
            let message = "The source condition specified using HTTP conditional header(s) is \
                           not met.";
            Err(BlobError::new(412, "SourceConditionNotMet", message).into())
        }
    }
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
fn source(call: &Call, address: &str) -> Result<(Target, Option<Token>), Failure> {
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
    if query.iter().any(|(name, _)| name == "snapshot" || name == "versionid") {
        return Err(BlobError::not_served("Copy Blob from a snapshot or version").into());
    }
    let address = Address { host, raw_path: path, is_for_container: false, fallback_account: None };
    let accounts = &call.service.accounts;
    let is_account = |name: &str| accounts.storage(name).is_ok_and(|found| found.is_some());
    let Ok(target) = Target::parse(address, is_account) else {
        return Err(BlobError::not_served("Copy Blob from another service").into());
    };
    if target.blob.is_none() {
        return Err(invalid().into());
    }
    Ok((target, Token::from_query(&query)))
}
