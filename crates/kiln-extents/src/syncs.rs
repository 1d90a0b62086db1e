//! Flushes of directories, shared by all who wait for the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::ExtentFailure;
use crate::write::sync_directory;

/// Flushes of directories. Who asks while one is under way waits for the next, which is for
/// all who asked meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    directories: BTreeMap<PathBuf, Rounds>,
    /// Buckets of this run whose own names are durable.
    lasting: BTreeSet<u64>,
}

/// Who asked for a directory, counted.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    n_asked: u64,
    /// Askers up to here have what they want.
    n_served: u64,
    n_waiting: u64,
    is_running: bool,
}

impl Syncs {
    /// Makes the names that are in `directory` now durable. Blocks the thread.
    pub(crate) fn sync(&self, directory: &Path) -> Result<(), ExtentFailure> {
        let mut state = self.lock();
        let rounds = rounds_of(&mut state, directory);
        rounds.n_asked += 1;
        rounds.n_waiting += 1;
        let ticket = rounds.n_asked;
        let result = loop {
            let rounds = rounds_of(&mut state, directory);
            if rounds.n_served >= ticket {
                break Ok(());
            }
            if rounds.is_running {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds.is_running = true;
            let n_asked = rounds.n_asked;
            drop(state);
            let result = sync_directory(directory);
            state = self.lock();
            let rounds = rounds_of(&mut state, directory);
            rounds.is_running = false;
            self.ended.notify_all();
            match result {
                Ok(()) => rounds.n_served = n_asked,
                Err(failure) => break Err(failure),
            }
        };
        let rounds = rounds_of(&mut state, directory);
        rounds.n_waiting -= 1;
        if rounds.n_waiting == 0 {
            state.directories.remove(directory);
        }
        result
    }

    /// Whether the name of a bucket is durable itself.
    pub(crate) fn is_lasting(&self, bucket_idx: u64) -> bool {
        self.lock().lasting.contains(&bucket_idx)
    }

    /// The name of a bucket is durable.
    pub(crate) fn note_lasting(&self, bucket_idx: u64) {
        self.lock().lasting.insert(bucket_idx);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rounds_of<'s>(state: &'s mut State, directory: &Path) -> &'s mut Rounds {
    state.directories.entry(directory.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Syncs;

    #[test]
    fn many_share_and_nothing_is_left_behind() {
        let directory = std::env::temp_dir();
        let syncs = Syncs::default();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        syncs.sync(&directory).expect("synced");
                    }
                });
            }
        });
        assert!(syncs.lock().directories.is_empty());
    }

    #[test]
    fn a_failure_is_told_to_each_who_asked() {
        let syncs = Syncs::default();
        let absent = Path::new("/nonexistent/directory");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(syncs.sync(absent).is_err()));
            }
        });
        assert!(syncs.lock().directories.is_empty());
    }
}
