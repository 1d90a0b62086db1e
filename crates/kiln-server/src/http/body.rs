//! The body of a request, read piece by piece.

use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// The bytes that a client sends after the head of its request.
pub struct Body {
    pieces: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
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
        Self { pieces: Box::pin(pieces) }
    }

    /// A body that is all there already.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::from_stream(futures_util::stream::iter((!bytes.is_empty()).then_some(Ok(bytes))))
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.pieces.next().await
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
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
