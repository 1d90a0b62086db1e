//! Nothing is removed while somebody copies all of it.
//!
//! Who copies takes the lock on a file first, and then a picture of the names. Who removes looks
//! at the lock after the commit that took the last name away: found free, that commit is older
//! than any picture that is taken later. So neither waits for the other, and a lock ends with
//! its process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Looks at the lock that may be in the way for a moment.
const TRIES_MAX: u32 = 100;

/// While this lives, no extent is removed.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Hold {
    /// Holds the extents of the Kiln whose lock is at `path`; `None` when somebody else does.
    ///
    /// # Errors
    /// When the file can not be made or locked.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        for _ in 0..TRIES_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                // Somebody may be looking.
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
                Err(TryLockError::Error(cause)) => return Err(cause),
            }
        }
        Ok(None)
    }
}

/// Whether somebody holds the extents.
pub(crate) fn is_held(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => file.try_lock_shared().is_err(),
        // Nobody ever did.
        Err(_absent) => false,
    }
}
