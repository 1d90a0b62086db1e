//! Taking in bodies: small ones into memory, others to the disk as they come.

use std::io;

use bytes::Bytes;
use kiln_extents::{Extents, Kept, Upload};
use kiln_store::{ExtentPlace, Tx};
use kiln_wire::blob::checksum::{CRC64_HEADER, Crc64, Told, crc64_text};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::gates::Gates;
use kiln_wire::blob::headers::md5_text;
use kiln_wire::blob::structured::{self, Decoder};

use super::call::Call;
use super::failure::Failure;
use crate::http::{Body, Response};
use kiln_domain::blob::content::ExtentId;

/// Bytes of a body that is kept in its row, without a file of its own.
pub(super) const INLINE_BYTES_MAX: u64 = 32 * 1024;

/// Content that was taken in and belongs to no blob yet. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Received {
    /// How many bytes.
    pub(super) size_bytes: u64,
    /// Their checksums.
    pub(super) md5: [u8; 16],
    pub(super) crc64: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File(Box<Upload>, Kept),
}

impl Received {
    /// Keeps the content in the operation that names it. From here on a file is left alone; if
    /// the operation fails after all, [`super::BlobService::settle`] finds it.
    pub(super) fn keep(self, tx: &mut Tx<'_>) -> Result<ExtentId, Failure> {
        match self.place {
            Place::Memory(bytes) => Ok(tx.insert_extent(&ExtentPlace::Inline(bytes))?),
            Place::File(upload, kept) => {
                let id = tx.insert_extent(&ExtentPlace::File(kept.id.0))?;
                tx.keep_digest(id, kept.size_bytes, kept.md5)?;
                upload.keep();
                Ok(id)
            }
        }
    }

    /// The content, when it is in memory and would be kept in a row.
    pub(super) fn in_memory(&self) -> Option<&[u8]> {
        match &self.place {
            Place::Memory(bytes) => Some(bytes),
            Place::File(..) => None,
        }
    }

    /// Decides whether the content is what the request says it is.
    pub(super) fn check(&self, told: &Told) -> Result<(), BlobError> {
        check_md5(told.md5, self.md5)?;
        told.check_crc64(self.crc64)
    }

    /// That the content came as it was sent, by the checksum that the client used, or else by
    /// the one that its version knows.
    pub(super) fn confirm(&self, response: Response, told: &Told, gates: &Gates) -> Response {
        confirm(response, told, (self.md5, self.crc64), gates)
    }
}

/// Decides whether a checksum that was told is the right one.
pub(super) fn check_md5(told: Option<[u8; 16]>, computed: [u8; 16]) -> Result<(), BlobError> {
    match told {
        Some(told) if told != computed => {
            Err(BlobError::md5_mismatch(&md5_text(told), &md5_text(computed)))
        }
        Some(_) | None => Ok(()),
    }
}

/// That a body with these checksums came as it was sent.
pub(super) fn confirm(
    response: Response,
    told: &Told,
    (md5, crc64): ([u8; 16], u64),
    gates: &Gates,
) -> Response {
    if told.md5.is_some() || !gates.has_crc64() {
        response.with_header("Content-MD5", md5_text(md5))
    } else {
        response.with_header(CRC64_HEADER, crc64_text(crc64))
    }
}

/// Takes bodies out of the frame that they may be in, and sums them up.
struct Intake {
    framed: Option<Decoder>,
    crc64: Crc64,
    /// Bytes of content, where they were announced.
    announced: Option<u64>,
}

impl Intake {
    fn of(call: &Call) -> Result<Self, Failure> {
        let headers = call.headers();
        let length = announced(call);
        if !structured::is_asked(headers)? {
            return Ok(Self { framed: None, crc64: Crc64::default(), announced: length });
        }
        let announced = structured::content_length(headers)?;
        let framed = Some(Decoder::new(length, announced));
        Ok(Self { framed, crc64: Crc64::default(), announced: Some(announced) })
    }

    /// The content in a piece of the body.
    fn take(&mut self, piece: Bytes) -> Result<Vec<Bytes>, BlobError> {
        let Some(framed) = &mut self.framed else {
            self.crc64.update(&piece);
            return Ok(vec![piece]);
        };
        let mut content = Vec::new();
        framed.push(piece, &mut content)?;
        Ok(content)
    }

    /// The CRC64 of the content, of which all `size_bytes` came.
    fn finish(self, size_bytes: u64) -> Result<u64, Failure> {
        if let Some(framed) = self.framed {
            return Ok(framed.finish().map_err(BlobError::from)?);
        }
        if self.announced.is_some_and(|length| length != size_bytes) {
            return Err(Failure::BodyEnded(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(self.crc64.value())
    }
}

/// Bytes of the body, where the request tells them.
pub(super) fn announced(call: &Call) -> Option<u64> {
    call.headers().get("Content-Length").and_then(|text| text.parse().ok())
}

/// Takes in content of at most `limit_bytes`; up to `inline_bytes_max` of it stay in memory.
pub(super) async fn content(
    call: &Call,
    body: &mut Body,
    limit_bytes: u64,
    inline_bytes_max: u64,
) -> Result<Received, Failure> {
    let intake = Intake::of(call)?;
    taken(&call.service.extents, body, intake, (limit_bytes, inline_bytes_max)).await
}

/// Takes in what comes from elsewhere and may be `announced`: at most `limit_bytes`, up to
/// `inline_bytes_max` of it in memory.
pub(super) async fn take(
    extents: &Extents,
    body: &mut Body,
    announced: Option<u64>,
    limits: (u64, u64),
) -> Result<Received, Failure> {
    let intake = Intake { framed: None, crc64: Crc64::default(), announced };
    taken(extents, body, intake, limits).await
}

async fn taken(
    extents: &Extents,
    body: &mut Body,
    mut intake: Intake,
    (limit_bytes, inline_bytes_max): (u64, u64),
) -> Result<Received, Failure> {
    if intake.announced.is_some_and(|length| length > limit_bytes) {
        return Err(BlobError::body_too_large(limit_bytes).into());
    }
    extents.require_room(intake.announced.unwrap_or(0))?;
    let small_bytes = intake.announced.unwrap_or(0).min(inline_bytes_max);
    let mut small = Vec::with_capacity(usize::try_from(small_bytes).unwrap_or(0));
    let mut upload: Option<Box<Upload>> = None;
    let mut size_bytes = 0_u64;
    while let Some(piece) = body.next().await {
        for piece in intake.take(piece.map_err(Failure::BodyEnded)?)? {
            size_bytes = size_bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if size_bytes > limit_bytes {
                return Err(BlobError::body_too_large(limit_bytes).into());
            }
            match &mut upload {
                Some(upload) => upload.write(piece).await?,
                None if size_bytes <= inline_bytes_max => small.extend_from_slice(&piece),
                None => {
                    let mut begun = Box::new(extents.upload());
                    begun.write(Bytes::from(std::mem::take(&mut small))).await?;
                    begun.write(piece).await?;
                    upload = Some(begun);
                }
            }
        }
    }
    let crc64 = intake.finish(size_bytes)?;
    match upload {
        Some(mut upload) => {
            let kept = upload.finish().await?;
            Ok(Received { size_bytes, md5: kept.md5, crc64, place: Place::File(upload, kept) })
        }
        None => {
            let md5 = fast_md5::digest(&small);
            Ok(Received { size_bytes, md5, crc64, place: Place::Memory(small) })
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
