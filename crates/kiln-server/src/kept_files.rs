//! Files of tasks whose nodes are gone: where they are kept, and how they are read.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kiln_domain::batch::task::{Task, TaskState};
use kiln_files::Content;
use kiln_store::StoreError;
use kiln_wire::node::{FILE_FRAME_BYTES, FileAnswer, FileInfo, FileRefusal, FileRequest};

use crate::clock;
use crate::link::{FileError, FileStream};
use crate::server::Server;

/// Under which key the files of a task lie that its last run left in `directory` on its node;
/// `None` when they are not kept, or not any more.
pub(crate) fn find(
    server: &Server,
    task: &Task,
    directory: &str,
) -> Result<Option<i64>, StoreError> {
    let place = task.life.place.as_ref().filter(|_| task.life.state == TaskState::Completed);
    let Some(place) = place else { return Ok(None) };
    let (kept, unsorted) = server.store.read(|view| {
        let kept = view.kept_task(task)?;
        Ok::<_, StoreError>((kept, view.unsorted_kept_nodes_of(&place.node_id)?))
    })?;
    if let Some(kept) = kept {
        return Ok((kept.keep_until > clock::now()).then_some(kept.node_key));
    }
    // The node is gone since a moment: what is kept of it is being looked through.
    let keys = unsorted.into_iter().map(|node| node.key);
    let has_files = |key: &i64| {
        let root = server.kept_files.root(*key);
        root.is_ok_and(|root| root.enter(directory, kiln_files::Links::Refused).is_ok())
    };
    Ok(keys.into_iter().find(has_files))
}

type Answered = Result<(FileAnswer, Option<Content>), FileRefusal>;

async fn answer(server: &Arc<Server>, key: i64, request: FileRequest) -> Answered {
    let server = Arc::clone(server);
    let answering = tokio::task::spawn_blocking(move || match server.kept_files.root(key) {
        Ok(root) => kiln_files::answer(&root, &request),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileRefusal::NotFound),
        Err(error) => Err(FileRefusal::Failed { message: error.to_string() }),
    });
    answering.await.unwrap_or_else(|bug| Err(FileRefusal::Failed { message: bug.to_string() }))
}

/// Answers a question about files that are kept, as the agent of their node would.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn ask(
    server: &Arc<Server>,
    key: i64,
    request: FileRequest,
) -> Result<FileAnswer, FileError> {
    Ok(answer(server, key, request).await.map_err(FileError::Refused)?.0)
}

/// Opens a file that is kept: about it, how many bytes come, and the bytes from `first` to
/// `last` (inclusive), or to the end.
///
/// # Errors
/// Why it can not be read.
pub(crate) async fn open(
    server: &Arc<Server>,
    key: i64,
    path: String,
    (first, last): (u64, Option<u64>),
) -> Result<(FileInfo, u64, FileStream), FileError> {
    let request = FileRequest::Read { path, first, last };
    match answer(server, key, request).await.map_err(FileError::Refused)? {
        (FileAnswer::Bytes { info, length_bytes }, Some(content)) => {
            let stream = futures_util::stream::try_unfold((content, length_bytes), next_piece);
            Ok((info, length_bytes, Box::pin(stream)))
        }
        (
            FileAnswer::Bytes { .. }
            | FileAnswer::Stat { .. }
            | FileAnswer::List { .. }
            | FileAnswer::Removed,
            _,
        ) => Err(FileError::Unreachable),
    }
}

/// The next bytes, read on a thread that may wait.
async fn next_piece(
    (mut content, rest): (Content, u64),
) -> io::Result<Option<(Bytes, (Content, u64))>> {
    if rest == 0 {
        return Ok(None);
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; FILE_FRAME_BYTES];
        let n_read = content.read_part(&mut buffer)?.len();
        buffer.truncate(n_read);
        Ok::<_, io::Error>((Bytes::from(buffer), content))
    });
    let (piece, content) = reading.await.map_err(io::Error::other)??;
    if piece.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    let rest = rest.saturating_sub(piece.len() as u64);
    Ok(Some((piece, (content, rest))))
}
