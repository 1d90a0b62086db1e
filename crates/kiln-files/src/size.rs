//! How much room a directory takes.

use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::{AtFlags, Dir, FileType, statat};

use crate::directory::{Directory, Links};

/// Levels of directories that are looked into; a task that goes deeper is counted short.
const LEVELS_MAX: usize = 128;
/// Bytes of one of the blocks that the system counts.
const BLOCK_BYTES: u64 = 512;

/// Bytes on disk of all in a directory; of what can not be read nothing is counted.
pub(crate) fn bytes_in(directory: Directory) -> io::Result<u64> {
    let mut bytes: u64 = 0;
    let mut rest = vec![(directory, 0)];
    while let Some((directory, level)) = rest.pop() {
        for entry in Dir::read_from(directory.as_fd())? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
            bytes = bytes.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if is_directory
                && level < LEVELS_MAX
                && let Ok(name) = name.to_str()
            {
                let inner = directory.enter(name, Links::Refused);
                rest.extend(inner.ok().map(|inner| (inner, level + 1)));
            }
        }
    }
    Ok(bytes)
}
