//! Questions about files on nodes, and the streams of their bytes.
//!
//! A file is read piece by piece, the next one asked for when the last was taken: what waits
//! here is bounded by one piece, however slow the reader.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use kiln_wire::node::{FileAnswer, FileInfo, FileRefusal, FileRequest, ToAgent};
use tokio::sync::oneshot;

use super::{ANSWER_TIMEOUT, Links};
use crate::clock;
use crate::server::Server;

/// Bytes of a file that are asked for at once.
const PIECE_BYTES: u64 = 1024 * 1024;

/// Why a question about files has no answer.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The agent is not linked, or its link broke.
    #[error("the node is not reachable")]
    Unreachable,
    /// The agent did not answer in time.
    #[error("the node did not answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout,
    /// The agent said no.
    #[error("the node refused: {0:?}")]
    Refused(FileRefusal),
}

/// The bytes of a file as they come.
pub type FileStream = std::pin::Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

type Reply = Result<(FileAnswer, Bytes), FileError>;

/// Questions that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Streams {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    node_id: String,
    answer: Option<FileAnswer>,
    bytes: BytesMut,
    reply: oneshot::Sender<Reply>,
}

impl Streams {
    fn open(&self, node_id: &str) -> (u64, oneshot::Receiver<Reply>) {
        let stream = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let (reply, replied) = oneshot::channel();
        let open =
            Open { node_id: node_id.to_owned(), answer: None, bytes: BytesMut::new(), reply };
        self.lock().insert(stream, open);
        (stream, replied)
    }

    /// Takes in an answer; one with bytes is complete only with the last of them.
    pub(super) fn answer(&self, stream: u64, answer: Result<FileAnswer, FileRefusal>) {
        let mut streams = self.lock();
        match answer {
            Ok(FileAnswer::Bytes { info, length_bytes }) => {
                if let Some(open) = streams.get_mut(&stream) {
                    open.answer = Some(FileAnswer::Bytes { info, length_bytes });
                }
            }
            Ok(
                answer @ (FileAnswer::List { .. } | FileAnswer::Stat { .. } | FileAnswer::Removed),
            ) => {
                finish(&mut streams, stream, Ok((answer, Bytes::new())));
            }
            Err(refusal) => finish(&mut streams, stream, Err(FileError::Refused(refusal))),
        }
    }

    /// Takes in bytes; none ends the stream.
    pub(super) fn bytes(&self, stream: u64, bytes: Bytes) {
        let mut streams = self.lock();
        let Some(open) = streams.get_mut(&stream) else { return };
        if !bytes.is_empty() {
            // An agent that sends more than was asked for is cut short.
            if open.bytes.len() < usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX) {
                open.bytes.extend_from_slice(&bytes);
            }
            return;
        }
        let reply = match open.answer.take() {
            Some(answer) => Ok((answer, std::mem::take(&mut open.bytes).freeze())),
            None => Err(FileError::Unreachable),
        };
        finish(&mut streams, stream, reply);
    }

    /// The link of a node broke: nothing it was asked will be answered.
    pub(super) fn fail_all_of(&self, node_id: &str) {
        self.lock().retain(|_, open| open.node_id != node_id);
    }

    fn forget(&self, stream: u64) {
        self.lock().remove(&stream);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finish(streams: &mut HashMap<u64, Open>, stream: u64, reply: Reply) {
    if let Some(open) = streams.remove(&stream) {
        // Who asked may have gone.
        drop(open.reply.send(reply));
    }
}

impl Links {
    /// Asks the agent of a node about files.
    ///
    /// # Errors
    /// When it is not reachable, does not answer, or says no.
    pub async fn ask(&self, node_id: &str, request: FileRequest) -> Result<FileAnswer, FileError> {
        Ok(self.ask_with_bytes(node_id, request).await?.0)
    }

    async fn ask_with_bytes(&self, node_id: &str, request: FileRequest) -> Reply {
        if !self.is_up(node_id) {
            return Err(FileError::Unreachable);
        }
        let (stream, replied) = self.streams.open(node_id);
        self.send(node_id, [ToAgent::Files { stream, request }]);
        match clock::within(ANSWER_TIMEOUT, replied).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_gone)) => Err(FileError::Unreachable),
            Err(_elapsed) => {
                self.streams.forget(stream);
                Err(FileError::Timeout)
            }
        }
    }
}

/// Opens a file on a node: about it, how many bytes come, and the bytes from `first` to
/// `last` (inclusive), or to the end as it is now.
///
/// # Errors
/// When the node is not reachable, does not answer, or says no.
pub async fn open(
    server: Arc<Server>,
    node_id: String,
    path: String,
    first: u64,
    last: Option<u64>,
) -> Result<(FileInfo, u64, FileStream), FileError> {
    let request = |first: u64, last: Option<u64>| FileRequest::Read {
        path: path.clone(),
        first,
        last: Some(last.unwrap_or(u64::MAX).min(first.saturating_add(PIECE_BYTES - 1))),
    };
    let (answer, piece) = server.links.ask_with_bytes(&node_id, request(first, last)).await?;
    let FileAnswer::Bytes { info, .. } = answer else { return Err(FileError::Unreachable) };
    let end = last.map_or(info.length_bytes, |it| it.saturating_add(1).min(info.length_bytes));
    let length = end.saturating_sub(first);
    let state = Reading { server, node_id, path, next: first, end, piece: Some(piece) };
    Ok((info, length, Box::pin(futures_util::stream::try_unfold(state, next_piece))))
}

struct Reading {
    server: Arc<Server>,
    node_id: String,
    path: String,
    next: u64,
    end: u64,
    piece: Option<Bytes>,
}

async fn next_piece(mut reading: Reading) -> io::Result<Option<(Bytes, Reading)>> {
    if reading.next >= reading.end {
        return Ok(None);
    }
    let piece = match reading.piece.take() {
        Some(piece) => piece,
        None => {
            let last = (reading.end - 1).min(reading.next.saturating_add(PIECE_BYTES - 1));
            let path = reading.path.clone();
            let request = FileRequest::Read { path, first: reading.next, last: Some(last) };
            let asked = reading.server.links.ask_with_bytes(&reading.node_id, request).await;
            asked.map_err(io::Error::other)?.1
        }
    };
    if piece.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    reading.next = reading.next.saturating_add(piece.len() as u64);
    Ok(Some((piece, reading)))
}
