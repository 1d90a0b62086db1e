//! One agent for each node: held as a lock on a file of the node's directory.
//!
//! Whoever starts agents asks the lock whether one lives, and finds its process id in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::FlockOperation;

/// The file, in the node's directory.
const FILE: &str = "agent.lock";

/// Held for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a node's directory, which is made when it is missing.
    pub(crate) fn take(directory: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o711).create(directory)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(directory.join(FILE))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn one_at_a_time() {
        let scratch = tempfile::tempdir().expect("a directory");
        let lock = Lock::take(scratch.path()).expect("nobody else has it");
        assert!(Lock::take(scratch.path()).is_err());
        drop(lock);
        assert!(Lock::take(scratch.path()).is_ok());
    }
}
