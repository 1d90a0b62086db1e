//! A file of this machine that takes what is written until it becomes a blob.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::Errno;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Disk space for all spools of one mount.
#[derive(Debug)]
pub(super) struct Room {
    used_bytes: AtomicU64,
    bytes_max: u64,
}

impl Room {
    /// So much of it.
    pub(super) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { used_bytes: AtomicU64::new(0), bytes_max })
    }

    /// All there is, and what is left of it, in bytes.
    pub(super) fn left(&self) -> (u64, u64) {
        let used = self.used_bytes.load(Ordering::Relaxed);
        (self.bytes_max, self.bytes_max.saturating_sub(used))
    }

    fn change(&self, before: u64, after: u64) -> Result<(), Errno> {
        let changed = |used: u64| {
            let used = used.saturating_sub(before).saturating_add(after);
            (after <= before || used <= self.bytes_max).then_some(used)
        };
        let order = Ordering::Relaxed;
        self.used_bytes.fetch_update(order, order, changed).map(drop).map_err(|_full| Errno::ENOSPC)
    }
}

/// What is written to one file.
pub(super) struct Spool {
    file: File,
    room: Arc<Room>,
    state: Mutex<State>,
    /// Held while it is filled or becomes a blob: one does it, others wait.
    pub(super) turn: Mutex<()>,
}

/// Where a spool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Bytes of it.
    pub(super) length_bytes: u64,
    /// Whether the content of the blob is still to be fetched.
    pub(super) awaits_content: bool,
    /// Whether it has what the blob does not have.
    pub(super) is_dirty: bool,
    /// Whether its name is gone, so that it becomes no blob.
    pub(super) is_gone: bool,
    /// Handles by which it is written.
    pub(super) n_handles: usize,
}

impl Spool {
    /// A spool in a directory, where nobody sees it; `length_bytes` of the blob are still to be
    /// fetched, if there is one.
    pub(super) fn create(
        directory: &Path,
        room: Arc<Room>,
        blob: Option<u64>,
    ) -> Result<Self, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.map_err(io::Error::from)?);
        let length_bytes = blob.unwrap_or(0);
        room.change(0, length_bytes)?;
        let state = State {
            length_bytes,
            awaits_content: length_bytes > 0,
            is_dirty: blob.is_none(),
            is_gone: false,
            n_handles: 0,
        };
        Ok(Self { file, room, state: Mutex::new(state), turn: Mutex::new(()) })
    }

    /// Where it stands.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes; the content of the blob must be there.
    pub(super) fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let end = offset.saturating_add(u64::try_from(data.len()).map_err(io::Error::other)?);
        let mut state = self.state();
        let after = state.length_bytes.max(end);
        self.room.change(state.length_bytes, after)?;
        if let Err(error) = self.file.write_all_at(data, offset) {
            let _less = self.room.change(after, state.length_bytes);
            return Err(error.into());
        }
        state.length_bytes = after;
        state.is_dirty = true;
        Ok(())
    }

    /// Reads; the content of the blob must be there.
    pub(super) fn read(&self, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let mut data = vec![0; size];
        let mut n_read = 0;
        while let Some(rest) = data.get_mut(n_read..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(u64::try_from(n_read).map_err(io::Error::other)?);
            match self.file.read_at(rest, at)? {
                0 => break,
                more => n_read += more,
            }
        }
        data.truncate(n_read);
        Ok(data)
    }

    /// Cuts or lengthens it; if anything is left the content of the blob must be there.
    pub(super) fn resize(&self, length_bytes: u64) -> Result<(), Errno> {
        let mut state = self.state();
        self.room.change(state.length_bytes, length_bytes)?;
        if let Err(error) = self.file.set_len(length_bytes) {
            let _back = self.room.change(length_bytes, state.length_bytes);
            return Err(error.into());
        }
        *state = State { length_bytes, awaits_content: false, is_dirty: true, ..*state };
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let length_bytes = self.state().length_bytes;
        let _less = self.room.change(length_bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Room, Spool};
    use fuser::Errno;

    #[test]
    fn spools_share_their_room() {
        let directory = tempfile::tempdir_in("/var/tmp").expect("made");
        let room = Room::new(10);
        let make = || Spool::create(directory.path(), Arc::clone(&room), None).expect("made");
        let (one, other) = (make(), make());
        one.write(0, b"1234567").expect("room");
        assert_eq!(other.write(0, b"1234"), Err(Errno::ENOSPC));
        assert_eq!(other.resize(4), Err(Errno::ENOSPC));
        other.write(0, b"123").expect("room");
        one.write(2, b"xy").expect("nothing more is taken");
        assert_eq!(one.read(1, 9).expect("read"), b"2xy567");
        one.resize(2).expect("less is always fine");
        assert_eq!(room.left(), (10, 5));
        drop(one);
        assert_eq!(room.left(), (10, 7));
    }
}
