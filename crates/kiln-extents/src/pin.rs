//! Which extents are being read, so that removing one waits for its readers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Extents, FileId};

#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<BTreeMap<FileId, Pinned>>);

#[derive(Debug, Default)]
struct Pinned {
    n_readers: usize,
    is_doomed: bool,
}

impl Pins {
    /// Marks the pinned ones of `ids` for removal and answers with the others.
    pub(crate) fn doom(&self, mut ids: Vec<FileId>) -> Vec<FileId> {
        let mut pinned = self.lock();
        ids.retain(|id| match pinned.get_mut(id) {
            Some(pinned) => {
                pinned.is_doomed = true;
                false
            }
            None => true,
        });
        ids
    }

    fn add(&self, ids: &[FileId]) {
        let mut pinned = self.lock();
        for id in ids {
            pinned.entry(*id).or_default().n_readers += 1;
        }
    }

    /// Takes one reader from each of `ids` and answers with those to unlink.
    fn release(&self, ids: &[FileId]) -> Vec<FileId> {
        let mut pinned = self.lock();
        let mut done = Vec::new();
        for id in ids {
            let Some(entry) = pinned.get_mut(id) else { continue };
            entry.n_readers = entry.n_readers.saturating_sub(1);
            if entry.n_readers == 0 {
                if entry.is_doomed {
                    done.push(*id);
                }
                pinned.remove(id);
            }
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FileId, Pinned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps extents readable until it is dropped.
#[derive(Debug)]
pub struct Pin {
    extents: Extents,
    ids: Vec<FileId>,
}

impl Pin {
    pub(crate) fn new(extents: Extents, ids: Vec<FileId>) -> Self {
        extents.inner.pins.add(&ids);
        Self { extents, ids }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let doomed = self.extents.inner.pins.release(&self.ids);
        if !doomed.is_empty() {
            self.extents.unlink(doomed);
        }
    }
}
