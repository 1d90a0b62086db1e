//! Append blobs.

use kiln_domain::blob::append::{self, AppendConditions};
use kiln_domain::blob::content::{Blob, PieceListId};
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_store::{ContainerKey, ExtentUses, Tx, View};
use kiln_wire::blob::checksum::Told;
use kiln_wire::blob::error::BlobError;

use super::answer::{Answer, with_encryption, with_face};
use super::call::{Call, Spot};
use super::failure::Failure;
use super::guard::Guard;
use super::put::{Content, Replacement, Written, with_structure, with_written};
use super::receive::{self, INLINE_BYTES_MAX, Received};
use super::{read, run};
use crate::http::{Body, Response};

/// `PUT /CONTAINER/BLOB` with `x-ms-blob-type: AppendBlob`: an empty one.
pub(super) async fn create(call: &Call) -> Answer {
    expect_empty(call)?;
    let mut replacement = Replacement::new(call, call.headers().properties_of_put())?;
    replacement.properties.md5 = call.headers().properties().md5;
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, present) = replacement.decide(tx)?;
        let pieces = Some(tx.insert_piece_list()?);
        let content = Content { kind: BlobKind::Append, pieces, ..Content::default() };
        replacement.commit(tx, key, present, content)
    };
    let written = call.service.commit(op).await?;
    let response = with_written(Response::new(201), &written, &call.gates);
    Ok(with_encryption(response, &call.gates))
}

/// Such blobs are made without content.
pub(super) fn expect_empty(call: &Call) -> Result<(), BlobError> {
    match call.headers().get("Content-Length") {
        None | Some("0") => Ok(()),
        Some(other) => Err(BlobError::invalid_header("Content-Length", other)),
    }
}

/// What an append came to.
#[derive(Debug)]
pub(super) struct Appended {
    offset: u64,
    n_appended: u32,
    written: Written,
}

/// What an append needs apart from its bytes.
#[derive(Clone, Debug)]
pub(super) struct Appending {
    spot: Spot,
    guard: Guard,
    conditions: AppendConditions,
}

impl Appending {
    pub(super) fn of(call: &Call) -> Result<Self, Failure> {
        let conditions = AppendConditions {
            size_bytes_max: call.headers().number("x-ms-blob-condition-maxsize")?,
            position: call.headers().number("x-ms-blob-condition-appendpos")?,
        };
        Ok(Self { spot: call.spot(), guard: Guard::of(call)?, conditions })
    }

    /// Decides whether `length` bytes may be appended.
    pub(super) fn decide(
        &self,
        view: &View<'_>,
        length: u64,
    ) -> Result<(ContainerKey, Blob, PieceListId), Failure> {
        let (key, blob) = read::find(view, &self.spot)?;
        self.guard.admit_rewrite(&blob)?;
        self.guard.expect_key(&blob)?;
        append::admit(&blob, length, self.conditions)?;
        match blob.pieces {
            Some(list) => Ok((key, blob, list)),
            None => Err(BlobError::internal().into()),
        }
    }

    /// Appends what was received.
    pub(super) async fn commit(self, call: &Call, received: Received) -> Result<Appended, Failure> {
        let stamps = call.service.stamps.clone();
        let op = move |tx: &mut Tx<'_>| -> Result<Appended, Failure> {
            let length = received.size_bytes;
            let (key, mut blob, list) = self.decide(tx, length)?;
            let offset = blob.size_bytes;
            let mut uses = ExtentUses::default();
            run::write(tx, list, offset, received, &mut uses)?;
            blob.size_bytes += length;
            blob.details.n_appended += 1;
            blob.modified_at = stamps.next();
            blob.lease = self.guard.lease_left(blob.lease.take());
            tx.update_blob(key, &blob)?;
            let freed = tx.apply_extent_uses(uses)?;
            let written = Written { freed, ..Written::of(&blob) };
            Ok(Appended { offset, n_appended: blob.details.n_appended, written })
        };
        let mut appended = call.service.store.write(op).await?;
        call.service.remove_files(std::mem::take(&mut appended.written.freed)).await;
        Ok(appended)
    }
}

/// `PUT /CONTAINER/BLOB?comp=appendblock`.
pub(super) async fn block(call: &Call, body: &mut Body) -> Answer {
    let told = Told::read(call.headers())?;
    let appending = Appending::of(call)?;
    let announced = call.headers().number::<u64>("Content-Length")?.unwrap_or(0);
    call.service.store.read(|view| appending.decide(view, announced))?;
    let limit_bytes = call.gates.append_block_bytes_max;
    let received = receive::content(call, body, limit_bytes, INLINE_BYTES_MAX).await?;
    if received.size_bytes == 0 {
        return Err(BlobError::invalid_header("Content-Length", "0").into());
    }
    received.check(&told)?;
    let response = received.confirm(Response::new(201), &told, &call.gates);
    let appended = appending.commit(call, received).await?;
    Ok(answer(call, &appended, with_structure(call, response)))
}

/// The answer to an append, which begins with the checksum of what came.
pub(super) fn answer(call: &Call, appended: &Appended, response: Response) -> Response {
    let response = with_face(response, appended.written.modified_at, &call.gates)
        .with_header("x-ms-blob-append-offset", appended.offset.to_string())
        .with_header("x-ms-blob-committed-block-count", appended.n_appended.to_string());
    with_encryption(response, &call.gates)
}

/// `PUT /CONTAINER/BLOB?comp=seal`: the blob takes no more.
pub(super) async fn seal(call: &Call) -> Answer {
    let appending = Appending::of(call)?;
    let stamps = call.service.stamps.clone();
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, mut blob) = read::find(tx, &appending.spot)?;
        appending.guard.admit_rewrite(&blob)?;
        blob.kind.expect(BlobKind::Append)?;
        if appending.conditions.position.is_some_and(|position| position != blob.size_bytes) {
            let size_bytes = blob.size_bytes;
            return Err(BlobRejection::AppendPositionNotMet { size_bytes }.into());
        }
        blob.details.is_sealed = true;
        blob.modified_at = stamps.next();
        tx.update_blob(key, &blob)?;
        Ok(Written::of(&blob))
    };
    let written = call.service.commit(op).await?;
    let response = with_written(Response::new(200), &written, &call.gates);
    Ok(response.with_header("x-ms-blob-sealed", "true"))
}
