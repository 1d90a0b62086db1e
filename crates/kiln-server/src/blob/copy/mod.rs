//! Copies. Between blobs of this Kiln they use the same extents, so any size is instant; from
//! elsewhere the content is fetched, at once or beside.

mod from_url;
mod pending;
mod remote;
mod source;

use kiln_domain::blob::content::{Blob, ContentProperties, CopyRecord, CopyStatus};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::history::Kept;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::limits::SYNC_COPY_BYTES_MAX;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, Tx};
use kiln_wire::blob::error::BlobError;

use super::answer::Answer;
use super::call::{At, Call, Spot};
use super::failure::Failure;
use super::guard::Guard;
use super::put::{Content, Replacement, Written, with_written};
use super::{history, read};
use crate::clock;
use crate::http::Response;
pub(super) use from_url::{append, blob, block, pages};
use pending::Pending;
pub(super) use remote::Fetcher;
use remote::Remote;
use source::Source;

/// `PUT /CONTAINER/BLOB` with `x-ms-copy-source`.
pub(super) async fn start(call: &Call) -> Answer {
    let copy_id = clock::new_id().to_string();
    let (written, status) = match source::of(call)? {
        Source::Local(spot) => (at_once(call, spot, &copy_id).await?, CopyStatus::Success),
        Source::Remote(place) => (beside(call, &place, &copy_id).await?, CopyStatus::Pending),
    };
    let response = Response::new(202)
        .with_header("x-ms-copy-id", copy_id)
        .with_header("x-ms-copy-status", status.as_str());
    Ok(with_written(response, &written, &call.gates))
}

/// `PUT /CONTAINER/BLOB` with `x-ms-copy-source` and `x-ms-requires-sync`: done when it is
/// answered, wherever the source is.
pub(super) async fn awaited(call: &Call) -> Answer {
    let copy_id = clock::new_id().to_string();
    let done = from_url::whole(call, SYNC_COPY_BYTES_MAX, Some(copy_id.clone())).await?;
    let mut response = Response::new(202)
        .with_header("x-ms-copy-id", copy_id)
        .with_header("x-ms-copy-status", CopyStatus::Success.as_str());
    if let Some(md5) = done.md5 {
        response = response.with_header("Content-MD5", md5);
    }
    Ok(with_written(response, &done.written, &call.gates))
}

/// `PUT /CONTAINER/BLOB?comp=incrementalcopy`: takes over a snapshot of a page blob, as the
/// blob's content and as a snapshot of it.
pub(super) async fn incremental(call: &Call) -> Answer {
    let name = "x-ms-copy-source";
    let address = call.headers().get(name).unwrap_or_default().to_owned();
    let Source::Local(spot) = source::of(call)? else {
        return Err(BlobError::not_served("Incremental Copy Blob from another service").into());
    };
    if !matches!(spot.at, At::Snapshot(_)) {
        return Err(BlobError::invalid_header(name, &address).into());
    }
    let guard = Guard::of_source(call)?;
    let mut replacement = Replacement::new(call, ContentProperties::default())?;
    let copy_id = clock::new_id().to_string();
    let id = copy_id.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (source_key, blob) = source::load(tx, &spot, &guard)?;
        blob.kind.expect(BlobKind::Page)?;
        let (key, present) = replacement.decide(tx)?;
        if present.as_ref().is_some_and(|present| present.details.incremental.is_none()) {
            return Err(BlobRejection::WrongKind { found: blob.kind, wanted: blob.kind }.into());
        }
        let taken_at = replacement.stamps.next();
        let content = Content { incremental: Some(taken_at), ..content_of(tx, source_key, &blob)? };
        replacement.properties = blob.properties;
        replacement.metadata = blob.metadata;
        replacement.copy = Some(done(id, address, blob.size_bytes, taken_at));
        let name = replacement.spot.blob.clone();
        let written = replacement.commit(tx, key, present, content)?;
        if let Some(made) = tx.blob(key, &name)? {
            let kept = Kept { edition: Edition::Snapshot(taken_at), deleted: None };
            history::share(tx, key, made, kept)?;
        }
        Ok(written)
    };
    let written = call.service.commit(op).await?;
    let response = Response::new(202)
        .with_header("x-ms-copy-id", copy_id)
        .with_header("x-ms-copy-status", CopyStatus::Success.as_str());
    Ok(with_written(response, &written, &call.gates))
}

/// That a copy is done.
fn done(id: String, source: String, size_bytes: u64, completed_at: Timestamp) -> CopyRecord {
    CopyRecord {
        id,
        source,
        size_bytes,
        copied_bytes: None,
        status: CopyStatus::Success,
        reason: None,
        completed_at,
    }
}

/// Copies a blob of this Kiln.
async fn at_once(call: &Call, spot: Spot, copy_id: &str) -> Result<Written, Failure> {
    let guard = Guard::of_source(call)?;
    let address = call.headers().get("x-ms-copy-source").unwrap_or_default().to_owned();
    let mut replacement = Replacement::new(call, call.headers().properties())?;
    let id = copy_id.to_owned();
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (source_key, blob) = source::load(tx, &spot, &guard)?;
        let (key, present) = replacement.decide(tx)?;
        if let Some(present) = &present {
            present.kind.expect(blob.kind)?;
        }
        let content = content_of(tx, source_key, &blob)?;
        let tier_of_source = || blob.details.tier.map(|state| state.tier);
        replacement.tier = replacement.tier.or_else(tier_of_source);
        replacement.properties = blob.properties;
        let now = replacement.stamps.next();
        replacement.copy = Some(done(id, address, blob.size_bytes, now));
        if replacement.metadata.is_empty() {
            replacement.metadata = blob.metadata;
        }
        replacement.commit(tx, key, present, content)
    };
    call.service.commit(op).await
}

/// Begins to copy from elsewhere: the blob is there, empty, until its content is.
async fn beside(call: &Call, place: &Remote, copy_id: &str) -> Result<Written, Failure> {
    let reserved = call.service.reserve_copy()?;
    let address = call.headers().get("x-ms-copy-source").unwrap_or_default().to_owned();
    let mut replacement = Replacement::new(call, call.headers().properties())?;
    call.service.store.read(|view| replacement.decide(view))?;
    let conditions = remote::conditions(call);
    let found = call.service.remote.get(place, None, conditions).await?;
    replacement.properties = found.properties.clone();
    if replacement.metadata.is_empty() {
        replacement.metadata = found.metadata.clone();
    }
    let size_bytes = found.length.unwrap_or(0);
    let now = call.service.stamps.next();
    replacement.copy = Some(CopyRecord {
        copied_bytes: Some(0),
        status: CopyStatus::Pending,
        ..done(copy_id.to_owned(), address, size_bytes, now)
    });
    let id = copy_id.to_owned();
    let op = move |tx: &mut Tx<'_>| -> Result<(Written, Pending), Failure> {
        let (key, present) = replacement.decide(tx)?;
        let pending = Pending { key, name: replacement.spot.blob.clone(), id };
        let written = replacement.commit(tx, key, present, Content::default())?;
        tx.put_pending_copy(key, &pending.name, &pending.id)?;
        Ok((written, pending))
    };
    let (mut written, pending) = call.service.store.write(op).await?;
    call.service.remove_files(std::mem::take(&mut written.freed)).await;
    call.service.go_on_copying(pending, found, reserved);
    Ok(written)
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
            Some(_) | None => return Err(BlobRejection::NoCopyPending { id: id.clone() }.into()),
        }
        blob.modified_at = now;
        tx.delete_pending_copy(key, &blob.name, &id)?;
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
        incremental: None,
    })
}
