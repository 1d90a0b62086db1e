//! Finds the files that a pattern stands for, as the user of the task sees them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Dir, FileType, OFlags, fstat};

use super::pattern::{FilePattern, Part};
use kiln_files::{Directory, Links};

/// Files of one pattern.
const FILES_MAX: usize = 100_000;
/// Levels of directories that a pattern reaches down.
const LEVELS_MAX: usize = 128;

/// The files of a pattern, relative to its base; `view` is the root of the node's view.
pub(crate) fn find(view: &Directory, pattern: &FilePattern) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    // Directories relative to the base, with the parts that are to be matched in them.
    let mut rest = vec![(String::new(), pattern.parts.as_slice(), 0)];
    while let Some((directory, parts, level)) = rest.pop() {
        let [part, behind @ ..] = parts else { continue };
        let mut go = |name: &str, parts| {
            if level < LEVELS_MAX {
                rest.push((format!("{directory}{name}/"), parts, level + 1));
            }
        };
        if let Part::Name(name) = part {
            if !behind.is_empty() {
                go(name, behind);
            } else if is(
                view,
                &format!("{}/{directory}{name}", pattern.base),
                FileType::RegularFile,
            ) {
                found.insert(format!("{directory}{name}"));
            }
            continue;
        }
        for (name, kind) in entries(view, &format!("{}/{directory}", pattern.base))? {
            let path = format!("{}/{directory}{name}", pattern.base);
            let leads = matches!(kind, FileType::Symlink | FileType::Unknown);
            let is_kind = |wanted| kind == wanted || (leads && is(view, &path, wanted));
            match part {
                // A link to a directory may lead in a circle.
                Part::AnyDirectories if kind == FileType::Directory && part.matches(&name) => {
                    go(&name, parts);
                }
                Part::Like(_) if part.matches(&name) && behind.is_empty() => {
                    if is_kind(FileType::RegularFile) {
                        found.insert(format!("{directory}{name}"));
                    }
                }
                Part::Like(_) if part.matches(&name) => {
                    if is_kind(FileType::Directory) {
                        go(&name, behind);
                    }
                }
                Part::AnyDirectories | Part::Like(_) | Part::Name(_) => {}
            }
        }
        if *part == Part::AnyDirectories {
            // They may be none.
            rest.push((directory, behind, level));
        }
        if found.len() > FILES_MAX {
            return Err(io::Error::other(format!("more than {FILES_MAX} files")));
        }
    }
    Ok(found)
}

/// Opens a file that was found.
pub(crate) fn open(view: &Directory, path: &str) -> io::Result<(File, u64)> {
    // A pipe that took its place must not make the agent wait.
    let file = view.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Links::Within)?;
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("not a regular file"));
    }
    Ok((File::from(file), u64::try_from(stat.st_size).unwrap_or(0)))
}

fn open_any(view: &Directory, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    view.open(path, flags, Links::Within)
}

fn is(view: &Directory, path: &str, kind: FileType) -> bool {
    let found = open_any(view, path, OFlags::PATH).ok().and_then(|file| fstat(&file).ok());
    found.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
}

/// Names and kinds of what lies in a directory; nothing if it is none, or a secret one.
fn entries(view: &Directory, path: &str) -> io::Result<Vec<(String, FileType)>> {
    let Ok(directory) = open_any(view, path, OFlags::RDONLY | OFlags::DIRECTORY) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in Dir::read_from(directory.as_fd())? {
        let entry = entry?;
        // A name that is no text can not be that of a blob either.
        let name = entry.file_name().to_str().unwrap_or_default();
        if !matches!(name, "" | "." | "..") {
            found.push((name.to_owned(), entry.file_type()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::find;
    use crate::upload::pattern::FilePattern;
    use kiln_files::Directory;

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path().join("root");
        for directory in ["t/wd/a/b", "t/wd/.hidden", "t/wd/a.d", "shared"] {
            fs::create_dir_all(root.join(directory)).expect("made");
        }
        for file in [
            "t/stdout.txt",
            "t/wd/1.txt",
            "t/wd/2.csv",
            "t/wd/.3.txt",
            "t/wd/a/4.txt",
            "t/wd/a/b/5.txt",
            "t/wd/.hidden/6.txt",
            "shared/7.txt",
        ] {
            fs::write(root.join(file), file).expect("written");
        }
        fs::write(place.path().join("secret.txt"), "secret").expect("written");
        symlink("/shared/7.txt", root.join("t/wd/link.txt")).expect("linked");
        symlink("../../../secret.txt", root.join("t/wd/out.txt")).expect("linked");
        symlink("..", root.join("t/wd/a/circle")).expect("linked");
        let view = Directory::open_root(&root).expect("opened");
        let pattern = FilePattern::resolve(pattern, "/t/wd", &BTreeMap::new());
        let found = find(&view, &pattern).expect("readable");
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{pattern:?}");
    }

    #[test]
    fn patterns_find_files() {
        check("1.txt", &["1.txt"]);
        check("none.txt", &[]);
        check("none/*.txt", &[]);
        check("*.txt", &["1.txt", "link.txt"]);
        check(".*.txt", &[".3.txt"]);
        check("*", &["1.txt", "2.csv", "link.txt"]);
        check("a", &[]);
        check("../std*.txt", &["stdout.txt"]);
        check("**/*.txt", &["1.txt", "a/4.txt", "a/b/5.txt", "link.txt"]);
        check("a/**", &["4.txt", "b/5.txt"]);
        check("*/*.txt", &["a/4.txt"]);
        check("*/b/*.txt", &["a/b/5.txt"]);
        check("a/circle/*.csv", &["2.csv"]);
        check("/shared/?.txt", &["7.txt"]);
    }
}
