//! The MD5 of an extent, computed beside whoever brings its bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::sync::Notify;

/// Batches that wait to be hashed: one is enough that the thread goes on without a pause.
const WAITING_MAX: usize = 1;

/// An MD5 being computed. As long as there is something to hash, one thread is at it: MD5 is what
/// bounds a fast upload, and each pause to find a thread would cost.
#[derive(Clone, Debug)]
pub(crate) struct Hash(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    progress: Notify,
}

#[derive(Debug)]
struct State {
    /// Not there while a thread has it.
    md5: Option<Md5>,
    waiting: VecDeque<Arc<[Bytes]>>,
}

impl Hash {
    pub(crate) fn new() -> Self {
        let state = State { md5: Some(Md5::new()), waiting: VecDeque::new() };
        Self(Arc::new(Shared { state: Mutex::new(state), progress: Notify::new() }))
    }

    /// Takes the next bytes, when not too many others wait.
    pub(crate) async fn push(&self, batch: Arc<[Bytes]>) {
        let batch = &mut Some(batch);
        self.when(|state| {
            if state.waiting.len() >= WAITING_MAX {
                return None;
            }
            state.waiting.extend(batch.take());
            if let Some(md5) = state.md5.take() {
                let this = self.clone();
                drop(tokio::task::spawn_blocking(move || this.run(md5)));
            }
            Some(())
        })
        .await;
    }

    /// The MD5 of all bytes.
    pub(crate) async fn finish(&self) -> [u8; 16] {
        let md5 = self.when(|state| state.md5.take()).await;
        md5.finalize().into()
    }

    /// What `look` comes to, as soon as it comes to something.
    async fn when<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let progress = self.0.progress.notified();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            progress.await;
        }
    }

    fn run(&self, mut md5: Md5) {
        loop {
            let mut state = self.lock();
            let next = state.waiting.pop_front();
            if next.is_none() {
                state.md5 = Some(md5);
                drop(state);
                return self.0.progress.notify_one();
            }
            drop(state);
            self.0.progress.notify_one();
            for bytes in next.iter().flat_map(|batch| batch.iter()) {
                md5.update(bytes);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use md5::{Digest, Md5};

    use super::Hash;

    #[tokio::test]
    async fn batches_are_hashed_in_their_order() {
        for n_batches in [0, 1, 2, 50] {
            let (hash, mut whole) = (Hash::new(), Md5::new());
            for n in 0..n_batches {
                let bytes = vec![n; 1000 * usize::from(n) + 1];
                whole.update(&bytes);
                hash.push(Arc::new([Bytes::from(bytes), Bytes::new()])).await;
            }
            assert_eq!(hash.finish().await, <[u8; 16]>::from(whole.finalize()), "{n_batches}");
        }
    }
}
