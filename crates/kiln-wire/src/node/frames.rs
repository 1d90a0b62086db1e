//! Frames of a node link: how messages and file bytes travel over a byte stream.
//!
//! A frame is a length (u32, little-endian, of what follows), a kind (u8) and a payload.
//! [`FrameReader`] and [`FrameWriter`] carry both ways of a link; what they are made of,
//! [`decode`] and the two `encode_…` functions, needs no runtime.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{FILE_FRAME_BYTES, FRAME_BYTES_MAX};

/// Kind of a frame that holds a JSON array of messages.
const KIND_MESSAGES: u8 = 0;
/// Kind of a frame that holds bytes of a file.
const KIND_FILE: u8 = 1;
/// Bytes of the length that begins a frame.
const LENGTH_BYTES: usize = 4;
/// Bytes of the stream id that begins the payload of a file frame.
const STREAM_ID_BYTES: usize = 8;
/// Bytes asked of the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// One frame, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<M> {
    /// Messages, in the order they were sent.
    Messages(Vec<M>),
    /// Bytes of a file; none at the end of the stream.
    File {
        /// The stream they belong to.
        stream: u64,
        /// The bytes.
        bytes: Bytes,
    },
}

/// Why frames can not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream of bytes broke.
    #[error("the link broke")]
    Link(#[source] std::io::Error),
    /// The other side ended within a frame.
    #[error("the link ended within a frame")]
    Truncated,
    /// A frame is longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {length_bytes} bytes is larger than {FRAME_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        length_bytes: usize,
    },
    /// A frame of no known kind, or too short for its kind.
    #[error("a frame of kind {kind} and {length_bytes} bytes has no meaning")]
    Malformed {
        /// Its kind.
        kind: u8,
        /// Its length.
        length_bytes: usize,
    },
    /// Messages that are no messages.
    #[error("a message can not be read")]
    Message(#[source] serde_json::Error),
}

/// Adds `messages` to `out`, in as few frames as the limit allows.
pub fn encode_messages<M: Serialize>(messages: &[M], out: &mut BytesMut) -> Result<(), FrameError> {
    let mut payload = Vec::new();
    for message in messages {
        let text = serde_json::to_vec(message).map_err(FrameError::Message)?;
        // One more for the kind, one for the comma or the first bracket, one for the last.
        if text.len() + 3 > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { length_bytes: text.len() });
        }
        if payload.len() + text.len() + 3 > FRAME_BYTES_MAX {
            end_messages(&mut payload, out)?;
        }
        payload.push(if payload.is_empty() { b'[' } else { b',' });
        payload.extend_from_slice(&text);
    }
    if !payload.is_empty() {
        end_messages(&mut payload, out)?;
    }
    Ok(())
}

fn end_messages(payload: &mut Vec<u8>, out: &mut BytesMut) -> Result<(), FrameError> {
    payload.push(b']');
    put_header(payload.len() + 1, KIND_MESSAGES, out)?;
    out.put_slice(payload);
    payload.clear();
    Ok(())
}

/// Adds `bytes` of a file to `out`: frames of at most [`FILE_FRAME_BYTES`], one empty frame
/// when there are no bytes.
pub fn encode_file(stream: u64, bytes: &[u8], out: &mut BytesMut) -> Result<(), FrameError> {
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at(rest.len().min(FILE_FRAME_BYTES));
        put_header(now.len() + STREAM_ID_BYTES + 1, KIND_FILE, out)?;
        out.put_u64_le(stream);
        out.put_slice(now);
        rest = later;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn put_header(length_bytes: usize, kind: u8, out: &mut BytesMut) -> Result<(), FrameError> {
    let Ok(length) = u32::try_from(length_bytes) else {
        return Err(FrameError::TooLarge { length_bytes });
    };
    out.put_u32_le(length);
    out.put_u8(kind);
    Ok(())
}

/// Takes the first frame off `buffer`; `None` while it is not complete.
pub fn decode<M: DeserializeOwned>(buffer: &mut BytesMut) -> Result<Option<Frame<M>>, FrameError> {
    let Some(length) = buffer.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length);
    let length_bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if length_bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { length_bytes });
    }
    if buffer.len() < LENGTH_BYTES + length_bytes {
        buffer.reserve(LENGTH_BYTES + length_bytes - buffer.len());
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    let mut payload = buffer.split_to(length_bytes).freeze();
    let kind = payload.try_get_u8().unwrap_or(u8::MAX);
    match kind {
        KIND_MESSAGES => serde_json::from_slice(&payload)
            .map(Frame::Messages)
            .map(Some)
            .map_err(FrameError::Message),
        KIND_FILE if payload.len() >= STREAM_ID_BYTES => {
            let stream = payload.get_u64_le();
            Ok(Some(Frame::File { stream, bytes: payload }))
        }
        _ => Err(FrameError::Malformed { kind, length_bytes }),
    }
}

/// Reads frames off a byte stream.
#[derive(Debug)]
pub struct FrameReader<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }

    /// The next frame; `None` at the end of the stream. Loses nothing when it is cancelled.
    pub async fn next<M: DeserializeOwned>(&mut self) -> Result<Option<Frame<M>>, FrameError> {
        loop {
            if let Some(frame) = decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_BYTES);
            let n_read = self.reader.read_buf(&mut self.buffer).await.map_err(FrameError::Link)?;
            if n_read == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Truncated) };
            }
        }
    }
}

/// Writes frames to a byte stream; nothing leaves before [`FrameWriter::flush`].
#[derive(Debug)]
pub struct FrameWriter<W> {
    writer: W,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer, buffer: BytesMut::new() }
    }

    /// Adds messages.
    pub fn messages<M: Serialize>(&mut self, messages: &[M]) -> Result<(), FrameError> {
        encode_messages(messages, &mut self.buffer)
    }

    /// Adds bytes of a file; an empty slice ends the stream.
    pub fn file(&mut self, stream: u64, bytes: &[u8]) -> Result<(), FrameError> {
        encode_file(stream, bytes, &mut self.buffer)
    }

    /// Bytes that wait for [`FrameWriter::flush`].
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Sends all that was added.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        self.writer.write_all_buf(&mut self.buffer).await.map_err(FrameError::Link)?;
        self.writer.flush().await.map_err(FrameError::Link)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, Bytes, BytesMut};

    use super::{
        Frame, FrameError, FrameReader, FrameWriter, decode, encode_file, encode_messages,
    };
    use crate::node::{FILE_FRAME_BYTES, FRAME_BYTES_MAX, FromAgent, ToAgent};

    fn text(frame: &Frame<ToAgent>) -> String {
        format!("{frame:?}")
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let (near, far) = tokio::io::duplex(7);
        let mut writer = FrameWriter::new(near);
        let mut reader = FrameReader::new(far);
        writer
            .messages(&[ToAgent::Welcome { acknowledged: 3, protocol: 1 }, ToAgent::Leave])
            .expect("small");
        writer.file(9, b"bytes").expect("small");
        writer.file(9, b"").expect("small");
        let write = async {
            writer.flush().await.expect("open");
            drop(writer);
        };
        let read = async {
            let mut frames = Vec::new();
            while let Some(frame) = reader.next::<ToAgent>().await.expect("whole frames") {
                frames.push(text(&frame));
            }
            frames
        };
        let ((), frames) = tokio::join!(write, read);
        assert_eq!(
            frames,
            [
                "Messages([Welcome { acknowledged: 3, protocol: 1 }, Leave])",
                "File { stream: 9, bytes: b\"bytes\" }",
                "File { stream: 9, bytes: b\"\" }",
            ]
        );
    }

    #[test]
    fn every_prefix_waits_for_more() {
        let mut whole = BytesMut::new();
        encode_messages(&[FromAgent::Heartbeat { measured: None }], &mut whole).expect("small");
        for end in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..end]);
            assert!(decode::<FromAgent>(&mut part).expect("no fault").is_none(), "{end}");
        }
        assert!(decode::<FromAgent>(&mut whole).expect("no fault").is_some());
        assert!(whole.is_empty());
    }

    #[test]
    fn many_messages_take_several_frames() {
        let large = "x".repeat(FRAME_BYTES_MAX / 3);
        let messages = vec![large; 5];
        let mut out = BytesMut::new();
        encode_messages(&messages, &mut out).expect("each fits");
        let mut counts = Vec::new();
        while let Some(frame) = decode::<String>(&mut out).expect("within the limit") {
            if let Frame::Messages(messages) = frame {
                counts.push(messages.len());
            }
        }
        assert_eq!(counts, [2, 2, 1]);
    }

    #[test]
    fn large_files_take_several_frames() {
        let mut out = BytesMut::new();
        encode_file(1, &vec![7; FILE_FRAME_BYTES + 1], &mut out).expect("split");
        let first = decode::<ToAgent>(&mut out).expect("whole").expect("a frame");
        assert!(matches!(&first, Frame::File { bytes, .. } if bytes.len() == FILE_FRAME_BYTES));
        let second = decode::<ToAgent>(&mut out).expect("whole").expect("a frame");
        assert!(matches!(&second, Frame::File { bytes, .. } if *bytes == Bytes::from_static(&[7])));
        assert!(out.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let check = |bytes: &[u8], expected: &str| {
            let mut buffer = BytesMut::from(bytes);
            let error = decode::<ToAgent>(&mut buffer).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        };
        check(&[0, 0, 0, 0], "a frame of kind 255 and 0 bytes has no meaning");
        check(&[1, 0, 0, 0, 7], "a frame of kind 7 and 1 bytes has no meaning");
        check(&[2, 0, 0, 0, 1, 0], "a frame of kind 1 and 2 bytes has no meaning");
        check(&[3, 0, 0, 0, 0, b'x', b'x'], "a message can not be read");
        let mut long = BytesMut::new();
        long.put_u32_le(u32::MAX);
        assert!(matches!(decode::<ToAgent>(&mut long), Err(FrameError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_a_fault() {
        let mut reader = FrameReader::new(&[9_u8, 0, 0, 0, 0][..]);
        assert!(matches!(reader.next::<ToAgent>().await, Err(FrameError::Truncated)));
    }
}
