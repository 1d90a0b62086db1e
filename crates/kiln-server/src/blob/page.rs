//! Page blobs.

use kiln_domain::blob::content::{Blob, Piece, PieceListId};
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::limits::PAGE_WRITE_BYTES_MAX;
use kiln_domain::blob::page::{
    self, Difference, SequenceAction, SequenceConditions, Span, check_size, check_span,
};
use kiln_store::{ContainerKey, ExtentUses, Tx, View};
use kiln_wire::blob::checksum::Told;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::range::{Part, Range};
use kiln_wire::blob::xml::Writer;

use super::answer::{self, Answer, with_encryption, with_face};
use super::append::expect_empty;
use super::call::{At, Call, Spot};
use super::failure::Failure;
use super::guard::Guard;
use super::list::max_results;
use super::put::{Content, Replacement, Written, with_structure, with_written};
use super::receive::{self, INLINE_BYTES_MAX, Received};
use super::{read, run};
use crate::http::{Body, Response};

/// Pieces that one answer tells of.
const PIECES_MAX: usize = 1_000_000;

/// `PUT /CONTAINER/BLOB` with `x-ms-blob-type: PageBlob`: one of zeros.
pub(super) async fn create(call: &Call) -> Answer {
    expect_empty(call)?;
    let name = "x-ms-blob-content-length";
    let Some(size_bytes) = call.headers().number::<u64>(name)? else {
        return Err(BlobError::missing_header(name).into());
    };
    check_size(size_bytes)?;
    let sequence_number = call.headers().number("x-ms-blob-sequence-number")?.unwrap_or(0);
    let mut replacement = Replacement::new(call, call.headers().properties_of_put())?;
    replacement.properties.md5 = call.headers().properties().md5;
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, present) = replacement.decide(tx)?;
        let pieces = Some(tx.insert_piece_list()?);
        let content = Content {
            kind: BlobKind::Page,
            size_bytes,
            pieces,
            sequence_number,
            ..Content::default()
        };
        replacement.commit(tx, key, present, content)
    };
    let written = call.service.commit(op).await?;
    let response = with_written(Response::new(201), &written, &call.gates);
    Ok(with_encryption(response, &call.gates))
}

/// What a write of pages needs apart from their bytes.
#[derive(Clone, Debug)]
pub(super) struct PageWrite {
    spot: Spot,
    guard: Guard,
    sequence: SequenceConditions,
    pub(super) span: Span,
}

impl PageWrite {
    pub(super) fn of(call: &Call) -> Result<Self, Failure> {
        let headers = call.headers();
        let sequence = SequenceConditions {
            at_most: headers.number("x-ms-if-sequence-number-le")?,
            below: headers.number("x-ms-if-sequence-number-lt")?,
            equal: headers.number("x-ms-if-sequence-number-eq")?,
        };
        let text = headers.get("x-ms-range").or_else(|| headers.get("Range"));
        let Some(text) = text else { return Err(BlobError::missing_header("x-ms-range").into()) };
        let Some((start, end)) = Range::parse(text).and_then(Range::bounds) else {
            return Err(BlobError::invalid_header("x-ms-range", text).into());
        };
        let span = Span { start, end };
        Ok(Self { spot: call.spot(), guard: Guard::of(call)?, sequence, span })
    }

    /// Decides whether the pages may be written.
    pub(super) fn decide(
        &self,
        view: &View<'_>,
    ) -> Result<(ContainerKey, Blob, PieceListId), Failure> {
        let (key, blob) = read::find(view, &self.spot)?;
        self.guard.admit_rewrite(&blob)?;
        self.guard.expect_key(&blob)?;
        blob.kind.expect(BlobKind::Page)?;
        check_span(self.span, blob.size_bytes)?;
        self.sequence.decide(blob.details.sequence_number)?;
        match blob.pieces {
            Some(list) => Ok((key, blob, list)),
            None => Err(BlobError::internal().into()),
        }
    }

    /// Writes what was received, or zeros.
    pub(super) async fn commit(
        self,
        call: &Call,
        received: Option<Received>,
    ) -> Result<Written, Failure> {
        let stamps = call.service.stamps.clone();
        let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
            let (key, mut blob, list) = self.decide(tx)?;
            let mut uses = ExtentUses::default();
            match received {
                Some(received) => run::write(tx, list, self.span.start, received, &mut uses)?,
                None => run::clear(tx, list, self.span, &mut uses)?,
            }
            blob.modified_at = stamps.next();
            blob.lease = self.guard.lease_left(blob.lease.take());
            // A checksum of the whole would be wrong from here on.
            blob.properties.md5 = None;
            tx.update_blob(key, &blob)?;
            let freed = tx.apply_extent_uses(uses)?;
            Ok(Written { freed, ..Written::of(&blob) })
        };
        call.service.commit(op).await
    }
}

/// `PUT /CONTAINER/BLOB?comp=page`: writes pages or makes them zero.
pub(super) async fn write(call: &Call, body: &mut Body) -> Answer {
    let name = "x-ms-page-write";
    let told = Told::read(call.headers())?;
    let write = PageWrite::of(call)?;
    let action = call.headers().get(name).map(str::to_ascii_lowercase);
    call.service.store.read(|view| write.decide(view))?;
    let received = match action.as_deref() {
        Some("clear") => {
            expect_empty(call)?;
            None
        }
        Some("update") => {
            let length = write.span.length();
            if length > PAGE_WRITE_BYTES_MAX {
                return Err(BlobError::body_too_large(PAGE_WRITE_BYTES_MAX).into());
            }
            let received = receive::content(call, body, length, INLINE_BYTES_MAX).await?;
            if received.size_bytes != length {
                let sent = received.size_bytes.to_string();
                return Err(BlobError::invalid_header("Content-Length", &sent).into());
            }
            received.check(&told)?;
            Some(received)
        }
        Some(other) => return Err(BlobError::invalid_header(name, other).into()),
        None => return Err(BlobError::missing_header(name).into()),
    };
    let mut response = Response::new(201);
    if let Some(received) = &received {
        response = with_structure(call, received.confirm(response, &told, &call.gates));
    }
    let written = write.commit(call, received).await?;
    Ok(answer(call, &written, response))
}

/// The answer to a write of pages, which begins with the checksum of what came.
pub(super) fn answer(call: &Call, written: &Written, response: Response) -> Response {
    let number = written.sequence_number.unwrap_or(0);
    let response = with_face(response, written.modified_at, &call.gates)
        .with_header("x-ms-blob-sequence-number", number.to_string());
    with_encryption(response, &call.gates)
}

/// What Set Blob Properties changes of a page blob besides what all blobs have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageChange {
    size_bytes: Option<u64>,
    sequence: Option<SequenceAction>,
}

impl PageChange {
    pub(super) fn of(call: &Call) -> Result<Self, Failure> {
        let headers = call.headers();
        let size_bytes = headers.number::<u64>("x-ms-blob-content-length")?;
        if let Some(size_bytes) = size_bytes {
            check_size(size_bytes)?;
        }
        let (name, number_name) = ("x-ms-sequence-number-action", "x-ms-blob-sequence-number");
        let number = headers.number::<u64>(number_name)?;
        let needed = || number.ok_or_else(|| BlobError::missing_header(number_name));
        let sequence = match headers.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => None,
            Some("max") => Some(SequenceAction::Max(needed()?)),
            Some("update") => Some(SequenceAction::Update(needed()?)),
            Some("increment") if number.is_none() => Some(SequenceAction::Increment),
            Some("increment") => {
                let sent = number.unwrap_or_default().to_string();
                return Err(BlobError::invalid_header(number_name, &sent).into());
            }
            Some(other) => return Err(BlobError::invalid_header(name, other).into()),
        };
        Ok(Self { size_bytes, sequence })
    }

    pub(super) fn is_nothing(self) -> bool {
        self.size_bytes.is_none() && self.sequence.is_none()
    }

    /// Changes the blob and takes away what lies behind its new end.
    pub(super) fn apply(
        self,
        tx: &mut Tx<'_>,
        blob: &mut Blob,
        uses: &mut ExtentUses,
    ) -> Result<(), Failure> {
        if self.is_nothing() {
            return Ok(());
        }
        blob.kind.expect(BlobKind::Page)?;
        if let Some(action) = self.sequence {
            blob.details.sequence_number = action.apply(blob.details.sequence_number);
        }
        if let (Some(size_bytes), Some(list)) = (self.size_bytes, blob.pieces) {
            let gone = Span { start: size_bytes, end: blob.size_bytes };
            if gone.length() > 0 {
                run::clear(tx, list, gone, uses)?;
            }
            blob.size_bytes = size_bytes;
        }
        Ok(())
    }
}

/// `GET /CONTAINER/BLOB?comp=pagelist`, all written pages or those that differ from an earlier
/// snapshot.
pub(super) fn ranges(call: &Call) -> Answer {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let headers = call.headers();
    let range = headers.get("x-ms-range").or_else(|| headers.get("Range")).and_then(Range::parse);
    let previous = previous(call)?;
    let paging = Paging::of(call)?;
    let (blob, difference) = call.service.store.read(|view| {
        let (key, blob) = read::find(view, &spot)?;
        guard.admit_read(&blob)?;
        blob.kind.expect(BlobKind::Page)?;
        let mut within = match range.map(|range| range.of(blob.size_bytes)) {
            None => Span { start: 0, end: blob.size_bytes },
            Some(Part::Bytes { start, length }) => Span { start, end: start + length },
            Some(Part::Unsatisfiable) => {
                return Err(BlobError::invalid_range(blob.size_bytes).into());
            }
        };
        within.start = within.start.max(paging.from).min(within.end);
        let now = pieces(view, &blob, within)?;
        let Some(at) = previous else {
            let written = page::covered(&now, within);
            return Ok((blob, Difference { written, cleared: Vec::new() }));
        };
        let before = earlier(view, key, &spot, &blob, at)?;
        let difference = page::difference(&pieces(view, &before, within)?, &now, within);
        Ok::<_, Failure>((blob, difference))
    })?;
    let mut xml = Writer::new();
    xml.open("PageList", &[]);
    let mut all: Vec<(Span, &str)> =
        difference.written.iter().map(|it| (*it, "PageRange")).collect();
    all.extend(difference.cleared.iter().map(|it| (*it, "ClearRange")));
    all.sort_by_key(|(span, _)| span.start);
    let next = all.get(paging.n_ranges_max).map(|(span, _)| span.start.to_string());
    for (span, name) in all.into_iter().take(paging.n_ranges_max) {
        xml.open(name, &[]);
        xml.leaf("Start", &span.start.to_string());
        xml.leaf("End", &span.end.saturating_sub(1).to_string());
        xml.close(name);
    }
    if call.gates.has_pages_of_ranges() {
        xml.leaf("NextMarker", &next.unwrap_or_default());
    }
    xml.close("PageList");
    let response = answer::xml(xml.finish())
        .with_header("x-ms-blob-content-length", blob.size_bytes.to_string());
    Ok(with_face(response, blob.modified_at, &call.gates))
}

/// What part of a list of ranges is wanted: a marker is the first byte of what comes next.
#[derive(Clone, Copy, Debug)]
struct Paging {
    from: u64,
    n_ranges_max: usize,
}

impl Paging {
    fn of(call: &Call) -> Result<Self, Failure> {
        let all = Self { from: 0, n_ranges_max: usize::MAX };
        if !call.gates.has_pages_of_ranges() {
            return Ok(all);
        }
        let from = match call.parameter("marker") {
            None => 0,
            Some(text) => text.parse().map_err(|_not_a_number| {
                BlobError::invalid_parameter("marker", text, "not a marker of this list")
            })?,
        };
        Ok(Self { from, n_ranges_max: max_results(call)?.unwrap_or(all.n_ranges_max) })
    }
}

/// The earlier snapshot, by its time or by its URL.
fn previous(call: &Call) -> Result<Option<At>, Failure> {
    if let Some(text) = call.parameter("prevsnapshot") {
        return Ok(Some(At::of_query(&[("snapshot".to_owned(), text.to_owned())])?));
    }
    let name = "x-ms-previous-snapshot-url";
    let Some(url) = call.headers().get(name) else { return Ok(None) };
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    match At::of_query(&pairs)? {
        at @ At::Snapshot(_) => Ok(Some(at)),
        At::Now | At::Version(_) => Err(BlobError::invalid_header(name, url).into()),
    }
}

fn earlier(
    view: &View<'_>,
    key: ContainerKey,
    spot: &Spot,
    blob: &Blob,
    at: At,
) -> Result<Blob, Failure> {
    let Some(before) = read::edition(view, key, &Spot { at, ..spot.clone() })? else {
        let message = "The previous snapshot is not found.";
        return Err(BlobError::new(409, "PreviousSnapshotNotFound", message).into());
    };
    if blob.edition.moment().is_some_and(|moment| before.edition.moment() > Some(moment)) {
        let message = "The prevsnapshot query parameter value cannot be newer than the snapshot.";
        return Err(BlobError::new(400, "PreviousSnapshotCannotBeNewer", message).into());
    }
    Ok(before)
}

fn pieces(view: &View<'_>, blob: &Blob, within: Span) -> Result<Vec<Piece>, Failure> {
    match blob.pieces {
        Some(list) => Ok(view.pieces(list, within.start, within.end, PIECES_MAX)?),
        None => Ok(Vec::new()),
    }
}
