//! Whether the server is ready: all of it runs, and what it is sent it can keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kiln_store::StoreError;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock;
use crate::room::room_of;
use crate::server::Server;

/// Time in which the store must have made a commit.
const COMMIT_SECONDS_MAX: u64 = 5;
/// Time for which an answer of the store holds: whoever asks more often does not cost more.
const ANSWER_HOLDS_FOR: Duration = Duration::from_secs(1);
/// Free bytes of the disk below which a blob of a MiB is refused.
const ROOM_BYTES_MIN: u64 = kiln_extents::ROOM_BYTES_MIN + 1024 * 1024;

/// Why the server is not ready.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotReady {
    /// Not all of it runs yet.
    #[error("it is starting")]
    Starting,
    /// It answers what it has, and nothing more.
    #[error("it is stopping")]
    Stopping,
    /// The store says no.
    #[error("the store cannot keep anything: {0}")]
    Store(String),
    /// It says nothing.
    #[error("the store has made no commit for {COMMIT_SECONDS_MAX} s")]
    Slow,
    /// The disk is full.
    #[error("the disk of the data directory has {free_bytes} bytes left")]
    Room {
        /// How much is free.
        free_bytes: u64,
    },
}

#[derive(Debug, Default)]
pub(super) struct Readiness {
    is_stopping: AtomicBool,
    /// What the store said last, and when. One asks it at a time.
    store: Mutex<Option<(Instant, Result<(), NotReady>)>>,
}

impl Readiness {
    pub(super) fn set_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Asks a server, if it runs.
    pub(super) async fn ask(&self, server: Option<&Arc<Server>>) -> Result<(), NotReady> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(NotReady::Stopping);
        }
        let server = server.ok_or(NotReady::Starting)?;
        if let Some(room) = room_of(&server.config.data)
            && room.free_bytes < ROOM_BYTES_MIN
        {
            return Err(NotReady::Room { free_bytes: room.free_bytes });
        }
        let mut last = self.store.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < ANSWER_HOLDS_FOR
        {
            return answer.clone();
        }
        let commit = server.store.write(|tx| tx.write_nothing_new());
        let answer = match timeout(Duration::from_secs(COMMIT_SECONDS_MAX), commit).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(cause)) => {
                let cause: StoreError = cause;
                Err(NotReady::Store(crate::chain(&cause).to_string()))
            }
            Err(_elapsed) => Err(NotReady::Slow),
        };
        *last = Some((clock::tick(), answer.clone()));
        answer
    }
}
