//! Which extents were left to a commit of which nobody here knows whether it happened.

use std::sync::{Mutex, PoisonError};

use crate::{Extents, FileId};

/// Extents that are remembered; the files of those beyond are left to the next start's sweep.
const ENTRUSTED_MAX: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Entrusted(Mutex<Vec<FileId>>);

impl Extents {
    /// Notes that a commit under way, or one that failed, decides what becomes of extents.
    pub fn entrust(&self, ids: impl IntoIterator<Item = FileId>) {
        let mut entrusted = self.inner.entrusted.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n_free = ENTRUSTED_MAX.saturating_sub(entrusted.len());
        entrusted.extend(ids.into_iter().take(n_free));
    }

    /// The extents entrusted since the last time. Whoever takes them removes those that nobody
    /// names once all commits under way now are decided.
    pub fn take_entrusted(&self) -> Vec<FileId> {
        let mut entrusted = self.inner.entrusted.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *entrusted)
    }
}
