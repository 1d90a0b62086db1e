//! Pages of page blobs: which ranges may be written, what a write leaves of older pieces, and
//! what differs between two times.

use super::content::{Piece, Slice};
use super::limits::{PAGE_BLOB_BYTES_MAX, PAGE_BYTES};
use super::rejection::BlobRejection;

/// A run of bytes, its end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// The byte behind the last.
    pub end: u64,
}

impl Span {
    /// How many bytes.
    pub const fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Decides whether a page blob may have this size.
pub fn check_size(size_bytes: u64) -> Result<(), BlobRejection> {
    if !size_bytes.is_multiple_of(PAGE_BYTES) || size_bytes > PAGE_BLOB_BYTES_MAX {
        return Err(BlobRejection::InvalidPageBlobSize { size_bytes });
    }
    Ok(())
}

/// Decides whether `span` is a whole number of pages of a blob of this size.
pub fn check_span(span: Span, size_bytes: u64) -> Result<(), BlobRejection> {
    let is_aligned = span.start.is_multiple_of(PAGE_BYTES)
        && span.end.is_multiple_of(PAGE_BYTES)
        && span.start < span.end;
    if !is_aligned {
        return Err(BlobRejection::InvalidPageRange { start: span.start, end: span.end });
    }
    if span.end > size_bytes {
        return Err(BlobRejection::PageRangeOutside { size_bytes });
    }
    Ok(())
}

/// What a request expects of the sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceConditions {
    /// It is this or less.
    pub at_most: Option<u64>,
    /// It is less.
    pub below: Option<u64>,
    /// It is this.
    pub equal: Option<u64>,
}

impl SequenceConditions {
    /// Decides whether a page blob with the sequence number `found` may be written.
    pub fn decide(self, found: u64) -> Result<(), BlobRejection> {
        let is_met = self.at_most.is_none_or(|number| found <= number)
            && self.below.is_none_or(|number| found < number)
            && self.equal.is_none_or(|number| found == number);
        if is_met { Ok(()) } else { Err(BlobRejection::SequenceNumberNotMet { found }) }
    }
}

/// What is done to a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceAction {
    /// The greater of what it is and this.
    Max(u64),
    /// This.
    Update(u64),
    /// One more.
    Increment,
}

impl SequenceAction {
    /// The number afterwards.
    pub fn apply(self, number: u64) -> u64 {
        match self {
            Self::Max(other) => number.max(other),
            Self::Update(other) => other,
            Self::Increment => number.saturating_add(1),
        }
    }
}

/// What is left of `piece` when the bytes of `span` are taken out of it: before and behind.
pub fn cut(piece: Piece, span: Span) -> [Option<Piece>; 2] {
    let end = piece.start.saturating_add(piece.slice.length);
    let before = (piece.start < span.start).then(|| Piece {
        slice: Slice { length: span.start.min(end) - piece.start, ..piece.slice },
        ..piece
    });
    let behind = (end > span.end).then(|| {
        let skipped = span.end.saturating_sub(piece.start);
        let slice = Slice {
            offset: piece.slice.offset + skipped,
            length: piece.slice.length - skipped,
            ..piece.slice
        };
        Piece { start: piece.start + skipped, slice }
    });
    [before, behind]
}

/// The runs that `pieces`, in order, cover within `within`.
pub fn covered(pieces: &[Piece], within: Span) -> Vec<Span> {
    let mut spans = Vec::new();
    for piece in pieces {
        let end = piece.start.saturating_add(piece.slice.length);
        push(&mut spans, Span { start: piece.start.max(within.start), end: end.min(within.end) });
    }
    spans
}

/// What differs between two times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Written since.
    pub written: Vec<Span>,
    /// Written before and cleared since.
    pub cleared: Vec<Span>,
}

/// What differs within `within` between two lists of pieces: bytes that lie in the same place
/// of the same extent are the same.
pub fn difference(before: &[Piece], now: &[Piece], within: Span) -> Difference {
    let mut bounds: Vec<u64> = vec![within.start, within.end];
    for piece in before.iter().chain(now) {
        let end = piece.start.saturating_add(piece.slice.length);
        bounds.extend(
            [piece.start, end].into_iter().filter(|at| within.start < *at && *at < within.end),
        );
    }
    bounds.sort_unstable();
    bounds.dedup();
    let (mut old, mut new) = (before.iter().peekable(), now.iter().peekable());
    let mut found = Difference::default();
    for (start, end) in bounds.iter().zip(bounds.iter().skip(1)) {
        let span = Span { start: *start, end: *end };
        match (place(&mut old, span.start), place(&mut new, span.start)) {
            (None, None) => {}
            (Some(_), None) => push(&mut found.cleared, span),
            (old, new) if old == new => {}
            (_, Some(_)) => push(&mut found.written, span),
        }
    }
    found
}

/// Where the byte `at` lies, with the pieces that end before it passed over.
fn place<'a>(
    pieces: &mut std::iter::Peekable<impl Iterator<Item = &'a Piece>>,
    at: u64,
) -> Option<(i64, u64)> {
    while pieces.next_if(|piece| piece.start.saturating_add(piece.slice.length) <= at).is_some() {}
    let piece = pieces.peek().filter(|piece| piece.start <= at)?;
    Some((piece.slice.extent.0, piece.slice.offset + (at - piece.start)))
}

/// Adds a run; one that goes on where the last one ended makes it longer.
fn push(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        _ if span.start >= span.end => {}
        Some(last) if last.end == span.start => last.end = span.end,
        Some(_) | None => spans.push(span),
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::ExtentId;
    use super::{Piece, SequenceConditions, Slice, Span, check_span, covered, cut, difference};

    /// `0+10@1:5` is 10 bytes from 0, at 5 of extent 1.
    fn pieces(text: &str) -> Vec<Piece> {
        let piece = |word: &str| {
            let (place, extent) = word.split_once('@').expect("@");
            let (start, length) = place.split_once('+').expect("+");
            let (extent, offset) = extent.split_once(':').expect(":");
            let number = |text: &str| text.parse::<u64>().expect("a number");
            let extent = ExtentId(extent.parse().expect("a number"));
            let slice = Slice { extent, offset: number(offset), length: number(length) };
            Piece { start: number(start), slice }
        };
        text.split_whitespace().map(piece).collect()
    }

    fn shown(spans: &[Span]) -> String {
        let each = spans.iter().map(|span| format!("{}-{}", span.start, span.end));
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn cutting() {
        let piece = pieces("10+10@1:100").pop().expect("one");
        for (start, end, expected) in [
            (0, 10, ["", "10+10@1:100"]),
            (10, 20, ["", ""]),
            (5, 15, ["", "15+5@1:105"]),
            (15, 30, ["10+5@1:100", ""]),
            (12, 18, ["10+2@1:100", "18+2@1:108"]),
        ] {
            let expected = expected.map(|text| pieces(text).pop());
            assert_eq!(cut(piece, Span { start, end }), expected, "{start}-{end}");
        }
    }

    #[test]
    fn runs_join() {
        let pieces = pieces("0+10@1:0 10+5@2:0 20+5@3:0");
        assert_eq!(shown(&covered(&pieces, Span { start: 0, end: 30 })), "0-15 20-25");
        assert_eq!(shown(&covered(&pieces, Span { start: 5, end: 22 })), "5-15 20-22");
    }

    #[test]
    fn differences() {
        let check = |before: &str, now: &str, written: &str, cleared: &str| {
            let whole = Span { start: 0, end: 100 };
            let found = difference(&pieces(before), &pieces(now), whole);
            assert_eq!(
                (shown(&found.written), shown(&found.cleared)),
                (written.to_owned(), cleared.to_owned())
            );
        };
        check("0+10@1:0", "0+10@1:0", "", "");
        check("0+10@1:0", "0+4@1:0 4+2@2:0 6+4@1:6", "4-6", "");
        check("0+10@1:0", "0+4@1:0 6+4@1:6", "", "4-6");
        check("", "0+4@1:0 4+4@2:0", "0-8", "");
        check("0+4@1:0 4+4@2:0", "", "", "0-8");
        check("0+10@1:0", "2+10@3:0", "2-12", "0-2");
    }

    #[test]
    fn pages_are_whole() {
        let check = |start, end| check_span(Span { start, end }, 2048).is_ok();
        assert!(check(0, 512) && check(512, 2048));
        assert!(!check(0, 511) && !check(1, 513) && !check(512, 512) && !check(0, 4096));
        let conditions = SequenceConditions { at_most: Some(5), below: Some(6), equal: None };
        assert!(conditions.decide(5).is_ok() && conditions.decide(6).is_err());
    }
}
