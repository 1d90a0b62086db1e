//! Bodies in chunks, read strictly.

use bytes::{Bytes, BytesMut};

use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// Reads a body in chunks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the line that tells the size of a chunk.
    #[default]
    Size,
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// Behind the bytes of a chunk, before its line end.
    DataEnd,
    /// Behind the last chunk; so many bytes of lines were seen.
    Trailers(usize),
    /// All is read.
    Done,
}

/// What the next bytes of a body come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A part of the content.
    Data(Bytes),
    /// More bytes are needed.
    NeedsMore,
    /// The body has ended.
    End,
}

/// The chunks can not be read, or not in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the body are malformed: {0}")]
pub struct BadChunk(&'static str);

impl Decoder {
    /// Takes from `buffer` what it can; the bytes behind the body stay in it.
    ///
    /// # Errors
    /// When it is no well-formed chunk.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BadChunk> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = take_line(buffer, CHUNK_LINE_BYTES_MAX)? else {
                        return Ok(Decoded::NeedsMore);
                    };
                    self.state = match size_of(&line)? {
                        0 => State::Trailers(0),
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Decoded::NeedsMore);
                    }
                    let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX).min(left);
                    let length_here = usize::try_from(length).unwrap_or(buffer.len());
                    let data = buffer.split_to(length_here).freeze();
                    let left = left - length;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Decoded::Data(data));
                }
                State::DataEnd => {
                    let Some(line) = take_line(buffer, 0)? else { return Ok(Decoded::NeedsMore) };
                    if !line.is_empty() {
                        return Err(BadChunk("more bytes than its size says"));
                    }
                    self.state = State::Size;
                }
                State::Trailers(n_seen) => {
                    let n_left = TRAILER_BYTES_MAX.saturating_sub(n_seen);
                    let Some(line) = take_line(buffer, n_left)? else {
                        return Ok(Decoded::NeedsMore);
                    };
                    self.state = match line.len() {
                        0 => State::Done,
                        length => State::Trailers(n_seen + length + 2),
                    };
                }
                State::Done => return Ok(Decoded::End),
            }
        }
    }

    /// Whether all of the body was taken.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of the chunk under way that are still to come.
    pub(crate) fn n_wanted(&self) -> u64 {
        match self.state {
            State::Data(left) => left,
            State::Size | State::DataEnd | State::Trailers(_) | State::Done => 0,
        }
    }
}

/// Takes a line without its end, if it is there; control characters are in none.
fn take_line(buffer: &mut BytesMut, length_max: usize) -> Result<Option<Bytes>, BadChunk> {
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    let Some(at) = buffer.iter().position(|byte| is_control(*byte)) else {
        return if buffer.len() > length_max {
            Err(BadChunk("a line is too long"))
        } else {
            Ok(None)
        };
    };
    if at > length_max {
        return Err(BadChunk("a line is too long"));
    }
    match (buffer.get(at), buffer.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => {
            let line = buffer.split_to(at).freeze();
            drop(buffer.split_to(2));
            Ok(Some(line))
        }
        (Some(b'\r'), None) => Ok(None),
        _ => Err(BadChunk("a line end is half there")),
    }
}

/// The size before an extension, in hexadecimal digits and nothing else.
fn size_of(line: &[u8]) -> Result<u64, BadChunk> {
    let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
    let digits = line.get(..end).unwrap_or_default();
    if digits.is_empty() || digits.len() > 16 {
        return Err(BadChunk("the size of a chunk"));
    }
    let mut size = 0_u64;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16).ok_or(BadChunk("the size of a chunk"))?;
        size = size << 4 | u64::from(digit);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{BadChunk, Decoded, Decoder};

    /// The content, and the bytes behind the body.
    type Read = (Vec<u8>, Vec<u8>);

    /// What is read of a body that arrives in steps; `None` while it has no end.
    fn read(bytes: &[u8], step: usize) -> Result<Option<Read>, BadChunk> {
        let (mut decoder, mut buffer, mut content) =
            (Decoder::default(), BytesMut::new(), Vec::new());
        let mut pieces = bytes.chunks(step);
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::End => {
                    let rest = buffer.iter().chain(pieces.flatten()).copied().collect();
                    return Ok(Some((content, rest)));
                }
                Decoded::NeedsMore => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None => return Ok(None),
                },
            }
        }
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let body =
            b"4\r\nwiki\r\n00005;a=\"b\"\r\npedia\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\nGET";
        for step in 1..body.len() {
            let (content, rest) = read(body, step).expect("well-formed").expect("whole");
            assert_eq!(content, b"wikipedia0123456789", "{step}");
            assert_eq!(rest, b"GET", "{step}");
        }
        for end in 0..body.len() - 3 {
            assert_eq!(read(&body[..end], 100).expect("well-formed so far"), None, "{end}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let check = |body: &str| assert!(read(body.as_bytes(), 1).is_err(), "{body:?}");
        for size in ["", "x", "+4", "-4", "0x4", " 4", "4 ", "4 ;a", "10000000000000000"] {
            check(&format!("{size}\r\nwiki\r\n0\r\n\r\n"));
        }
        check("4\nwiki\r\n0\r\n\r\n");
        check("4\rwiki");
        check("4\r\nwiki0\r\n\r\n");
        check("4\r\nwiki\n0\r\n\r\n");
        check("4;a\0b\r\nwiki\r\n0\r\n\r\n");
        check(&format!("4;{}", "a".repeat(5000)));
        check(&format!("0\r\n{}", "x: y\r\n".repeat(5000)));
    }
}
