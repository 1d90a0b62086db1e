//! Sends answers: heads and bodies, the latter also straight from files.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::encode::{self, After, Ending};
use crate::io::{Io, Transport, within};
use crate::limits::{FILE_BUFFER_BYTES, JOINED_BYTES_MAX, SENDFILE_BYTES_MAX, WRITE_TIMEOUT};
use crate::{FileRange, Piece, Response, ResponseBody};

/// What of the request matters for the form of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The client asked with HEAD, and gets no body.
    pub(crate) is_head: bool,
    /// The client can take chunks.
    pub(crate) is_http_11: bool,
    /// The connection is used again.
    pub(crate) keeps_alive: bool,
}

/// Sends `response`; whether the connection can be used again.
///
/// # Errors
/// When the client went away or stopped taking bytes, or the body broke off.
pub(crate) async fn send(io: &mut Io, response: Response, form: Form) -> io::Result<bool> {
    let ending = ending(&response, form);
    let keeps_alive = form.keeps_alive && ending != Ending::Close;
    let after = match (keeps_alive, form.is_http_11) {
        (false, _) => After::Closed,
        (true, true) => After::Kept,
        (true, false) => After::KeptOld,
    };
    let head = encode::head(&response, ending, after);
    let mut output = Output { io, head };
    if form.is_head || ending == Ending::None {
        output.finish().await?;
        return Ok(keeps_alive);
    }
    match response.body {
        // Who changes the protocol sends no body, see [`switch`].
        ResponseBody::Empty | ResponseBody::HeadOnly { .. } | ResponseBody::Upgrade(_) => {}
        ResponseBody::Bytes(bytes) => output.bytes(bytes).await?,
        ResponseBody::Stream { length: Some(length), mut stream } => {
            let mut left = length;
            while let Some(bytes) = stream.next().await.transpose()? {
                take(&mut left, bytes.len() as u64)?;
                output.bytes(bytes).await?;
            }
            all_sent(left)?;
        }
        ResponseBody::Stream { length: None, mut stream } => {
            while let Some(bytes) = stream.next().await.transpose()? {
                match ending {
                    Ending::Chunks => output.chunk(bytes).await?,
                    Ending::None | Ending::Length(_) | Ending::Close => output.bytes(bytes).await?,
                }
            }
            if ending == Ending::Chunks {
                output.bytes(Bytes::from_static(b"0\r\n\r\n")).await?;
            }
        }
        ResponseBody::Pieces { length, mut stream } => {
            let mut left = length;
            while let Some(piece) = stream.next().await.transpose()? {
                match piece {
                    Piece::Bytes(bytes) => {
                        take(&mut left, bytes.len() as u64)?;
                        output.bytes(bytes).await?;
                    }
                    Piece::File(range) => {
                        take(&mut left, range.length)?;
                        output.file(range).await?;
                    }
                }
            }
            all_sent(left)?;
        }
    }
    output.finish().await?;
    Ok(keeps_alive)
}

/// Tells the client that the connection goes on in `protocol`.
///
/// # Errors
/// When the client went away.
pub(crate) async fn switch(
    io: &mut Io,
    response: Response,
    protocol: &'static str,
) -> io::Result<()> {
    let head = encode::head(&response, Ending::None, After::Switched(protocol));
    Output { io, head }.finish().await
}

/// How the client learns where the body ends.
fn ending(response: &Response, form: Form) -> Ending {
    if matches!(response.status, 100..=199 | 204 | 304) {
        return Ending::None;
    }
    match &response.body {
        // An answer to HEAD that says nothing of a body: whether GET had one is not known.
        ResponseBody::Empty if form.is_head => Ending::None,
        ResponseBody::HeadOnly { length } if form.is_head => Ending::Length(*length),
        ResponseBody::Empty | ResponseBody::HeadOnly { .. } => Ending::Length(0),
        ResponseBody::Upgrade(_) => Ending::None,
        ResponseBody::Bytes(bytes) => Ending::Length(bytes.len() as u64),
        ResponseBody::Pieces { length, .. } => Ending::Length(*length),
        ResponseBody::Stream { length: Some(length), .. } => Ending::Length(*length),
        ResponseBody::Stream { length: None, .. } if form.is_http_11 => Ending::Chunks,
        ResponseBody::Stream { length: None, .. } => Ending::Close,
    }
}

/// A body that is longer than its head says would run into the next answer.
fn take(left: &mut u64, length: u64) -> io::Result<()> {
    *left = left
        .checked_sub(length)
        .ok_or_else(|| io::Error::other("bug: a body is longer than was said"))?;
    Ok(())
}

fn all_sent(left: u64) -> io::Result<()> {
    if left == 0 { Ok(()) } else { Err(io::Error::other("a body is shorter than was said")) }
}

/// An answer under way. Its head is held back, to go with what follows it.
struct Output<'c> {
    io: &'c mut Io,
    head: BytesMut,
}

impl Output<'_> {
    async fn bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        let mut head = std::mem::take(&mut self.head);
        if !head.is_empty() && bytes.len() <= JOINED_BYTES_MAX {
            head.extend_from_slice(&bytes);
            return self.io.write(head).await;
        }
        self.io.write(head.chain(bytes)).await
    }

    async fn chunk(&mut self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut head = std::mem::take(&mut self.head);
        head.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        self.io.write(head.chain(bytes).chain(&b"\r\n"[..])).await?;
        // A piece of a body without a length may be all there is for a long time.
        self.io.flush().await
    }

    async fn file(&mut self, range: FileRange) -> io::Result<()> {
        if range.length == 0 {
            return Ok(());
        }
        let head = std::mem::take(&mut self.head);
        match &mut self.io.stream {
            Transport::Tcp(tcp) => {
                send_more(tcp, head).await?;
                send_file(tcp, &range).await
            }
            Transport::Other(_) => {
                self.io.write(head).await?;
                self.copy_file(range).await
            }
        }
    }

    /// Reads and writes where the kernel can not send by itself.
    async fn copy_file(&mut self, range: FileRange) -> io::Result<()> {
        let FileRange { file, mut offset, length: mut left } = range;
        while left > 0 {
            let length = left.min(FILE_BUFFER_BYTES as u64);
            let from = Arc::clone(&file);
            let reading = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; usize::try_from(length).unwrap_or(FILE_BUFFER_BYTES)];
                from.read_exact_at(&mut buffer, offset).map(|()| Bytes::from(buffer))
            });
            let bytes = reading.await.map_err(io::Error::other)??;
            self.io.write(bytes).await?;
            offset += length;
            left -= length;
        }
        Ok(())
    }

    async fn finish(self) -> io::Result<()> {
        self.io.write(self.head).await?;
        self.io.flush().await
    }
}

/// Sends bytes that more will follow, so that they share a packet with it.
async fn send_more(tcp: &TcpStream, mut bytes: BytesMut) -> io::Result<()> {
    while !bytes.is_empty() {
        let send = || Ok(rustix::net::send(tcp, &bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?);
        let n = within(WRITE_TIMEOUT, tcp.async_io(Interest::WRITABLE, send)).await?;
        bytes.advance(n);
    }
    Ok(())
}

/// Lets the kernel send a part of a file.
async fn send_file(tcp: &TcpStream, range: &FileRange) -> io::Result<()> {
    let (mut offset, mut left) = (range.offset, range.length);
    while left > 0 {
        let length = usize::try_from(left.min(SENDFILE_BYTES_MAX)).unwrap_or(usize::MAX);
        let send = || Ok(rustix::fs::sendfile(tcp, &range.file, Some(&mut offset), length)?);
        let n = within(WRITE_TIMEOUT, tcp.async_io(Interest::WRITABLE, send)).await?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file is too short"));
        }
        left = left.saturating_sub(n as u64);
    }
    Ok(())
}
