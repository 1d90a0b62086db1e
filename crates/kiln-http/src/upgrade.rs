//! A connection that goes on in another protocol than HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::Io;

/// What is done with a connection once the client was told that its protocol changes.
pub struct Upgrade {
    /// Name of the protocol.
    pub protocol: &'static str,
    serve: Box<dyn FnOnce(Upgraded) -> Serving + Send>,
}

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Upgrade {
    /// Goes on in `protocol`, with `serve`; the connection ends with it.
    pub fn new<F>(
        protocol: &'static str,
        serve: impl FnOnce(Upgraded) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { protocol, serve: Box::new(move |stream| -> Serving { Box::pin(serve(stream)) }) }
    }

    pub(crate) async fn serve(self, io: Io) {
        (self.serve)(Upgraded(io)).await;
    }
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgrade").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// A connection that speaks another protocol now.
#[derive(Debug)]
pub struct Upgraded(Io);

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let io = &mut self.get_mut().0;
        if io.buffer.is_empty() {
            return Pin::new(&mut io.stream).poll_read(cx, buf);
        }
        // What came right behind the request.
        let length = io.buffer.len().min(buf.remaining());
        buf.put_slice(io.buffer.get(..length).unwrap_or_default());
        io.buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0.stream).poll_shutdown(cx)
    }
}
