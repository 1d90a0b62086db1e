//! Answers questions about files below the root of a node.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;

use kiln_domain::time::Timestamp;
use kiln_wire::node::{FileAnswer, FileInfo, FileRefusal, FileRequest};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, fstat, statat, unlinkat};
use rustix::io::Errno;

use crate::directory::{Directory, Links, is_below};

/// Files in one list.
const FILES_MAX: usize = 40_000;
/// Bytes of the names in one list, so that the answer fits a frame.
const NAMES_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Levels of directories in one list.
const LEVELS_MAX: usize = 128;

/// Bytes of a file that were asked for.
#[derive(Debug)]
pub struct Content {
    file: File,
    next: u64,
    rest_bytes: u64,
}

/// Answers `request`; with [`FileAnswer::Bytes`] comes what is to be sent.
///
/// # Errors
/// Why there is no answer.
pub fn answer(
    root: &Directory,
    request: &FileRequest,
) -> Result<(FileAnswer, Option<Content>), FileRefusal> {
    let path = request.path();
    if !is_below(path) {
        return Err(FileRefusal::Outside);
    }
    let path = path.trim_matches('/');
    match request {
        FileRequest::List { recursive, .. } => {
            let files = list(root, path, *recursive)?;
            Ok((FileAnswer::List { files }, None))
        }
        FileRequest::Stat { .. } => {
            let found = open(root, path, OFlags::PATH)?;
            let info = info(path, &fstat(&found).map_err(refusal_of)?);
            Ok((FileAnswer::Stat { info }, None))
        }
        FileRequest::Read { first, last, .. } => read(root, path, *first, *last),
        FileRequest::Remove { recursive, .. } => {
            remove(root, path, *recursive)?;
            Ok((FileAnswer::Removed, None))
        }
    }
}

fn open(root: &Directory, path: &str, flags: OFlags) -> Result<std::os::fd::OwnedFd, FileRefusal> {
    root.open(path, flags, Links::Below).map_err(|error| refusal(&error))
}

fn list(root: &Directory, path: &str, is_recursive: bool) -> Result<Vec<FileInfo>, FileRefusal> {
    let directory = root.enter(path, Links::Below).map_err(|error| refusal(&error))?;
    let mut files = Vec::new();
    let mut names_bytes = 0;
    // Directories that are still to be listed, the next one last.
    let mut rest = vec![(directory, String::new(), 0)];
    while let Some((directory, prefix, level)) = rest.pop() {
        let mut below = Vec::new();
        for name in names(&directory)? {
            let Some(stat) = stat_of(&directory, &name) else {
                continue;
            };
            let info = info(&format!("{prefix}{name}"), &stat);
            names_bytes += info.name.len();
            if files.len() == FILES_MAX || names_bytes > NAMES_BYTES_MAX {
                let message = format!("more than {} files: list a directory in it", files.len());
                return Err(FileRefusal::Failed { message });
            }
            if info.is_directory && is_recursive && level < LEVELS_MAX {
                // A link to a directory is listed, but not entered.
                let inner = directory.enter(&name, Links::Refused);
                below.extend(inner.ok().map(|inner| (inner, format!("{}/", info.name), level + 1)));
            }
            files.push(info);
        }
        rest.extend(below.into_iter().rev());
    }
    if is_recursive {
        files.sort_by(|one, other| one.name.split('/').cmp(other.name.split('/')));
    }
    Ok(files)
}

/// Names in a directory, in order.
fn names(directory: &Directory) -> Result<Vec<String>, FileRefusal> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory.as_fd()).map_err(refusal_of)? {
        let entry = entry.map_err(refusal_of)?;
        // A name that is no text can not be asked for either.
        let name = entry.file_name().to_str().unwrap_or_default();
        if !matches!(name, "" | "." | "..") {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// About what lies under a name; about a link itself when it leads out of the directory.
fn stat_of(directory: &Directory, name: &str) -> Option<Stat> {
    let own = statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    if FileType::from_raw_mode(own.st_mode) != FileType::Symlink {
        return Some(own);
    }
    let target = directory.open(name, OFlags::PATH, Links::Below).ok();
    Some(target.and_then(|target| fstat(&target).ok()).unwrap_or(own))
}

fn read(
    root: &Directory,
    path: &str,
    first: u64,
    last: Option<u64>,
) -> Result<(FileAnswer, Option<Content>), FileRefusal> {
    // A pipe must not make the agent wait.
    let file = open(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let stat = fstat(&file).map_err(refusal_of)?;
    let info = info(path, &stat);
    if info.is_directory {
        return Err(FileRefusal::IsDirectory);
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileRefusal::Failed { message: "not a regular file".to_owned() });
    }
    let whole = info.length_bytes;
    if first > 0 && first >= whole {
        return Err(FileRefusal::OutOfRange { length_bytes: whole });
    }
    let end = last.map_or(whole, |last| last.saturating_add(1).min(whole));
    let length_bytes = end.saturating_sub(first);
    let content = Content { file: File::from(file), next: first, rest_bytes: length_bytes };
    Ok((FileAnswer::Bytes { info, length_bytes }, Some(content)))
}

impl Content {
    /// The next bytes, at most as many as `buffer` holds; none at the end. A file that got
    /// shorter meanwhile ends early.
    pub fn read_part<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let wanted = usize::try_from(self.rest_bytes).unwrap_or(usize::MAX).min(buffer.len());
        let place = buffer.get_mut(..wanted).unwrap_or_default();
        let n_read = self.file.read_at(place, self.next)?;
        let counted = u64::try_from(n_read).map_err(io::Error::other)?;
        self.next += counted;
        self.rest_bytes -= counted;
        Ok(place.get(..n_read).unwrap_or_default())
    }
}

fn remove(root: &Directory, path: &str, is_recursive: bool) -> Result<(), FileRefusal> {
    if path.is_empty() {
        return Err(FileRefusal::Outside);
    }
    let (above, name) = root.parent(path).map_err(|error| refusal(&error))?;
    let stat = statat(above.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(refusal_of)?;
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    match (is_directory, is_recursive) {
        (true, true) => above.remove_all(name).map_err(|error| refusal(&error)),
        (true, false) => unlinkat(above.as_fd(), name, AtFlags::REMOVEDIR).map_err(refusal_of),
        (false, _) => unlinkat(above.as_fd(), name, AtFlags::empty()).map_err(refusal_of),
    }
}

fn info(name: &str, stat: &Stat) -> FileInfo {
    let ticks = i64::try_from(stat.st_mtime_nsec / 100).unwrap_or(0);
    let modified_at = stat.st_mtime.saturating_mul(10_000_000).saturating_add(ticks);
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    FileInfo {
        name: name.to_owned(),
        is_directory,
        length_bytes: if is_directory { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) },
        modified_at: Timestamp::from_ticks(modified_at),
        mode: stat.st_mode,
    }
}

fn refusal_of(errno: Errno) -> FileRefusal {
    refusal(&errno.into())
}

fn refusal(error: &io::Error) -> FileRefusal {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => FileRefusal::NotFound,
        Some(Errno::XDEV | Errno::LOOP) => FileRefusal::Outside,
        Some(Errno::ISDIR) => FileRefusal::IsDirectory,
        Some(Errno::NOTEMPTY) => FileRefusal::NotEmpty,
        _ => FileRefusal::Failed { message: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use kiln_wire::node::{FileAnswer, FileRefusal, FileRequest};

    use super::answer;
    use crate::directory::Directory;

    fn sample() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path().join("root");
        fs::create_dir_all(root.join("a/b")).expect("made");
        fs::write(place.path().join("secret"), "secret").expect("written");
        fs::write(root.join("a/b/file"), "0123456789").expect("written");
        fs::write(root.join("a-z"), "").expect("written");
        symlink("../secret", root.join("out")).expect("linked");
        symlink("/etc", root.join("etc")).expect("linked");
        symlink("a/b/file", root.join("in")).expect("linked");
        symlink("../..", root.join("a/up")).expect("linked");
        let root = Directory::open_root(&root).expect("opened");
        (place, root)
    }

    #[track_caller]
    fn names(root: &Directory, path: &str, recursive: bool) -> Vec<String> {
        let request = FileRequest::List { path: path.to_owned(), recursive };
        match answer(root, &request).expect("a list").0 {
            FileAnswer::List { files } => files.into_iter().map(|file| file.name).collect(),
            other @ (FileAnswer::Stat { .. } | FileAnswer::Bytes { .. } | FileAnswer::Removed) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn lists_parents_before_children() {
        let (_place, root) = sample();
        assert_eq!(names(&root, "", false), ["a", "a-z", "etc", "in", "out"]);
        let all = ["a", "a/b", "a/b/file", "a/up", "a-z", "etc", "in", "out"];
        assert_eq!(names(&root, "", true), all);
        assert_eq!(names(&root, "a/", true), ["b", "b/file", "up"]);
    }

    #[test]
    fn no_link_leads_out() {
        let (_place, root) = sample();
        for path in ["out", "etc/passwd", "a/up/secret", "../secret", "/etc/passwd", "a/../../x"] {
            let path = path.to_owned();
            for request in [
                FileRequest::Stat { path: path.clone() },
                FileRequest::Read { path: path.clone(), first: 0, last: None },
                FileRequest::List { path: path.clone(), recursive: true },
            ] {
                let refusal = answer(&root, &request).expect_err("refused");
                assert_eq!(refusal, FileRefusal::Outside, "{request:?}");
            }
        }
        let remove = FileRequest::Remove { path: "etc/passwd".to_owned(), recursive: true };
        assert_eq!(answer(&root, &remove).expect_err("refused"), FileRefusal::Outside);
    }

    #[track_caller]
    fn check_read(path: &str, first: u64, last: Option<u64>, expected: Result<&str, FileRefusal>) {
        let (_place, root) = sample();
        let request = FileRequest::Read { path: path.to_owned(), first, last };
        let read = answer(&root, &request).map(|(_, content)| {
            let mut buffer = [0; 64];
            let mut content = content.expect("bytes");
            let part = content.read_part(&mut buffer).expect("readable");
            String::from_utf8(part.to_vec()).expect("text")
        });
        assert_eq!(read, expected.map(str::to_owned));
    }

    #[test]
    fn reads_ranges() {
        check_read("a/b/file", 0, None, Ok("0123456789"));
        check_read("in", 3, Some(5), Ok("345"));
        check_read("in", 8, Some(500), Ok("89"));
        check_read("in", 10, None, Err(FileRefusal::OutOfRange { length_bytes: 10 }));
        check_read("a-z", 0, None, Ok(""));
        check_read("a", 0, None, Err(FileRefusal::IsDirectory));
        check_read("a/none", 0, None, Err(FileRefusal::NotFound));
    }

    #[test]
    fn removes_what_is_named() {
        let (place, root) = sample();
        let remove = |path: &str, recursive| {
            answer(&root, &FileRequest::Remove { path: path.to_owned(), recursive }).map(drop)
        };
        assert_eq!(remove("a", false), Err(FileRefusal::NotEmpty));
        assert_eq!(remove("a", true), Ok(()));
        assert_eq!(remove("etc", true), Ok(()));
        assert_eq!(remove("out", false), Ok(()));
        assert_eq!(remove("out", false), Err(FileRefusal::NotFound));
        assert_eq!(remove("", true), Err(FileRefusal::Outside));
        assert!(place.path().join("secret").exists());
    }
}
