//! The stream of a connection, with the bytes that were read from it and not used yet.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits::{
    BODY_BUFFERS_MAX, BODY_ROOM_BYTES_MIN, DRAINED_BYTES_MAX, HEAD_BUFFER_BYTES, LINGER_TIMEOUT,
    WRITE_TIMEOUT,
};

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// What a connection is made of: the kernel sends files to a TCP stream by itself.
pub enum Transport {
    /// A TCP stream as it is.
    Tcp(TcpStream),
    /// Anything else, as TLS.
    Other(Box<dyn Duplex>),
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<Box<dyn Duplex>> for Transport {
    fn from(stream: Box<dyn Duplex>) -> Self {
        Self::Other(stream)
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Other(_) => "Other",
        })
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Other(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Other(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Other(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The stream of a connection, with the bytes that were read from it and not used yet.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) stream: Transport,
    pub(crate) buffer: BytesMut,
    /// Buffers of the body that is being read, whose bytes somebody may still be at.
    lent: VecDeque<BytesMut>,
}

impl Io {
    pub(crate) fn new(stream: Transport) -> Self {
        Self { stream, buffer: BytesMut::new(), lent: VecDeque::new() }
    }

    /// Reads what is there, and makes room for at least `n_bytes` before; 0 at the end.
    pub(crate) async fn fill(&mut self, n_bytes: usize) -> io::Result<usize> {
        self.buffer.reserve(n_bytes);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Reads what is there of a body of which `n_bytes` are expected soon; 0 at the end.
    pub(crate) async fn fill_body(&mut self, n_bytes: usize) -> io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < n_bytes.min(BODY_ROOM_BYTES_MIN) {
            self.change_buffer(n_bytes);
        }
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Goes on in a buffer with room for `n_bytes`: one that nobody is at any longer, else a new
    /// one. Memory that was just used is in the processor's cache, and the kernel need not find
    /// and clear it.
    fn change_buffer(&mut self, n_bytes: usize) {
        let n_left = self.buffer.len();
        let free = self.lent.iter_mut().position(|it| it.try_reclaim(n_left + n_bytes));
        let mut next = free
            .and_then(|idx| self.lent.remove(idx))
            .unwrap_or_else(|| BytesMut::with_capacity(n_left + n_bytes));
        next.extend_from_slice(&self.buffer);
        self.buffer.clear();
        self.lent.push_back(std::mem::replace(&mut self.buffer, next));
        if self.lent.len() > BODY_BUFFERS_MAX {
            self.lent.pop_front();
        }
    }

    /// Gives back memory that a large body took, between two requests.
    pub(crate) fn trim(&mut self) {
        self.lent.clear();
        if self.buffer.is_empty() && self.buffer.capacity() > HEAD_BUFFER_BYTES {
            self.buffer = BytesMut::new();
        }
    }

    /// Sends all of `bytes`, as fast as the client takes them.
    pub(crate) async fn write(&mut self, mut bytes: impl Buf) -> io::Result<()> {
        while bytes.has_remaining() {
            let n = within(WRITE_TIMEOUT, self.stream.write_buf(&mut bytes)).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        within(WRITE_TIMEOUT, self.stream.flush()).await
    }

    /// Says that there will be no further answer.
    pub(crate) async fn shut_down(&mut self) {
        // The client may be gone already; then nobody needs to be told.
        drop(timeout(LINGER_TIMEOUT, self.stream.shutdown()).await);
    }

    /// Closes with the client still sending: what it sends is thrown away for a while, because
    /// a connection that is closed over unread bytes takes the last answer with it.
    pub(crate) async fn linger(mut self) {
        self.shut_down().await;
        let listen = async {
            let mut n_bytes = 0;
            while n_bytes < DRAINED_BYTES_MAX {
                self.buffer.clear();
                match self.fill(HEAD_BUFFER_BYTES).await {
                    Ok(0) | Err(_) => return,
                    Ok(n) => n_bytes += u64::try_from(n).unwrap_or(u64::MAX),
                }
            }
        };
        // When the time is over, the client has had it.
        drop(timeout(LINGER_TIMEOUT, listen).await);
    }
}

/// What `work` comes to, if it does in time.
pub(crate) async fn within<T>(
    time: std::time::Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match timeout(time, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}
