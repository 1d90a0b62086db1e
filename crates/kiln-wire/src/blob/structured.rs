//! Structured bodies, `XSM/1.0`: content in segments, each with its own checksum.
//!
//! All numbers are little-endian. A header (version, length of the whole, flags, number of
//! segments), then for each segment its number and length, its bytes and their CRC64, then the
//! CRC64 of all content. Both directions work on pieces as they come and hold none back.

use bytes::{Bytes, BytesMut};

use super::checksum::Crc64;
use super::error::BlobError;
use super::headers::Headers;

/// The header that asks for it, and says that it is so.
pub const HEADER: &str = "x-ms-structured-body";
/// The header that tells how long the content is without its frame.
pub const LENGTH_HEADER: &str = "x-ms-structured-content-length";
/// The one form there is.
pub const FORM: &str = "XSM/1.0; properties=crc64";

const VERSION: u8 = 1;
const FLAG_CRC64: u16 = 1;
const HEADER_BYTES: usize = 13;
const SEGMENT_HEADER_BYTES: usize = 10;
const CRC64_BYTES: usize = 8;
/// Bytes of content in the segments that are made here.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// Segments of one body: their number is two bytes.
const SEGMENTS_MAX: u64 = 65_535;

/// Whether the request speaks of a structured body; another form than the known one is refused.
pub fn is_asked(headers: Headers<'_>) -> Result<bool, BlobError> {
    let Some(value) = headers.get(HEADER) else { return Ok(false) };
    let plain: String = value.split_whitespace().collect();
    if plain.eq_ignore_ascii_case("XSM/1.0;properties=crc64") {
        Ok(true)
    } else {
        Err(BlobError::invalid_header(HEADER, value))
    }
}

/// How long the content is without its frame, which a structured upload must say.
pub fn content_length(headers: Headers<'_>) -> Result<u64, BlobError> {
    let Some(value) = headers.get(LENGTH_HEADER) else {
        return Err(BlobError::missing_header(LENGTH_HEADER));
    };
    value.parse().map_err(|_not_a_number| BlobError::invalid_header(LENGTH_HEADER, value))
}

/// Why a structured body is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStructure {
    /// The frame is not as it must be.
    #[error("{what} of the structured body is wrong")]
    Frame {
        /// What of it.
        what: &'static str,
    },
    /// The bytes are not those that were sent.
    #[error("the checksum of {what} of the structured body is not that of its bytes")]
    Checksum {
        /// Of what.
        what: &'static str,
    },
}

impl From<BadStructure> for BlobError {
    fn from(bad: BadStructure) -> Self {
        let (code, message) = match bad {
            BadStructure::Frame { .. } => {
                ("InvalidInput", "The structured body is not well formed.")
            }
            BadStructure::Checksum { .. } => (
                "Crc64Mismatch",
                "The CRC64 value specified in the request did not match with the CRC64 value \
                 calculated by the server.",
            ),
        };
        Self::new(400, code, message).with_detail("Reason", bad.to_string())
    }
}

/// What of the frame comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Header,
    SegmentHeader,
    Content { left: u64 },
    SegmentEnd,
    End,
    Nothing,
}

/// Takes content out of its frame.
#[derive(Debug)]
pub struct Decoder {
    region: Region,
    /// A part of the frame that has not come whole yet.
    partial: BytesMut,
    framed_length: Option<u64>,
    content_left: u64,
    taken: u64,
    n_segments: u16,
    segment: u16,
    has_crc: bool,
    segment_crc: Crc64,
    crc: Crc64,
}

impl Decoder {
    /// For a body of `framed_length` bytes, where that is known, with `content_length` bytes of
    /// content in it.
    pub fn new(framed_length: Option<u64>, content_length: u64) -> Self {
        Self {
            region: Region::Header,
            partial: BytesMut::new(),
            framed_length,
            content_left: content_length,
            taken: 0,
            n_segments: 0,
            segment: 0,
            has_crc: true,
            segment_crc: Crc64::default(),
            crc: Crc64::default(),
        }
    }

    /// Takes in more of the body; adds the content in it to `content`.
    pub fn push(&mut self, mut bytes: Bytes, content: &mut Vec<Bytes>) -> Result<(), BadStructure> {
        self.taken = self.taken.saturating_add(len(&bytes));
        // Segments of no bytes and ends without a checksum take no input.
        while !bytes.is_empty() || self.needs() == 0 {
            match self.region {
                Region::Content { left } => {
                    let n_bytes = left.min(len(&bytes));
                    let piece = bytes.split_to(usize::try_from(n_bytes).unwrap_or(bytes.len()));
                    self.segment_crc.update(&piece);
                    self.crc.update(&piece);
                    if !piece.is_empty() {
                        content.push(piece);
                    }
                    let left = left - n_bytes;
                    self.region =
                        if left == 0 { Region::SegmentEnd } else { Region::Content { left } };
                }
                Region::Nothing if bytes.is_empty() => return Ok(()),
                Region::Nothing => return Err(BadStructure::Frame { what: "the end" }),
                Region::Header | Region::SegmentHeader | Region::SegmentEnd | Region::End => {
                    let missing = self.needs() - self.partial.len();
                    self.partial.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
                    if self.partial.len() == self.needs() {
                        let part = self.partial.split().freeze();
                        self.region = self.after(&part)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Bytes of the frame's part that comes next.
    fn needs(&self) -> usize {
        let crc_bytes = if self.has_crc { CRC64_BYTES } else { 0 };
        match self.region {
            Region::Header => HEADER_BYTES,
            Region::SegmentHeader => SEGMENT_HEADER_BYTES,
            Region::Content { left: 0 } => 0,
            Region::Content { .. } | Region::Nothing => usize::MAX,
            Region::SegmentEnd | Region::End => crc_bytes,
        }
    }

    /// What follows a part of the frame that has come whole.
    fn after(&mut self, part: &[u8]) -> Result<Region, BadStructure> {
        match self.region {
            Region::Header => self.after_header(part),
            Region::SegmentHeader => self.after_segment_header(part),
            Region::SegmentEnd => {
                if self.has_crc && number(part) != self.segment_crc.value() {
                    return Err(BadStructure::Checksum { what: "a segment" });
                }
                self.segment_crc = Crc64::default();
                Ok(self.after_segment())
            }
            Region::End => {
                if self.has_crc && number(part) != self.crc.value() {
                    return Err(BadStructure::Checksum { what: "the whole" });
                }
                if self.content_left != 0 {
                    return Err(BadStructure::Frame { what: "the length of the content" });
                }
                Ok(Region::Nothing)
            }
            Region::Content { .. } | Region::Nothing => Ok(self.region),
        }
    }

    fn after_header(&mut self, part: &[u8]) -> Result<Region, BadStructure> {
        let (version, rest) = part.split_at_checked(1).unwrap_or_default();
        let (length, rest) = rest.split_at_checked(8).unwrap_or_default();
        let (flags, n_segments) = rest.split_at_checked(2).unwrap_or_default();
        if version != [VERSION] {
            return Err(BadStructure::Frame { what: "the version" });
        }
        if self.framed_length.is_some_and(|known| known != number(length)) {
            return Err(BadStructure::Frame { what: "the length" });
        }
        self.framed_length = Some(number(length));
        self.has_crc = match number(flags) {
            0 => false,
            flags if flags == u64::from(FLAG_CRC64) => true,
            _ => return Err(BadStructure::Frame { what: "a flag" }),
        };
        self.n_segments = u16::try_from(number(n_segments)).unwrap_or(0);
        Ok(self.after_segment())
    }

    fn after_segment_header(&mut self, part: &[u8]) -> Result<Region, BadStructure> {
        let (number_of, length) = part.split_at_checked(2).unwrap_or_default();
        self.segment += 1;
        if number(number_of) != u64::from(self.segment) {
            return Err(BadStructure::Frame { what: "the number of a segment" });
        }
        let length = number(length);
        match self.content_left.checked_sub(length) {
            Some(left) => self.content_left = left,
            None => return Err(BadStructure::Frame { what: "the length of the content" }),
        }
        Ok(Region::Content { left: length })
    }

    fn after_segment(&self) -> Region {
        if self.segment < self.n_segments { Region::SegmentHeader } else { Region::End }
    }

    /// Decides whether all came; the CRC64 of the content.
    pub fn finish(&self) -> Result<u64, BadStructure> {
        let is_whole = self.region == Region::Nothing && self.framed_length == Some(self.taken);
        if is_whole { Ok(self.crc.value()) } else { Err(BadStructure::Frame { what: "the end" }) }
    }
}

/// Puts content into a frame.
#[derive(Debug)]
pub struct Encoder {
    content_length: u64,
    segment_bytes: u64,
    segment: u64,
    left_of_segment: u64,
    left: u64,
    segment_crc: Crc64,
    crc: Crc64,
}

impl Encoder {
    /// For content of this length.
    pub fn new(content_length: u64) -> Self {
        let segment_bytes = SEGMENT_BYTES.max(content_length.div_ceil(SEGMENTS_MAX));
        Self {
            content_length,
            segment_bytes,
            segment: 0,
            left_of_segment: 0,
            left: content_length,
            segment_crc: Crc64::default(),
            crc: Crc64::default(),
        }
    }

    fn n_segments(&self) -> u64 {
        self.content_length.div_ceil(self.segment_bytes).max(1)
    }

    /// Bytes of the whole, with its frame.
    pub fn framed_length(&self) -> u64 {
        let of_frame = HEADER_BYTES + CRC64_BYTES;
        let of_segment = SEGMENT_HEADER_BYTES + CRC64_BYTES;
        let of_segments = self.n_segments() * u64::try_from(of_segment).unwrap_or(u64::MAX);
        self.content_length + of_segments + u64::try_from(of_frame).unwrap_or(u64::MAX)
    }

    /// What stands before the content.
    pub fn begin(&mut self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + SEGMENT_HEADER_BYTES);
        out.extend_from_slice(&[VERSION]);
        out.extend_from_slice(&self.framed_length().to_le_bytes());
        out.extend_from_slice(&FLAG_CRC64.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.n_segments()).unwrap_or(u16::MAX).to_le_bytes());
        self.begin_segment(&mut out);
        out.freeze()
    }

    fn begin_segment(&mut self, out: &mut BytesMut) {
        self.segment += 1;
        self.left_of_segment = self.segment_bytes.min(self.left);
        self.segment_crc = Crc64::default();
        out.extend_from_slice(&u16::try_from(self.segment).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&self.left_of_segment.to_le_bytes());
    }

    /// Frames more of the content; adds what is to be sent to `out`.
    pub fn push(&mut self, mut content: Bytes, out: &mut Vec<Bytes>) {
        while !content.is_empty() {
            if self.left_of_segment == 0 {
                let mut between = BytesMut::with_capacity(CRC64_BYTES + SEGMENT_HEADER_BYTES);
                between.extend_from_slice(&self.segment_crc.value().to_le_bytes());
                self.begin_segment(&mut between);
                out.push(between.freeze());
            }
            let n_bytes = self.left_of_segment.min(len(&content));
            if n_bytes == 0 {
                return;
            }
            let piece = content.split_to(usize::try_from(n_bytes).unwrap_or(content.len()));
            self.segment_crc.update(&piece);
            self.crc.update(&piece);
            self.left_of_segment -= n_bytes;
            self.left -= n_bytes;
            out.push(piece);
        }
    }

    /// What stands after the content.
    pub fn end(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(2 * CRC64_BYTES);
        out.extend_from_slice(&self.segment_crc.value().to_le_bytes());
        out.extend_from_slice(&self.crc.value().to_le_bytes());
        out.freeze()
    }
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The number that these bytes are, lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{BadStructure, Bytes, Crc64, Decoder, Encoder, Headers, is_asked};

    fn framed(content: &[u8], segment_bytes: u64) -> Vec<u8> {
        let mut encoder = Encoder::new(u64::try_from(content.len()).expect("small"));
        encoder.segment_bytes = segment_bytes;
        let mut out = vec![encoder.begin()];
        for piece in content.chunks(3) {
            encoder.push(Bytes::copy_from_slice(piece), &mut out);
        }
        out.push(encoder.end());
        let whole = out.concat();
        assert_eq!(u64::try_from(whole.len()).ok(), Some(encoder.framed_length()));
        whole
    }

    fn unframed(body: &[u8], step: usize, length: usize) -> Result<(Vec<u8>, u64), BadStructure> {
        let number = |n: usize| u64::try_from(n).expect("small");
        let mut decoder = Decoder::new(Some(number(body.len())), number(length));
        let mut content = Vec::new();
        for piece in body.chunks(step) {
            decoder.push(Bytes::copy_from_slice(piece), &mut content)?;
        }
        Ok((content.concat(), decoder.finish()?))
    }

    #[test]
    fn content_comes_out_as_it_went_in() {
        for length in [0, 1, 4, 5, 8, 9, 40] {
            let content: Vec<u8> = (0..length).collect();
            let body = framed(&content, 4);
            for step in [1, 2, 7, 1000] {
                let expected = Ok((content.clone(), Crc64::of(&content)));
                assert_eq!(unframed(&body, step, content.len()), expected, "{length} {step}");
            }
        }
    }

    #[test]
    fn the_frame_byte_by_byte() {
        let crc = Crc64::of(b"ab").to_le_bytes();
        let expected = [
            &[1, 41, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0][..],
            &[1, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            b"ab",
            &crc,
            &crc,
        ];
        assert_eq!(framed(b"ab", 4), expected.concat());
    }

    #[test]
    fn a_body_without_checksums_is_taken() {
        let body =
            [&[1, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0][..], &[1, 0, 2, 0, 0, 0, 0, 0, 0, 0], b"ab"];
        assert_eq!(unframed(&body.concat(), 1, 2), Ok((b"ab".to_vec(), Crc64::of(b"ab"))));
    }

    /// A fuzzer finds neither checksums nor the number of a segment by itself.
    #[test]
    fn what_the_fuzzer_begins_with_is_whole() {
        let seeds = [
            &include_bytes!("../../../../fuzz/corpus/blob_parts/frame")[..],
            include_bytes!("../../../../fuzz/corpus/blob_parts/frame_without_checksums"),
        ];
        for (seed, expected) in seeds.into_iter().zip([&b"one two 35"[..], b"abcd\x05"]) {
            // As in `fuzz/targets/blob_parts.rs`: the step, the frame, whose last byte is the length.
            let (step, body) = seed.split_first().expect("a step");
            let length = usize::from(*body.last().expect("a length"));
            let found = unframed(body, usize::from(*step), length);
            assert_eq!(found, Ok((expected.to_vec(), Crc64::of(expected))));
        }
    }

    #[test]
    fn every_wrong_byte_is_found() {
        let content: Vec<u8> = (0..10).collect();
        let body = framed(&content, 4);
        for at in 0..body.len() {
            let mut wrong = body.clone();
            wrong[at] ^= 0x40;
            assert!(unframed(&wrong, 5, content.len()).is_err(), "byte {at}");
        }
        assert!(unframed(&body[..body.len() - 1], 5, content.len()).is_err());
        assert!(unframed(&[&body[..], b"x"].concat(), 5, content.len()).is_err());
        assert!(unframed(&body, 5, content.len() + 1).is_err());
        assert!(unframed(&body, 5, content.len() - 1).is_err());
        assert!(unframed(b"", 1, 0).is_err());
    }

    #[test]
    fn the_form_that_is_known() {
        let check = |value: &str, expected: Option<bool>| {
            let headers = [("x-ms-structured-body".to_owned(), value.to_owned())];
            assert_eq!(is_asked(Headers(&headers)).ok(), expected, "{value}");
        };
        check("XSM/1.0; properties=crc64", Some(true));
        check("XSM/1.0;properties=crc64", Some(true));
        check("", Some(false));
        check("XSM/2.0; properties=crc64", None);
    }
}
