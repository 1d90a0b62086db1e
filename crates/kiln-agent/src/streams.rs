//! Answers to the server's questions about files, given beside the loop.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kiln_wire::node::{FILE_FRAME_BYTES, FileRefusal, FileRequest, FromAgent};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::link::Piece;
use crate::node::Node;
use kiln_files::Content;

/// Questions that are being answered.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Answers of this link, by stream.
    answers: HashMap<u64, AbortHandle>,
    work: JoinSet<()>,
}

impl Streams {
    /// Answers `request`; the answer goes to `pieces`, as fast as the link takes it.
    pub(crate) fn answer(
        &mut self,
        node: Arc<Node>,
        stream: u64,
        request: FileRequest,
        pieces: mpsc::Sender<Piece>,
    ) {
        self.collect();
        let handle = self.work.spawn(async move {
            send_answer(node, stream, request, &pieces).await;
        });
        self.answers.insert(stream, handle);
    }

    /// Ends the answer on `stream`.
    pub(crate) fn cancel(&mut self, stream: u64) {
        if let Some(handle) = self.answers.remove(&stream) {
            handle.abort();
        }
    }

    /// Ends all answers.
    pub(crate) async fn end(&mut self) {
        self.answers.clear();
        self.work.shutdown().await;
    }

    /// Forgets answers that were given.
    fn collect(&mut self) {
        while self.work.try_join_next().is_some() {}
        self.answers.retain(|_, handle| !handle.is_finished());
    }
}

async fn send_answer(
    node: Arc<Node>,
    stream: u64,
    request: FileRequest,
    pieces: &mpsc::Sender<Piece>,
) {
    let (answer, content) = match ask(node, request).await {
        Ok((answer, content)) => (Ok(answer), content),
        Err(refusal) => (Err(refusal), None),
    };
    let answer = Piece::Answer(FromAgent::Files { stream, answer });
    if pieces.send(answer).await.is_err() {
        return;
    }
    if let Some(content) = content {
        send_content(content, stream, pieces).await;
    }
}

async fn send_content(mut content: Content, stream: u64, pieces: &mpsc::Sender<Piece>) {
    let mut buffer = vec![0; FILE_FRAME_BYTES];
    loop {
        // Room first: what the link does not take is not read.
        let Ok(room) = pieces.reserve().await else {
            return;
        };
        // A file that can not be read any more ends early, as one that got shorter does.
        let bytes = content.read_part(&mut buffer).unwrap_or_default();
        room.send(Piece::Bytes { stream, bytes: Bytes::copy_from_slice(bytes) });
        if bytes.is_empty() {
            return;
        }
    }
}

/// Asks on a thread that may wait: a directory can be large.
async fn ask(
    node: Arc<Node>,
    request: FileRequest,
) -> Result<(kiln_wire::node::FileAnswer, Option<Content>), FileRefusal> {
    let asked = tokio::task::spawn_blocking(move || kiln_files::answer(&node.root, &request)).await;
    asked.unwrap_or_else(|error| Err(FileRefusal::Failed { message: error.to_string() }))
}
