//! Blob bytes on local disk.
//!
//! An extent is a run of bytes that never changes once it is kept. Extents are numbered, not
//! named: which blob they belong to is written elsewhere, and a file that nobody names there
//! is garbage. This gives the order of all work here:
//!
//! - writing: the file and its directory are durable ([`Upload::finish`]) before anybody
//!   commits its number;
//! - removing: the number is gone from every commit before the file is unlinked
//!   ([`Extents::remove`]);
//! - a crash in between leaves files without a number, which [`Extents::sweep`] finds.
//!
//! Each opening of the directory has a run number of its own, and new extents are numbered
//! within it: `RUN/BUCKET/SEQUENCE`. So a sweep, which looks at earlier runs only, can never
//! meet an upload under way.

mod failure;
mod pin;
mod read;
mod sweep;
mod syncs;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use failure::ExtentFailure;
pub use pin::Pin;
pub use read::ReadStream;
pub use sweep::Swept;
pub use write::{Kept, Upload};

/// Bits of a file number that count within one run.
const SEQUENCE_BITS: u32 = 40;
/// Runs that fit a positive 64-bit signed number.
const RUN_MAX: u64 = (1 << (63 - SEQUENCE_BITS)) - 1;
/// Files in one directory.
const FILES_PER_BUCKET: u64 = 1024;

/// The number of one extent's file; fits a positive `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

impl FileId {
    const fn new(run: u64, sequence: u64) -> Self {
        Self(run << SEQUENCE_BITS | sequence)
    }

    const fn run(self) -> u64 {
        self.0 >> SEQUENCE_BITS
    }

    const fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

/// A directory of extents. Clones share it; one process opens it at a time.
#[derive(Clone, Debug)]
pub struct Extents {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    run: u64,
    next_sequence: AtomicU64,
    pins: pin::Pins,
    syncs: syncs::Syncs,
}

impl Extents {
    /// Opens the directory, which is made when it is missing.
    pub fn open(root: &Path) -> Result<Self, ExtentFailure> {
        std::fs::create_dir_all(root)
            .map_err(|cause| ExtentFailure::new("create the directory", root, cause))?;
        let run = sweep::runs(root)?.last().map_or(1, |last| last + 1);
        if run > RUN_MAX {
            return Err(ExtentFailure::new("number a new run in", root, out_of_numbers()));
        }
        let run_dir = root.join(run.to_string());
        std::fs::create_dir(&run_dir)
            .map_err(|cause| ExtentFailure::new("create the directory", &run_dir, cause))?;
        write::sync_directory(root)?;
        let inner = Inner {
            root: root.to_owned(),
            run,
            next_sequence: AtomicU64::new(0),
            pins: pin::Pins::default(),
            syncs: syncs::Syncs::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Begins an extent. Dropping the upload before it is kept removes its bytes.
    pub fn upload(&self) -> Upload {
        let sequence = self.inner.next_sequence.fetch_add(1, Ordering::Relaxed);
        Upload::new(self.clone(), FileId::new(self.inner.run, sequence))
    }

    /// Keeps the files of `ids` readable, removed or not, until the pin is dropped.
    pub fn pin(&self, ids: Vec<FileId>) -> Pin {
        Pin::new(self.clone(), ids)
    }

    /// Removes extents that no commit names any longer. Pinned ones go with their last pin. A
    /// file that cannot be removed is reported in the log and left for the next sweep.
    pub async fn remove(&self, ids: Vec<FileId>) {
        if ids.is_empty() {
            return;
        }
        let this = self.clone();
        let unlinking = tokio::task::spawn_blocking(move || {
            for id in this.inner.pins.doom(ids) {
                this.unlink(id);
            }
        });
        if let Err(cause) = unlinking.await {
            tracing::error!(%cause, "removing extents stopped early");
        }
    }

    /// Makes the name of a file durable, together with others that wait for the same.
    fn sync_directories(&self, id: FileId) -> Result<(), ExtentFailure> {
        let path = self.path(id);
        let Some(bucket) = path.parent() else { return Ok(()) };
        self.inner.syncs.sync(bucket)?;
        let bucket_idx = id.sequence() / FILES_PER_BUCKET;
        match bucket.parent() {
            Some(run) if !self.inner.syncs.is_lasting(bucket_idx) => {
                self.inner.syncs.sync(run)?;
                self.inner.syncs.note_lasting(bucket_idx);
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn path(&self, id: FileId) -> PathBuf {
        let bucket = id.sequence() / FILES_PER_BUCKET;
        let mut path = self.inner.root.join(id.run().to_string());
        path.push(bucket.to_string());
        path.push(id.sequence().to_string());
        path
    }

    fn unlink(&self, id: FileId) {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => {
                tracing::warn!(path = %path.display(), %cause, "an extent could not be removed");
            }
        }
    }
}

fn out_of_numbers() -> std::io::Error {
    std::io::Error::other("all run numbers are used up")
}

#[cfg(test)]
mod tests;
