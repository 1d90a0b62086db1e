//! Work on the bytes of an extent, done beside whoever brings them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fast_md5::Md5;
use tokio::sync::Notify;

use crate::ExtentFailure;

/// Bytes that are worked on in one go.
pub(crate) type Batch = Arc<[Bytes]>;

/// Batches that wait: enough that the thread goes on while nobody brings more, because the
/// processor is at something else.
const WAITING_MAX: usize = 2;

/// What is done with all bytes of an extent, in their order.
pub(crate) trait Work: Send + 'static {
    /// Takes the next bytes. Blocks the thread.
    ///
    /// # Errors
    /// When it is of no use to go on.
    fn take(&mut self, batch: &[Bytes]) -> Result<(), ExtentFailure>;
}

impl Work for Md5 {
    fn take(&mut self, batch: &[Bytes]) -> Result<(), ExtentFailure> {
        batch.iter().for_each(|bytes| self.update(bytes));
        Ok(())
    }
}

/// Work beside the caller. One thread is at it as long as there are bytes: each pause to find a
/// thread would cost. When there are none it is given back, because a client may take its time.
pub(crate) struct Lane<W>(Arc<Shared<W>>);

struct Shared<W> {
    /// What messages call the extent.
    name: PathBuf,
    state: Mutex<State<W>>,
    progress: Notify,
}

struct State<W> {
    place: Place<W>,
    waiting: VecDeque<Batch>,
}

enum Place<W> {
    Idle(W),
    AtWork,
    Failed(ExtentFailure),
    /// The end, or a failure that was told.
    Over,
}

impl<W: Work> Lane<W> {
    pub(crate) fn new(name: &Path, work: W) -> Self {
        let state = State { place: Place::Idle(work), waiting: VecDeque::new() };
        let (name, state) = (name.to_owned(), Mutex::new(state));
        Self(Arc::new(Shared { name, state, progress: Notify::new() }))
    }

    /// Takes the next bytes, when not too many others wait.
    ///
    /// # Errors
    /// When earlier ones could not be worked on.
    pub(crate) async fn push(&self, batch: Batch) -> Result<(), ExtentFailure> {
        self.when(|lane, state| match std::mem::replace(&mut state.place, Place::Over) {
            Place::Idle(work) => {
                state.waiting.push_back(Arc::clone(&batch));
                state.place = Place::AtWork;
                let lane = lane.clone();
                drop(tokio::task::spawn_blocking(move || lane.run(work)));
                Some(Ok(()))
            }
            Place::AtWork => {
                state.place = Place::AtWork;
                if state.waiting.len() >= WAITING_MAX {
                    return None;
                }
                state.waiting.push_back(Arc::clone(&batch));
                Some(Ok(()))
            }
            Place::Failed(failure) => Some(Err(failure)),
            Place::Over => Some(Err(lane.over())),
        })
        .await
    }

    /// What the work came to, when all bytes were taken.
    ///
    /// # Errors
    /// When some could not be worked on.
    pub(crate) async fn finish(&self) -> Result<W, ExtentFailure> {
        self.when(|lane, state| match std::mem::replace(&mut state.place, Place::Over) {
            Place::Idle(work) => Some(Ok(work)),
            Place::AtWork => {
                state.place = Place::AtWork;
                None
            }
            Place::Failed(failure) => Some(Err(failure)),
            Place::Over => Some(Err(lane.over())),
        })
        .await
    }

    /// What `look` comes to, as soon as it comes to something.
    async fn when<T>(&self, mut look: impl FnMut(&Self, &mut State<W>) -> Option<T>) -> T {
        loop {
            let progress = self.0.progress.notified();
            if let Some(found) = look(self, &mut self.lock()) {
                return found;
            }
            progress.await;
        }
    }

    fn run(&self, mut work: W) {
        loop {
            let mut state = self.lock();
            let Some(batch) = state.waiting.pop_front() else {
                state.place = Place::Idle(work);
                drop(state);
                return self.0.progress.notify_one();
            };
            drop(state);
            self.0.progress.notify_one();
            let taken = catch_unwind(AssertUnwindSafe(|| work.take(&batch)));
            if let Err(failure) = taken.unwrap_or_else(|_panic| Err(self.panicked())) {
                let mut state = self.lock();
                state.place = Place::Failed(failure);
                state.waiting.clear();
                drop(state);
                return self.0.progress.notify_one();
            }
        }
    }

    fn panicked(&self) -> ExtentFailure {
        tracing::error!(extent = %self.0.name.display(), "bug: work on an extent panicked");
        ExtentFailure::new("finish working on", &self.0.name, io::Error::other("a panic"))
    }

    fn over(&self) -> ExtentFailure {
        ExtentFailure::new("go on with", &self.0.name, io::Error::other("its work is over"))
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Clone for Lane<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> fmt::Debug for Lane<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("name", &self.0.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use md5::Digest as _;

    use super::{Lane, Work};
    use crate::ExtentFailure;

    /// Fails, or panics, at its third batch.
    struct Faulty {
        n_batches: u32,
        panics: bool,
    }

    impl Work for Faulty {
        fn take(&mut self, _batch: &[Bytes]) -> Result<(), ExtentFailure> {
            self.n_batches += 1;
            assert!(!(self.panics && self.n_batches == 3), "the third batch");
            if self.n_batches < 3 {
                return Ok(());
            }
            let cause = std::io::ErrorKind::StorageFull.into();
            Err(ExtentFailure::new("write", Path::new("faulty"), cause))
        }
    }

    #[tokio::test]
    async fn batches_are_hashed_in_their_order() {
        for n_batches in [0, 1, 2, 50] {
            let lane = Lane::new(Path::new("hashed"), fast_md5::Md5::new());
            let mut whole = md5::Md5::new();
            for n in 0..n_batches {
                let bytes = vec![n; 1000 * usize::from(n) + 1];
                whole.update(&bytes);
                let batch = Arc::new([Bytes::from(bytes), Bytes::new()]);
                lane.push(batch).await.expect("hashing does not fail");
            }
            let found = lane.finish().await.expect("hashing does not fail").finalize();
            assert_eq!(found, <[u8; 16]>::from(whole.finalize()), "{n_batches}");
        }
    }

    #[tokio::test]
    async fn a_failure_ends_the_work_and_is_told_once() {
        for panics in [false, true] {
            let lane = Lane::new(Path::new("faulty"), Faulty { n_batches: 0, panics });
            let failure = loop {
                if let Err(failure) = lane.push(Arc::new([Bytes::new()])).await {
                    break failure;
                }
            };
            assert_eq!(failure.is_disk_full(), !panics);
            let over = lane.push(Arc::new([Bytes::new()])).await.expect_err("it is over");
            assert!(!over.is_disk_full());
            assert!(lane.finish().await.is_err());
        }
    }
}
