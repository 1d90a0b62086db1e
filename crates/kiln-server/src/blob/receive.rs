//! Taking in bodies: small ones into memory, others to the disk as they come.

use std::io;

use bytes::Bytes;
use kiln_extents::{Kept, Upload};
use kiln_store::{ExtentPlace, Tx};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::headers::md5_text;
use md5::{Digest, Md5};

use super::call::Call;
use super::failure::Failure;
use crate::http::Body;
use kiln_domain::blob::content::ExtentId;

/// Bytes of a body that is kept in its row, without a file of its own.
pub(super) const INLINE_BYTES_MAX: u64 = 32 * 1024;

/// Content that was taken in and belongs to no blob yet. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Received {
    /// How many bytes.
    pub(super) size_bytes: u64,
    /// Their checksum.
    pub(super) md5: [u8; 16],
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File(Box<Upload>, Kept),
}

impl Received {
    /// Keeps the content in the operation that names it. From here on a file is left alone; if
    /// the operation fails after all, the next sweep finds it.
    pub(super) fn keep(self, tx: &mut Tx<'_>) -> Result<ExtentId, Failure> {
        match self.place {
            Place::Memory(bytes) => Ok(tx.insert_extent(&ExtentPlace::Inline(bytes))?),
            Place::File(upload, kept) => {
                let id = tx.insert_extent(&ExtentPlace::File(kept.id.0))?;
                upload.keep();
                Ok(id)
            }
        }
    }

    /// Decides whether the content is what the request says it is.
    pub(super) fn check_md5(&self, sent: Option<[u8; 16]>) -> Result<(), BlobError> {
        match sent {
            Some(sent) if sent != self.md5 => {
                Err(BlobError::md5_mismatch(&md5_text(sent), &md5_text(self.md5)))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Takes in content of at most `limit_bytes`; up to `inline_bytes_max` of it stay in memory.
pub(super) async fn content(
    call: &Call,
    body: &mut Body,
    limit_bytes: u64,
    inline_bytes_max: u64,
) -> Result<Received, Failure> {
    if call.headers().get("x-ms-structured-body").is_some() {
        return Err(BlobError::not_served("structured bodies (x-ms-structured-body)").into());
    }
    let announced = call.headers().get("Content-Length").and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(BlobError::body_too_large(limit_bytes).into());
    }
    let mut small = Vec::new();
    let mut upload: Option<Box<Upload>> = None;
    let mut size_bytes = 0_u64;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Failure::BodyEnded)?;
        size_bytes = size_bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if size_bytes > limit_bytes {
            return Err(BlobError::body_too_large(limit_bytes).into());
        }
        match &mut upload {
            Some(upload) => upload.write(piece).await?,
            None if size_bytes <= inline_bytes_max => small.extend_from_slice(&piece),
            None => {
                let mut begun = Box::new(call.service.extents.upload());
                begun.write(Bytes::from(std::mem::take(&mut small))).await?;
                begun.write(piece).await?;
                upload = Some(begun);
            }
        }
    }
    if announced.is_some_and(|length| length != size_bytes) {
        return Err(Failure::BodyEnded(io::ErrorKind::UnexpectedEof.into()));
    }
    match upload {
        Some(mut upload) => {
            let kept = upload.finish().await?;
            Ok(Received { size_bytes, md5: kept.md5, place: Place::File(upload, kept) })
        }
        None => {
            let md5 = Md5::digest(&small).into();
            Ok(Received { size_bytes, md5, place: Place::Memory(small) })
        }
    }
}

/// Takes in a document of at most `limit_bytes`.
pub(super) async fn document(body: &mut Body, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut document = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Failure::BodyEnded)?;
        if document.len().saturating_add(piece.len()) > limit_bytes {
            let limit_bytes = u64::try_from(limit_bytes).unwrap_or(u64::MAX);
            return Err(BlobError::body_too_large(limit_bytes).into());
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}
