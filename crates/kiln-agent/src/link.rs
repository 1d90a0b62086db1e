//! The link to the server: connects, again and again, and carries messages both ways.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use kiln_wire::node::frames::{Frame, FrameError, FrameReader, FrameWriter};
use kiln_wire::node::{FromAgent, ToAgent};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::clock;

/// First pause between two tries to connect, in milliseconds; doubled by each further one.
const PAUSE_MS: u64 = 100;
/// Longest pause between two tries to connect, in milliseconds.
const PAUSE_MS_MAX: u64 = 1000;
/// Time between two signs of life.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Messages that wait to be sent.
const MESSAGES_MAX: usize = 256;
/// Answers and pieces of files that wait to be sent.
const PIECES_MAX: usize = 4;
/// Bytes that are gathered before they are sent.
const GATHERED_BYTES_MAX: usize = 512 * 1024;

/// What happens on the link.
#[derive(Debug)]
pub enum LinkFact {
    /// A new link stands; it ends when this sender is dropped.
    Connected(Outbox),
    /// The server says something.
    Message(Box<ToAgent>),
    /// The link broke.
    Disconnected,
}

/// Where to put what is to be sent.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// Reports, heartbeats and the like; sent before pieces.
    pub messages: mpsc::Sender<FromAgent>,
    /// Answers about files with their content.
    pub pieces: mpsc::Sender<Piece>,
}

/// What is sent about a file.
#[derive(Debug)]
pub enum Piece {
    /// The answer.
    Answer(FromAgent),
    /// Bytes of its content.
    Bytes {
        /// The stream they belong to.
        stream: u64,
        /// The bytes; none at the end.
        bytes: Bytes,
    },
}

/// Connects to the server's socket.
pub(crate) async fn connect(socket: PathBuf) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    Ok(UnixStream::connect(socket).await?.into_split())
}

/// Keeps a link to the server, to which `connect` connects, until nobody listens to `facts`.
pub async fn keep<C, R, W>(connect: impl Fn() -> C + Send, facts: mpsc::Sender<LinkFact>)
where
    C: Future<Output = io::Result<(R, W)>> + Send,
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let mut pause_ms = PAUSE_MS;
    while !facts.is_closed() {
        if let Ok((reader, writer)) = connect().await {
            pause_ms = PAUSE_MS;
            if let Err(error) = carry(reader, writer, &facts).await {
                tracing::info!(cause = crate::with_causes(&error), "the link to the server broke");
            }
            if facts.send(LinkFact::Disconnected).await.is_err() {
                return;
            }
        }
        clock::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX);
    }
}

/// Carries messages until one of the sides has enough.
async fn carry(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    facts: &mpsc::Sender<LinkFact>,
) -> Result<(), FrameError> {
    let (messages, waiting_messages) = mpsc::channel(MESSAGES_MAX);
    let (pieces, waiting_pieces) = mpsc::channel(PIECES_MAX);
    if facts.send(LinkFact::Connected(Outbox { messages, pieces })).await.is_err() {
        return Ok(());
    }
    tokio::select! {
        biased;
        read = read_all(FrameReader::new(reader), facts) => read,
        written = write_all(FrameWriter::new(writer), waiting_messages, waiting_pieces) => written,
    }
}

async fn read_all<R: AsyncRead + Unpin>(
    mut reader: FrameReader<R>,
    facts: &mpsc::Sender<LinkFact>,
) -> Result<(), FrameError> {
    while let Some(frame) = reader.next::<ToAgent>().await? {
        match frame {
            Frame::Messages(messages) => {
                for message in messages {
                    if facts.send(LinkFact::Message(Box::new(message))).await.is_err() {
                        return Ok(());
                    }
                }
            }
            // The server sends no files.
            Frame::File { .. } => {}
        }
    }
    Ok(())
}

async fn write_all<W: AsyncWrite + Unpin>(
    mut writer: FrameWriter<W>,
    mut messages: mpsc::Receiver<FromAgent>,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<(), FrameError> {
    let mut gathered = Vec::with_capacity(MESSAGES_MAX);
    loop {
        tokio::select! {
            biased;
            n_messages = messages.recv_many(&mut gathered, MESSAGES_MAX) => {
                if n_messages == 0 {
                    return Ok(());
                }
                writer.messages(&gathered)?;
                gathered.clear();
            }
            Some(piece) = pieces.recv() => {
                write_piece(&mut writer, piece)?;
                while writer.pending_bytes() < GATHERED_BYTES_MAX
                    && let Ok(piece) = pieces.try_recv()
                {
                    write_piece(&mut writer, piece)?;
                }
            }
        }
        writer.flush().await?;
    }
}

fn write_piece<W: AsyncWrite + Unpin>(
    writer: &mut FrameWriter<W>,
    piece: Piece,
) -> Result<(), FrameError> {
    match piece {
        Piece::Answer(message) => writer.messages(&[message]),
        Piece::Bytes { stream, bytes } => writer.file(stream, &bytes),
    }
}
