//! Brings relaxed commits to the disk, now and then, beside the writer.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::error;

/// Time between two flushes: what a power cut may take, about.
const PERIOD: Duration = Duration::from_secs(1);

/// A thread that flushes the log of the database a while after each commit.
#[derive(Debug)]
pub(crate) struct Flusher {
    state: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    is_dirty: bool,
    is_stopped: bool,
}

impl Flusher {
    /// Starts the thread, which ends when this is dropped.
    pub(crate) fn start(database: PathBuf) -> Self {
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("store-flusher".to_owned())
            .spawn(move || run(&shared, &database))
            .expect("a process can start one more thread");
        Self { state, thread: Some(thread) }
    }

    /// Something was committed.
    pub(crate) fn note(&self) {
        self.change(|state| state.is_dirty = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (state, changed) = &*self.state;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_one();
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.change(|state| state.is_stopped = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("bug: the store's flusher panicked");
        }
    }
}

fn run((state, changed): &(Mutex<State>, Condvar), database: &Path) {
    let mut guard = state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let waits = |state: &mut State| !state.is_dirty && !state.is_stopped;
        guard = changed.wait_while(guard, waits).unwrap_or_else(PoisonError::into_inner);
        let is_last = guard.is_stopped;
        if std::mem::take(&mut guard.is_dirty) {
            drop(guard);
            if let Err(cause) = flush(database) {
                error!(%cause, "commits could not be flushed; it is tried again with the next");
            }
            guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        }
        if is_last {
            return;
        }
        let runs = |state: &mut State| !state.is_stopped;
        let waited = changed.wait_timeout_while(guard, PERIOD, runs);
        guard = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Makes all that was committed durable. What a checkpoint took out of the log meanwhile,
/// SQLite has flushed by itself.
pub(crate) fn flush(database: &Path) -> io::Result<()> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    match File::open(&log) {
        Ok(log) => log.sync_data()?,
        // A log that is not there holds nothing.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    database.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
