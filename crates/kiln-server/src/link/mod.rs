//! Links with agents: one session for each living connection.

mod files;
mod intake;
mod kept;
pub mod reports;
mod requests;
mod session;
mod shells;

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_wire::node::ToAgent;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use files::{FileError, FileStream, open as open_file};
pub use intake::{Reported, run as take_reports};
pub use requests::RequestError;
pub use session::prepare;
pub use shells::{OpenShell, Speaker};

use crate::server::Server;

/// Time in which an agent must have answered a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages that wait for one agent at the most; an agent that is so far behind is cut off
/// and told anew what it should do when it comes back.
const WAITING_MESSAGES_MAX: usize = 16 * 1024;
/// Agents that are linked at once at the most.
const SESSIONS_MAX: usize = 4096;
/// Bytes that the path of a unix socket may have, by the system.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The links with agents that are up.
#[derive(Debug)]
pub struct Links {
    sessions: Mutex<HashMap<String, Session>>,
    intake: mpsc::Sender<Reported>,
    streams: files::Streams,
    requests: requests::Requests,
    shells: shells::Shells,
}

/// One link that is up.
#[derive(Clone, Debug)]
struct Session {
    outbox: mpsc::Sender<ToAgent>,
    /// The version of the messages that both sides speak.
    protocol: u32,
    cut: CancellationToken,
}

impl Links {
    /// No link is up yet; what agents report goes to who [takes reports in](take_reports).
    pub fn new() -> (Self, mpsc::Receiver<Reported>) {
        let (intake, reported) = mpsc::channel(SESSIONS_MAX);
        let links = Self {
            intake,
            sessions: Mutex::default(),
            streams: files::Streams::default(),
            requests: requests::Requests::default(),
            shells: shells::Shells::default(),
        };
        (links, reported)
    }

    /// Sends messages to the agent of a node. When it is not linked they are dropped: it is
    /// told what it should do when it links.
    pub fn send(&self, node_id: &str, messages: impl IntoIterator<Item = ToAgent>) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(session) = sessions.get(node_id) else { return };
        for message in messages {
            if session.outbox.try_send(message).is_err() {
                warn!(node_id, "the agent is too far behind; its link is cut");
                session.cut.cancel();
                return;
            }
        }
    }

    /// Whether the agent of a node is linked.
    pub fn is_up(&self, node_id: &str) -> bool {
        self.session(node_id).is_some()
    }

    /// Whether the agent of a node is linked and understands this version of the messages.
    pub fn speaks(&self, node_id: &str, protocol: u32) -> bool {
        self.session(node_id).is_some_and(|session| session.protocol >= protocol)
    }

    /// The nodes whose agents are linked.
    pub fn nodes(&self) -> Vec<String> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<_> = sessions.keys().cloned().collect();
        nodes.sort();
        nodes
    }

    fn session(&self, node_id: &str) -> Option<Session> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(node_id).cloned()
    }

    /// Takes the place of an older link of the same node, which is cut.
    fn insert(&self, node_id: &str, session: Session) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(older) = sessions.insert(node_id.to_owned(), session) {
            older.cut.cancel();
        }
    }

    /// Forgets a link; whether it was the latest of its node, and no newer one took its place.
    fn remove(&self, node_id: &str, session: &Session) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_latest =
            sessions.get(node_id).is_some_and(|it| it.outbox.same_channel(&session.outbox));
        if is_latest {
            sessions.remove(node_id);
        }
        is_latest
    }
}

/// Where the socket of a data directory is: in it, or, where that name would be too long for
/// the system, in a folder of the temporary directory that only the owner may enter.
///
/// # Errors
/// When that folder can not be made.
pub fn socket_path(data: &Path) -> io::Result<PathBuf> {
    let path = data.join("link.sock");
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(path);
    }
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let folder = std::env::temp_dir().join(format!("kiln-{:016x}", hasher.finish()));
    std::fs::create_dir_all(&folder)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
    Ok(folder.join("link.sock"))
}

/// Binds the socket, whose leftover of an earlier life is removed.
///
/// # Errors
/// When the directory can not be written.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves one link with an agent to its end, or until `stop`.
pub async fn serve_one(
    server: &Arc<Server>,
    reader: impl AsyncRead + Unpin + Send,
    writer: impl AsyncWrite + Unpin + Send,
    stop: CancellationToken,
) {
    if let Err(error) = session::serve(server, reader, writer, stop).await {
        debug!(error = %crate::chain(&error), "a link ended");
    }
}

/// Serves the links of agents until `stop`.
pub async fn serve(server: Arc<Server>, listener: UnixListener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(SESSIONS_MAX));
    let mut sessions = JoinSet::new();
    loop {
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let (server, stop) = (Arc::clone(&server), stop.clone());
                sessions.spawn(async move {
                    let (reader, writer) = stream.into_split();
                    serve_one(&server, reader, writer, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "a link was not accepted");
                crate::clock::pause(crate::clock::AFTER_FAILURE).await;
            }
        }
    }
    while sessions.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::{Links, Session};

    #[test]
    fn only_the_latest_link_of_a_node_is_its_link() {
        let (links, _reported) = Links::new();
        let session =
            || Session { outbox: mpsc::channel(1).0, protocol: 1, cut: CancellationToken::new() };
        let (older, newer) = (session(), session());
        links.insert("n", older.clone());
        links.insert("n", newer.clone());
        assert!(older.cut.is_cancelled() && links.is_up("n"));
        assert!(links.remove("n", &newer) && !links.is_up("n"));
        assert!(!links.remove("n", &older), "the newer one said whom to expect");
    }
}
