//! Operations that read a blob.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use kiln_domain::blob::content::{Blob, ExtentId, Slice, slices};
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::limits::RANGE_CHECKSUM_BYTES_MAX;
use kiln_extents::{FileId, Pin, ReadStream};
use kiln_store::{ContainerKey, ExtentPlace, View};
use kiln_wire::blob::checksum::{CRC64_HEADER, Crc64, crc64_text};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::headers::{Headers, md5_text};
use kiln_wire::blob::range::{Part, Range};
use kiln_wire::blob::structured::{self, Encoder};
use kiln_wire::blob::xml::Writer;

use super::BlobService;
use super::answer::{self, Answer, with_face, with_metadata};
use super::call::{At, Call, Spot};
use super::describe::describe;
use super::failure::Failure;
use super::guard::Guard;
use super::read;
use crate::http::{self, Body, FileRange, Response, ResponseBody};

/// Times a read is begun anew because its blob was replaced meanwhile.
const ATTEMPTS_MAX: usize = 16;

/// `HEAD /CONTAINER/BLOB`.
pub(super) fn properties(call: &Call) -> Answer {
    let (_, blob) = read::load(call)?;
    let mut response = describe(call, &blob, Response::new(200));
    if let Some(md5) = &blob.properties.md5 {
        response = response.with_header("Content-MD5", md5.as_str());
    }
    response.body = ResponseBody::HeadOnly { length: blob.size_bytes };
    Ok(response)
}

/// `GET` or `HEAD /CONTAINER/BLOB?comp=metadata`.
pub(super) fn metadata(call: &Call) -> Answer {
    let (_, blob) = read::load(call)?;
    let response = with_face(Response::new(200), blob.modified_at, &call.gates);
    Ok(with_metadata(response, &blob.metadata))
}

/// `GET /CONTAINER/BLOB?comp=blocklist`.
pub(super) fn block_list(call: &Call) -> Answer {
    let wanted = call.parameter("blocklisttype").unwrap_or("committed").to_ascii_lowercase();
    let (shows_committed, shows_staged) = match wanted.as_str() {
        "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        other => {
            let reason = "one of committed, uncommitted, all is expected";
            return Err(BlobError::invalid_parameter("blocklisttype", other, reason).into());
        }
    };
    let spot = call.spot();
    let guard = Guard::of(call)?;
    let (blob, committed, staged) = call.service.store.read(|view| {
        let key = spot.container(view)?.key;
        let blob = read::edition(view, key, &spot)?;
        let staged = match spot.at {
            At::Now => view.staged_blocks(key, &spot.blob)?,
            At::Snapshot(_) | At::Version(_) => Vec::new(),
        };
        let Some(blob) = blob else {
            return if staged.is_empty() {
                Err(spot.no_blob())
            } else {
                Ok((None, Vec::new(), staged))
            };
        };
        guard.admit_read(&blob)?;
        blob.kind.expect(BlobKind::Block)?;
        let committed = view.blob_blocks(key, &spot.blob, blob.edition.moment())?;
        Ok::<_, Failure>((Some(blob), committed, staged))
    })?;
    let mut xml = Writer::new();
    xml.open("BlockList", &[]);
    let parts = [
        ("CommittedBlocks", shows_committed, committed),
        ("UncommittedBlocks", shows_staged, staged),
    ];
    // Both parts are always there, if empty: azure-storage 0.3x does not look before it reads.
    for (name, is_shown, blocks) in parts {
        xml.open(name, &[]);
        for block in blocks.iter().filter(|block| is_shown && !block.id.is_empty()) {
            xml.open("Block", &[]);
            xml.leaf("Name", &block.id);
            xml.leaf("Size", &block.size_bytes.to_string());
            xml.close("Block");
        }
        xml.close(name);
    }
    xml.close("BlockList");
    let size_bytes = blob.as_ref().map_or(0, |blob| blob.size_bytes);
    let response =
        answer::xml(xml.finish()).with_header("x-ms-blob-content-length", size_bytes.to_string());
    Ok(match &blob {
        Some(blob) => with_face(response, blob.modified_at, &call.gates),
        None => response,
    })
}

/// `GET /CONTAINER/BLOB`, the whole or a range.
pub(super) async fn content(call: &Call) -> Answer {
    let headers = call.headers();
    let range = headers.get("x-ms-range").or_else(|| headers.get("Range")).and_then(Range::parse);
    let wanted = RangeSum::read(headers)?;
    let is_structured = structured::is_asked(headers)?;
    let opened = open(&call.service, &call.spot(), &Guard::of(call)?, range)?;
    let Opened { blob, start, length, content } = opened;
    let is_part = range.is_some();
    let mut response = describe(call, &blob, Response::new(if is_part { 206 } else { 200 }));
    if is_part {
        let last = (start + length).saturating_sub(1);
        let value = format!("bytes {start}-{last}/{}", blob.size_bytes);
        response = response.with_header("Content-Range", value);
    }
    match &blob.properties.md5 {
        Some(md5) if !is_part => response = response.with_header("Content-MD5", md5.as_str()),
        Some(md5) if call.gates.has_blob_md5_on_ranges() => {
            response = response.with_header("x-ms-blob-content-md5", md5.as_str());
        }
        Some(_) | None => {}
    }
    let Some(wanted) = wanted else {
        if is_structured {
            return Ok(with_structure(response, content, length));
        }
        response.body = content.into_body(length);
        return Ok(response);
    };
    if !is_part || length > RANGE_CHECKSUM_BYTES_MAX {
        return Err(BlobError::invalid_header(wanted.header(), "true").into());
    }
    let bytes = content.collect().await?;
    Ok(match wanted {
        RangeSum::Md5 => response.with_header("Content-MD5", md5_text(fast_md5::digest(&bytes))),
        RangeSum::Crc64 => response.with_header(CRC64_HEADER, crc64_text(Crc64::of(&bytes))),
    }
    .with_body(bytes))
}

/// The checksum that is asked for of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RangeSum {
    Md5,
    Crc64,
}

impl RangeSum {
    /// Reads the headers of a request; one checksum is enough, and two are refused.
    fn read(headers: Headers<'_>) -> Result<Option<Self>, BlobError> {
        let is_asked = |sum: Self| {
            headers.get(sum.header()).is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        match (is_asked(Self::Md5), is_asked(Self::Crc64)) {
            (false, false) => Ok(None),
            (true, false) => Ok(Some(Self::Md5)),
            (false, true) => Ok(Some(Self::Crc64)),
            (true, true) => Err(BlobError::invalid_header(Self::Crc64.header(), "true")),
        }
    }

    const fn header(self) -> &'static str {
        match self {
            Self::Md5 => "x-ms-range-get-content-md5",
            Self::Crc64 => "x-ms-range-get-content-crc64",
        }
    }
}

/// The answer with `content` in a frame, segment by segment as it is read.
fn with_structure(response: Response, content: Content, length: u64) -> Response {
    let mut encoder = Encoder::new(length);
    let framed_length = encoder.framed_length();
    let ready = VecDeque::from([encoder.begin()]);
    let framing = Framing { content: Some(content), encoder, ready };
    let stream = stream::unfold(framing, |mut framing| async move {
        let bytes = framing.next().await?;
        Some((bytes, framing))
    });
    let mut response = response
        .with_header(structured::HEADER, structured::FORM)
        .with_header(structured::LENGTH_HEADER, length.to_string());
    response.body = ResponseBody::Stream { length: Some(framed_length), stream: Box::pin(stream) };
    response
}

/// Content that is put into a frame while it is sent.
struct Framing {
    content: Option<Content>,
    encoder: Encoder,
    ready: VecDeque<Bytes>,
}

impl Framing {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            match self.content.as_mut()?.next().await {
                Some(Ok(bytes)) => {
                    let mut out = Vec::new();
                    self.encoder.push(bytes, &mut out);
                    self.ready.extend(out);
                }
                Some(Err(failure)) => {
                    self.content = None;
                    return Some(Err(failure));
                }
                None => {
                    self.content = None;
                    return Some(Ok(self.encoder.end()));
                }
            }
        }
    }
}

/// A part of a blob as a body that is taken in again, for operations whose content lies here.
pub(super) fn as_body(
    service: &BlobService,
    spot: &Spot,
    guard: &Guard,
    range: Option<Range>,
) -> Result<(Blob, u64, Body), Failure> {
    let Opened { blob, length, content, .. } = open(service, spot, guard, range)?;
    let pieces = stream::unfold(content, |mut content| async move {
        let bytes = content.next().await?;
        Some((bytes, content))
    });
    Ok((blob, length, Body::from_stream(pieces)))
}

/// A blob, and the part of its content that is to be sent.
struct Opened {
    blob: Blob,
    start: u64,
    length: u64,
    content: Content,
}

/// Finds the blob, checks the request's conditions and opens the wanted part. Files are
/// pinned, and the blob looked at once more after that: whoever replaces it later leaves the
/// files to this reader.
fn open(
    service: &BlobService,
    spot: &Spot,
    guard: &Guard,
    range: Option<Range>,
) -> Result<Opened, Failure> {
    for _ in 0..ATTEMPTS_MAX {
        let (key, blob, part, window) = service.store.read(|view| {
            let (key, blob) = read::find(view, spot)?;
            guard.admit_read(&blob)?;
            guard.expect_key(&blob)?;
            blob.expect_online()?;
            let (start, length) = match range.map(|range| range.of(blob.size_bytes)) {
                None => (0, blob.size_bytes),
                Some(Part::Bytes { start, length }) => (start, length),
                Some(Part::Unsatisfiable) => {
                    return Err(BlobError::invalid_range(blob.size_bytes).into());
                }
            };
            let window = Window::read(view, key, &blob, start, start + length)?;
            Ok::<_, Failure>((key, blob, (start, length), window))
        })?;
        let (start, length) = part;
        let pin = window.pin(service);
        let now = match &pin {
            Some(_) => service.store.read(|view| read::edition(view, key, spot))?,
            None => Some(blob.clone()),
        };
        if now.is_some_and(|now| now.modified_at == blob.modified_at) {
            let files = pin.map(|pin| (service.clone(), pin));
            let end = start + length;
            let rest = (window.end < end).then(|| Rest {
                service: service.clone(),
                key,
                blob: blob.clone(),
                start: window.end,
                end,
            });
            let content = Content { pieces: window.pieces.into(), reading: None, files, rest };
            return Ok(Opened { blob, start, length, content });
        }
    }
    let message = "The blob is being replaced all the time. Please retry the request.";
    Err(BlobError::new(503, "ServerBusy", message).into())
}

/// A run of bytes of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Memory(Bytes),
    File(FileId, u64, u64),
    Zeros(u64),
}

impl Piece {
    fn file(&self) -> Option<FileId> {
        match self {
            Self::Memory(_) | Self::Zeros(_) => None,
            Self::File(id, ..) => Some(*id),
        }
    }
}

/// Pieces of one list that are looked up at once: what of them is in memory stays small.
const PIECES_PER_WINDOW: usize = 512;

/// The first pieces of a part of a blob, and where they end.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    pieces: Vec<Piece>,
    end: u64,
}

impl Window {
    fn read(
        view: &View<'_>,
        key: ContainerKey,
        blob: &Blob,
        start: u64,
        end: u64,
    ) -> Result<Self, Failure> {
        let Some(list) = blob.pieces else {
            let blocks = view.blob_blocks(key, &blob.name, blob.edition.moment())?;
            return Ok(Self { pieces: locate(view, &slices(&blocks, start, end - start))?, end });
        };
        let found = view.pieces(list, start, end, PIECES_PER_WINDOW)?;
        let is_last = found.len() < PIECES_PER_WINDOW;
        let mut at = start;
        let mut pieces = Vec::new();
        for piece in found {
            let (from, to) = (piece.start.max(at), (piece.start + piece.slice.length).min(end));
            if from > at {
                pieces.push(Piece::Zeros(from - at));
            }
            let offset = piece.slice.offset + (from - piece.start);
            let slice = Slice { offset, length: to - from, ..piece.slice };
            pieces.append(&mut locate(view, &[slice])?);
            at = to;
        }
        if is_last && at < end {
            pieces.push(Piece::Zeros(end - at));
            at = end;
        }
        Ok(Self { pieces, end: at })
    }

    /// Keeps the files readable; `None` when there are none.
    fn pin(&self, service: &BlobService) -> Option<Arc<Pin>> {
        let files: Vec<FileId> = self.pieces.iter().filter_map(Piece::file).collect();
        if files.is_empty() { None } else { Some(Arc::new(service.extents.pin(files))) }
    }
}

/// What of an append or page blob is to be sent and was not looked up yet.
#[derive(Debug)]
struct Rest {
    service: BlobService,
    key: ContainerKey,
    blob: Blob,
    start: u64,
    end: u64,
}

impl Rest {
    /// Looks up the next window and pins its files; that the pieces are the same afterwards
    /// shows that the files were not removed before. A blob that was replaced meanwhile ends
    /// the answer: its rest would be of another one.
    fn next(&self) -> Result<(Window, Option<Arc<Pin>>), Failure> {
        let read = || {
            self.service.store.read(|view| {
                let moment = self.blob.edition.moment();
                let now = view.blob_at(self.key, &self.blob.name, moment)?;
                match now {
                    Some(now) if now.pieces == self.blob.pieces => {
                        Window::read(view, self.key, &self.blob, self.start, self.end)
                    }
                    Some(_) | None => Err(BlobError::internal().into()),
                }
            })
        };
        for _ in 0..ATTEMPTS_MAX {
            let window = read()?;
            let pin = window.pin(&self.service);
            if pin.is_none() || read()? == window {
                return Ok((window, pin));
            }
        }
        Err(BlobError::internal().into())
    }
}

/// Finds where the wanted bytes are; an extent that is named many times is looked up once.
fn locate(view: &View<'_>, wanted: &[Slice]) -> Result<Vec<Piece>, Failure> {
    enum Known {
        Memory(Bytes),
        File(FileId),
    }
    let mut known: BTreeMap<ExtentId, Known> = BTreeMap::new();
    let mut pieces = Vec::with_capacity(wanted.len());
    for slice in wanted {
        let place = match known.entry(slice.extent) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match view.extent_place(slice.extent)? {
                Some(ExtentPlace::Inline(bytes)) => entry.insert(Known::Memory(bytes.into())),
                Some(ExtentPlace::File(file)) => entry.insert(Known::File(FileId(file))),
                None => {
                    tracing::error!(extent = slice.extent.0, "a blob names an unknown extent");
                    return Err(BlobError::internal().into());
                }
            },
        };
        pieces.push(match place {
            Known::File(id) => Piece::File(*id, slice.offset, slice.length),
            Known::Memory(bytes) => {
                let start = usize::try_from(slice.offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(usize::try_from(slice.length).unwrap_or(usize::MAX));
                Piece::Memory(bytes.slice(start.min(bytes.len())..end.min(bytes.len())))
            }
        });
    }
    Ok(pieces)
}

/// The bytes of an answer, one piece after another.
struct Content {
    pieces: VecDeque<Piece>,
    reading: Option<ReadStream>,
    files: Option<(BlobService, Arc<Pin>)>,
    rest: Option<Rest>,
}

/// Zeros that are sent at once.
const ZEROS: &[u8] = &[0; 256 * 1024];

impl Content {
    /// The next piece; of a long one of zeros a part.
    fn pop(&mut self) -> Option<io::Result<Piece>> {
        loop {
            match self.pieces.pop_front() {
                Some(Piece::Zeros(0)) => {}
                Some(Piece::Zeros(length)) => {
                    let n_now = usize::try_from(length).map_or(ZEROS.len(), |n| n.min(ZEROS.len()));
                    let left = length.saturating_sub(u64::try_from(n_now).unwrap_or(length));
                    self.pieces.push_front(Piece::Zeros(left));
                    let zeros = ZEROS.get(..n_now).unwrap_or(ZEROS);
                    return Some(Ok(Piece::Memory(Bytes::from_static(zeros))));
                }
                Some(piece) => return Some(Ok(piece)),
                None => {
                    let mut rest = self.rest.take()?;
                    match rest.next() {
                        Ok((window, pin)) => {
                            self.files = pin.map(|pin| (rest.service.clone(), pin));
                            self.pieces = window.pieces.into();
                            rest.start = window.end;
                            self.rest = (rest.start < rest.end).then_some(rest);
                        }
                        Err(failure) => {
                            tracing::warn!(?failure, "an answer was cut short");
                            return Some(Err(io::Error::other("the blob was replaced")));
                        }
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(reading) = &mut self.reading {
                match reading.next().await {
                    Some(Ok(bytes)) => return Some(Ok(bytes)),
                    Some(Err(failure)) => {
                        tracing::error!(
                            cause = &failure as &dyn std::error::Error,
                            "an answer was cut short"
                        );
                        self.pieces.clear();
                        return Some(Err(failure.into()));
                    }
                    None => self.reading = None,
                }
            }
            match self.pop()? {
                Ok(Piece::Memory(bytes)) => return Some(Ok(bytes)),
                Ok(Piece::File(id, offset, length)) => self.start_files((id, offset, length)),
                Ok(Piece::Zeros(_)) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
    }

    /// Reads the files up to the next piece that is in memory as one run.
    fn start_files(&mut self, first: (FileId, u64, u64)) {
        let mut run = vec![first];
        while let Some(Piece::File(id, offset, length)) = self.pieces.front() {
            run.push((*id, *offset, *length));
            self.pieces.pop_front();
        }
        if let Some((service, pin)) = &self.files {
            self.reading = Some(service.extents.read(run, Arc::clone(pin)));
        }
    }

    async fn collect(mut self) -> Result<Bytes, Failure> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next().await {
            match bytes {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(_logged) => return Err(BlobError::internal().into()),
            }
        }
        Ok(all.freeze())
    }

    fn into_body(mut self, length: u64) -> ResponseBody {
        if self.files.is_none() && self.rest.is_none() && self.pieces.len() <= 1 {
            match self.pieces.pop_front() {
                Some(Piece::Memory(bytes)) => return ResponseBody::Bytes(bytes),
                Some(other) => self.pieces.push_front(other),
                None => return ResponseBody::Bytes(Bytes::new()),
            }
        }
        let are_files = self.files.as_ref().is_none_or(|(service, _)| service.extents.are_files());
        if !are_files {
            let stream = stream::unfold(self, |mut content| async move {
                let piece = content.next().await?;
                Some((piece.map(http::Piece::Bytes), content))
            });
            return ResponseBody::Pieces { length, stream: Box::pin(stream) };
        }
        let sending = Sending { content: self, last: None };
        let stream = stream::unfold(sending, |mut sending| async move {
            let piece = sending.next()?;
            Some((piece, sending))
        });
        ResponseBody::Pieces { length, stream: Box::pin(stream) }
    }
}

/// The content of an answer as the engine sends it: files are handed over open, one at a time.
struct Sending {
    content: Content,
    last: Option<(FileId, Arc<File>)>,
}

impl Sending {
    fn next(&mut self) -> Option<io::Result<http::Piece>> {
        let (id, offset, length) = match self.content.pop()? {
            Ok(Piece::Memory(bytes)) => return Some(Ok(http::Piece::Bytes(bytes))),
            Ok(Piece::File(id, offset, length)) => (id, offset, length),
            Ok(Piece::Zeros(_)) => return Some(Ok(http::Piece::Bytes(Bytes::new()))),
            Err(failure) => return Some(Err(failure)),
        };
        match self.open(id) {
            Ok(file) => Some(Ok(http::Piece::File(FileRange { file, offset, length }))),
            Err(failure) => {
                tracing::error!(
                    cause = &failure as &dyn std::error::Error,
                    "an answer was cut short"
                );
                self.content.pieces.clear();
                Some(Err(failure))
            }
        }
    }

    /// The file of an extent; slices that follow each other are often of the same.
    fn open(&mut self, id: FileId) -> io::Result<Arc<File>> {
        if let Some((last, file)) = &self.last
            && *last == id
        {
            return Ok(Arc::clone(file));
        }
        let Some((service, _pin)) = &self.content.files else {
            return Err(io::Error::other("bug: a file that is not pinned"));
        };
        let file = Arc::new(service.extents.open_file(id)?);
        self.last = Some((id, Arc::clone(&file)));
        Ok(file)
    }
}
