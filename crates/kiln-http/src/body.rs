//! The body of a request, read piece by piece from the connection it borrows.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use crate::chunked::{Decoded, Decoder};
use crate::head::Framing;
use crate::io::{Io, within};
use crate::limits::{BODY_BUFFER_BYTES, BODY_TIMEOUT, DRAINED_BYTES_MAX, HEAD_BUFFER_BYTES};

/// What tells a client that waits to send its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The bytes that a client sends after the head of its request.
pub struct Body {
    source: Source,
}

enum Source {
    /// All of it; nothing once it was taken.
    Whole(Bytes),
    /// Pieces from elsewhere.
    Stream(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
    /// The connection.
    Wire(Box<Wire>),
}

/// Why a body could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the operation takes.
    #[error("the body is longer than {limit_bytes} bytes")]
    TooLarge {
        /// Bytes that the operation takes.
        limit_bytes: usize,
    },
    /// The client stopped in the middle, or the connection broke.
    #[error("the body ended early")]
    Broken(#[source] io::Error),
}

impl Body {
    /// A body made of a stream of pieces.
    pub fn from_stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { source: Source::Stream(Box::pin(pieces)) }
    }

    /// A body that is all there already.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Whole(bytes.into()) }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        match &mut self.source {
            Source::Whole(bytes) if bytes.is_empty() => None,
            Source::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Source::Stream(pieces) => pieces.next().await,
            Source::Wire(wire) => wire.next().await,
        }
    }

    /// The whole body, if it is at most `limit_bytes` long.
    ///
    /// # Errors
    /// When it is longer, or ends early.
    pub async fn collect(mut self, limit_bytes: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.next().await else { return Ok(Bytes::new()) };
        let first = first.map_err(BodyError::Broken)?;
        if first.len() > limit_bytes {
            return Err(BodyError::TooLarge { limit_bytes });
        }
        let Some(second) = self.next().await else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        let mut piece = Some(second);
        while let Some(bytes) = piece {
            let bytes = bytes.map_err(BodyError::Broken)?;
            if whole.len() + bytes.len() > limit_bytes {
                return Err(BodyError::TooLarge { limit_bytes });
            }
            whole.extend_from_slice(&bytes);
            piece = self.next().await;
        }
        Ok(whole.freeze())
    }

    /// The body that follows a head, and the way to get the connection back from it.
    pub(crate) fn lend(mut io: Io, framing: Framing, expects_continue: bool) -> (Self, Loan) {
        if let Framing::Length(length) = framing
            && let Ok(length) = usize::try_from(length)
            && length <= io.buffer.len()
        {
            let whole = io.buffer.split_to(length).freeze();
            return (Self::from_bytes(whole), Loan::Kept(io));
        }
        let left = match framing {
            Framing::Length(length) => Left::Bytes(length),
            Framing::Chunked => Left::Chunks(Decoder::default()),
        };
        let rest = Rest { left, expects_continue, is_broken: false };
        let home = Arc::new(Mutex::new(None));
        let wire = Wire { io: Some(io), rest, home: Arc::clone(&home) };
        (Self { source: Source::Wire(Box::new(wire)) }, Loan::Lent(home))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// Where a connection is put that comes back from a body.
type Home = Arc<Mutex<Option<(Io, Rest)>>>;

/// A connection while a body may hold it.
#[derive(Debug)]
pub(crate) enum Loan {
    Kept(Io),
    Lent(Home),
}

impl Loan {
    /// The connection, and what nobody read of the body; nothing while the body is held.
    pub(crate) fn reclaim(self) -> Option<(Io, Rest)> {
        match self {
            Self::Kept(io) => Some((io, Rest::nothing())),
            Self::Lent(home) => home.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }
}

/// A body on the connection, which goes home when this is dropped.
#[derive(Debug)]
struct Wire {
    io: Option<Io>,
    rest: Rest,
    home: Home,
}

impl Wire {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.rest.next(self.io.as_mut()?).await
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some((io, self.rest));
        }
    }
}

/// What is still to be read of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    left: Left,
    /// The client waits for a word.
    expects_continue: bool,
    /// The connection can not be used further.
    is_broken: bool,
}

#[derive(Clone, Copy, Debug)]
enum Left {
    Bytes(u64),
    Chunks(Decoder),
}

impl Rest {
    fn nothing() -> Self {
        Self { left: Left::Bytes(0), expects_continue: false, is_broken: false }
    }

    /// Whether the whole body was read.
    pub(crate) fn is_done(&self) -> bool {
        !self.is_broken
            && match &self.left {
                Left::Bytes(left) => *left == 0,
                Left::Chunks(decoder) => decoder.is_done(),
            }
    }

    /// Whether the rest may be thrown away so that the connection can be used again. A client
    /// that waits for a word may send its body or not: nobody can tell.
    pub(crate) fn can_be_drained(&self) -> bool {
        let is_short = match &self.left {
            Left::Bytes(left) => *left <= DRAINED_BYTES_MAX,
            Left::Chunks(_) => true,
        };
        self.is_done() || (is_short && !self.is_broken && !self.expects_continue)
    }

    /// Throws the rest away; whether the connection can be used again.
    pub(crate) async fn drain(&mut self, io: &mut Io) -> bool {
        let mut n_bytes = 0;
        while n_bytes <= DRAINED_BYTES_MAX && self.can_be_drained() {
            match self.next(io).await {
                Some(Ok(bytes)) => n_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                Some(Err(_gone)) => return false,
                None => return true,
            }
        }
        false
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self, io: &mut Io) -> Option<io::Result<Bytes>> {
        if self.is_broken {
            return None;
        }
        let next = self.read(io).await;
        self.is_broken = next.is_err();
        next.transpose()
    }

    async fn read(&mut self, io: &mut Io) -> io::Result<Option<Bytes>> {
        loop {
            let n_wanted = match self.take(io)? {
                Decoded::Data(bytes) => {
                    self.expects_continue = false;
                    return Ok(Some(bytes));
                }
                Decoded::End => return Ok(None),
                Decoded::NeedsMore => self.n_wanted(),
            };
            if self.expects_continue {
                self.expects_continue = false;
                io.write(CONTINUE).await?;
                io.flush().await?;
            }
            if within(BODY_TIMEOUT, io.fill_body(n_wanted)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes what of the body was read from the connection already.
    fn take(&mut self, io: &mut Io) -> io::Result<Decoded> {
        match &mut self.left {
            Left::Bytes(0) => Ok(Decoded::End),
            Left::Bytes(_) if io.buffer.is_empty() => Ok(Decoded::NeedsMore),
            Left::Bytes(left) => {
                let n_here = io.buffer.len();
                let length = usize::try_from(*left).map_or(n_here, |left| left.min(n_here));
                *left -= u64::try_from(length).unwrap_or(*left);
                Ok(Decoded::Data(io.buffer.split_to(length).freeze()))
            }
            Left::Chunks(decoder) => decoder
                .decode(&mut io.buffer)
                .map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad)),
        }
    }

    /// Bytes to make room for.
    fn n_wanted(&self) -> usize {
        let left = match &self.left {
            Left::Bytes(left) => *left,
            Left::Chunks(decoder) => decoder.n_wanted(),
        };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        left.clamp(HEAD_BUFFER_BYTES, BODY_BUFFER_BYTES)
    }
}
