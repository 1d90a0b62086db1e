//! What went wrong with which file.

use std::io;
use std::path::{Path, PathBuf};

/// An operation of the file system failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing} `{}`", path.display())]
pub struct ExtentFailure {
    doing: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl ExtentFailure {
    pub(crate) fn new(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { doing, path: path.to_owned(), cause }
    }

    /// A task of the pool that did not come to its end.
    pub(crate) fn stopped(path: &Path, cause: tokio::task::JoinError) -> Self {
        Self::new("finish working on", path, io::Error::other(cause))
    }

    /// The file or directory it was about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is not there.
    pub fn is_missing(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }

    /// Whether nothing can be read or written there now: it is read-only, or it fails.
    pub fn is_failing(&self) -> bool {
        use io::ErrorKind::{ReadOnlyFilesystem, StaleNetworkFileHandle};
        const EIO: i32 = 5;
        matches!(self.cause.kind(), ReadOnlyFilesystem | StaleNetworkFileHandle)
            || self.cause.raw_os_error() == Some(EIO)
    }

    /// Whether the disk, or the quota on it, is full.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.cause.kind(), StorageFull | QuotaExceeded)
    }
}

impl From<ExtentFailure> for io::Error {
    fn from(failure: ExtentFailure) -> Self {
        Self::new(failure.cause.kind(), failure)
    }
}
