//! The room of the disk that the data directory is on.

use std::path::Path;

/// Free bytes below which nothing is added: what removes needs some room itself. Blobs are
/// refused earlier, so that there is room for the rows of what they leave.
pub(crate) const TO_ADD_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// The room of a file system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub(crate) free_bytes: u64,
    pub(crate) size_bytes: u64,
}

/// The room of the file system that a path is on; `None` where it can not be asked for.
pub(crate) fn room_of(path: &Path) -> Option<Room> {
    let told = rustix::fs::statvfs(path).ok()?;
    Some(Room {
        free_bytes: told.f_bavail.saturating_mul(told.f_frsize),
        size_bytes: told.f_blocks.saturating_mul(told.f_frsize),
    })
}
