//! Blob bytes: in files of a local folder, or as objects of an object store.
//!
//! An extent is a run of bytes that never changes once it is kept. Extents are numbered, not
//! named: which blob they belong to is written elsewhere, and a file that nobody names there
//! is garbage. This gives the order of all work here:
//!
//! - writing: the file and its directory are durable ([`Upload::finish`]) before anybody
//!   commits its number;
//! - removing: the number is gone from every commit before the file is unlinked
//!   ([`Extents::remove`]);
//! - a crash in between leaves files without a number, which [`Extents::sweep`] finds; what a
//!   failed commit leaves is among [`Extents::take_entrusted`].
//!
//! Each opening of the directory has a run number of its own, and new extents are numbered
//! within it: `RUN/BUCKET/SEQUENCE`. So a sweep, which looks at earlier runs only, can never
//! meet an upload under way.

mod copy;
mod entrusted;
mod failure;
mod hold;
mod inventory;
mod lane;
mod objects;
mod pin;
mod read;
mod sweep;
mod syncs;
mod upload;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use objects::Objects;

pub use copy::Copied;
pub use failure::ExtentFailure;
pub use hold::Hold;
pub use inventory::{Digest, Inventory};
pub use objects::ObjectPlace;
pub use pin::Pin;
pub use read::ReadStream;
pub use sweep::Swept;
pub use upload::{Kept, Upload};

/// Bits of a file number that count within one run.
const SEQUENCE_BITS: u32 = 40;
/// Runs that fit a positive 64-bit signed number.
const RUN_MAX: u64 = (1 << (63 - SEQUENCE_BITS)) - 1;
/// Bytes of a disk that no content takes: what removes content needs some room itself.
pub const ROOM_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Extents that wait to be removed while removing is held up; more are left for the next sweep.
const POSTPONED_MAX: usize = 1 << 20;
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

    const fn bucket(self) -> u64 {
        self.sequence() / FILES_PER_BUCKET
    }
}

/// The extents of one Kiln. Clones share them; one process opens them at a time.
#[derive(Clone, Debug)]
pub struct Extents {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    home: Home,
    run: u64,
    next_sequence: AtomicU64,
    pins: pin::Pins,
    syncs: syncs::Syncs,
    /// Where the lock is by which removing is held up.
    lock: OnceLock<PathBuf>,
    /// What is to be removed once it may be.
    postponed: Mutex<Vec<FileId>>,
    entrusted: entrusted::Entrusted,
}

/// Where the bytes are.
#[derive(Debug)]
enum Home {
    Folder(PathBuf),
    Objects(Objects),
}

impl Extents {
    /// Opens the directory, which is made when it is missing.
    ///
    /// # Errors
    /// When it can not be made, read or written.
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
        Ok(Self::at(Home::Folder(root.to_owned()), run))
    }

    /// Opens extents that are objects; call it within a runtime, which the extents go on using.
    ///
    /// # Errors
    /// When the object store can not be reached or refuses.
    pub async fn open_objects(place: &ObjectPlace) -> Result<Self, ExtentFailure> {
        let objects = Objects::new(place);
        let run = objects.begin_run().await?;
        Ok(Self::at(Home::Objects(objects), run))
    }

    fn at(home: Home, run: u64) -> Self {
        let next_sequence = AtomicU64::new(0);
        let inner = Inner {
            home,
            run,
            next_sequence,
            pins: pin::Pins::default(),
            syncs: syncs::Syncs::default(),
            lock: OnceLock::new(),
            postponed: Mutex::default(),
            entrusted: entrusted::Entrusted::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same, which remove nothing while somebody has a [`Hold`] of the lock at `path`.
    #[must_use]
    pub fn with_lock(self, path: PathBuf) -> Self {
        // Set once, where they are opened.
        drop(self.inner.lock.set(path));
        self
    }

    /// Whether each extent is a file of this machine, which can be opened.
    pub fn are_files(&self) -> bool {
        match self.inner.home {
            Home::Folder(_) => true,
            Home::Objects(_) => false,
        }
    }

    /// What messages call them, as a path.
    fn name(&self) -> &Path {
        match &self.inner.home {
            Home::Folder(root) => root,
            Home::Objects(objects) => objects.name(),
        }
    }

    /// Begins an extent. Dropping the upload before it is kept removes its bytes.
    pub fn upload(&self) -> Upload {
        let sequence = self.inner.next_sequence.fetch_add(1, Ordering::Relaxed);
        Upload::new(self, FileId::new(self.inner.run, sequence))
    }

    /// Refuses content of so many bytes when the disk would have no room left to work with.
    ///
    /// # Errors
    /// When there is too little room.
    pub fn require_room(&self, size_bytes: u64) -> Result<(), ExtentFailure> {
        let Home::Folder(root) = &self.inner.home else { return Ok(()) };
        // What can not be asked is found out by writing.
        let Ok(told) = rustix::fs::statvfs(root) else { return Ok(()) };
        let free_bytes = told.f_bavail.saturating_mul(told.f_frsize);
        if free_bytes.saturating_sub(size_bytes) >= ROOM_BYTES_MIN {
            return Ok(());
        }
        Err(ExtentFailure::new("find room in", root, std::io::ErrorKind::StorageFull.into()))
    }

    /// Keeps the files of `ids` readable, removed or not, until the pin is dropped.
    pub fn pin(&self, ids: Vec<FileId>) -> Pin {
        Pin::new(self.clone(), ids)
    }

    /// Removes extents that no commit names any longer. Pinned ones go with their last pin, and
    /// while a [`Hold`] is had, all with the next removal after it. A file that cannot be removed
    /// is reported in the log and left for the next sweep.
    pub async fn remove(&self, ids: Vec<FileId>) {
        let free = self.allowed(self.inner.pins.doom(ids));
        if free.is_empty() {
            return;
        }
        let root = match &self.inner.home {
            Home::Folder(root) => root.clone(),
            Home::Objects(objects) => return objects.delete(free).await,
        };
        let unlinking = tokio::task::spawn_blocking(move || {
            for id in free {
                unlink(&path_of(&root, id));
            }
        });
        if let Err(cause) = unlinking.await {
            tracing::error!(%cause, "removing extents stopped early");
        }
    }

    /// Makes the name of a file durable, together with others that wait for the same.
    fn sync_directories(&self, id: FileId) -> Result<(), ExtentFailure> {
        let Home::Folder(root) = &self.inner.home else { return Ok(()) };
        let path = path_of(root, id);
        let Some(bucket) = path.parent() else { return Ok(()) };
        self.inner.syncs.sync(bucket)?;
        match bucket.parent() {
            Some(run) if !self.inner.syncs.is_lasting(id.bucket()) => {
                self.inner.syncs.sync(run)?;
                self.inner.syncs.note_lasting(id.bucket());
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn unlink(&self, ids: Vec<FileId>) {
        let free = self.allowed(ids);
        match &self.inner.home {
            Home::Folder(root) => free.into_iter().for_each(|id| unlink(&path_of(root, id))),
            Home::Objects(objects) => objects.delete_soon(free),
        }
    }

    /// What may be removed now: `ids` and what was postponed, or nothing while it is held.
    fn allowed(&self, mut ids: Vec<FileId>) -> Vec<FileId> {
        let mut postponed = self.inner.postponed.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.is_empty() && postponed.is_empty() {
            return ids;
        }
        if self.inner.lock.get().is_some_and(|path| hold::is_held(path)) {
            // More are found by the next sweep.
            let n_free = POSTPONED_MAX.saturating_sub(postponed.len());
            postponed.extend(ids.into_iter().take(n_free));
            return Vec::new();
        }
        ids.append(&mut postponed);
        ids
    }
}

/// `ROOT/RUN/BUCKET/SEQUENCE`.
fn path_of(root: &Path, id: FileId) -> PathBuf {
    let mut path = root.join(id.run().to_string());
    path.push(id.bucket().to_string());
    path.push(id.sequence().to_string());
    path
}

fn unlink(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => {
            tracing::warn!(path = %path.display(), %cause, "an extent could not be removed");
        }
    }
}

fn out_of_numbers() -> std::io::Error {
    std::io::Error::other("all run numbers are used up")
}

// The suite is outside of this crate too, and names it so.
#[cfg(test)]
extern crate self as kiln_extents;
#[cfg(test)]
mod tests;
