//! Unpacks a zip file whose maker is not trusted.
//!
//! No member leaves the directory: names and links that would are refused, and the kernel
//! resolves every name below the open directory. Sizes are counted as bytes are written, for a
//! zip file may lie about them.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use zip::ZipArchive;
use zip::read::ZipFile;

use crate::node_init::message::UserId;
use kiln_files::{Directory, is_below};

/// Bytes of all members of a package.
const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Members of a package.
const MEMBERS_MAX: usize = 1_000_000;
/// Bytes of what a link names.
const LINK_BYTES_MAX: u64 = 4096;
/// Permission bits of all that is unpacked. Commands can not change them, and zip files made on
/// other systems do not know what is a program.
const MODE: u32 = 0o755;

/// Unpacks the file `zip` into `target`; what is made belongs to `owner`.
pub(super) fn unpack(zip: &Path, target: &Directory, owner: Option<UserId>) -> io::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(zip)?)).map_err(invalid)?;
    if archive.len() > MEMBERS_MAX {
        return Err(invalid(format!("it has more than {MEMBERS_MAX} members")));
    }
    let mut left_bytes = UNPACKED_BYTES_MAX;
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).map_err(invalid)?;
        left_bytes -= unpack_member(&mut member, target, owner, left_bytes)?;
    }
    Ok(())
}

/// Unpacks one member; gives the bytes it took.
fn unpack_member(
    member: &mut ZipFile<'_, impl Read>,
    target: &Directory,
    owner: Option<UserId>,
    left_bytes: u64,
) -> io::Result<u64> {
    // Some makers of zip files write paths as their system does.
    let name = member.name().map_err(invalid)?.replace('\\', "/");
    if !is_below(&name) {
        return Err(invalid(format!("`{name}` leads out of it")));
    }
    let path = name.trim_end_matches('/');
    if member.is_dir() || name.ends_with('/') {
        target.make(path, owner, MODE)?;
        return Ok(0);
    }
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    target.make(above, owner, MODE)?;
    if member.is_symlink() {
        let mut aim = String::new();
        member.take(LINK_BYTES_MAX).read_to_string(&mut aim)?;
        if !stays_below(above, &aim) {
            return Err(invalid(format!("the link `{name}` leads out of it")));
        }
        target.link(&aim, path)?;
        return Ok(0);
    }
    let mut file = target.create(path, owner, MODE)?;
    let n_bytes = io::copy(&mut member.take(left_bytes.saturating_add(1)), &mut file)?;
    if n_bytes > left_bytes {
        return Err(invalid(format!("it unpacks to more than {UNPACKED_BYTES_MAX} bytes")));
    }
    file.flush()?;
    Ok(n_bytes)
}

/// Whether a link in the directory `above` that names `aim` stays where it is unpacked.
fn stays_below(above: &str, aim: &str) -> bool {
    let names = |path: &str| path.split('/').filter(|it| !matches!(*it, "" | ".")).count();
    let mut depth = names(above);
    for name in aim.split('/') {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    !aim.starts_with('/') && !aim.is_empty() && !aim.contains('\0')
}

fn invalid(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::unpack;
    use kiln_files::Directory;

    /// A zip file of files (`name=content`), directories (`name/`) and links (`name->aim`).
    fn zip_of(path: &Path, members: &[&str]) {
        let mut zip = ZipWriter::new(fs::File::create(path).expect("a file"));
        let options = SimpleFileOptions::default();
        for member in members {
            if let Some((name, aim)) = member.split_once("->") {
                zip.add_symlink(name, aim, options).expect("a link");
            } else if let Some((name, content)) = member.split_once('=') {
                zip.start_file(name, options).expect("a file");
                zip.write_all(content.as_bytes()).expect("content");
            } else {
                zip.add_directory(*member, options).expect("a directory");
            }
        }
        zip.finish().expect("a zip file");
    }

    /// Unpacks a zip file of these members, and says what became of it.
    fn said(members: &[&str]) -> (tempfile::TempDir, String) {
        let scratch = tempfile::tempdir().expect("a directory");
        let zip = scratch.path().join("package.zip");
        zip_of(&zip, members);
        let place = scratch.path().join("place");
        fs::create_dir(&place).expect("a directory");
        let target = Directory::open_root(&place).expect("a directory");
        let result = unpack(&zip, &target, None);
        let said = result.map_or_else(|error| error.to_string(), |()| "unpacked".to_owned());
        (scratch, said)
    }

    #[test]
    fn members_keep_their_places() {
        let members = ["bin/", "bin/tool=#!/bin/sh", "lib\\deep\\a.txt=a", "tool->bin/tool"];
        let (scratch, said) = said(&members);
        assert_eq!(said, "unpacked");
        let place = scratch.path().join("place");
        let read = |name: &str| fs::read_to_string(place.join(name)).expect("a file");
        assert_eq!((read("tool").as_str(), read("lib/deep/a.txt").as_str()), ("#!/bin/sh", "a"));
        let mode = fs::metadata(place.join("bin/tool")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn nothing_leaves_the_directory() {
        for (members, expected) in [
            (&["../out=x"][..], "`../out` leads out of it"),
            (&["a/../../out=x"], "`a/../../out` leads out of it"),
            (&["..\\out=x"], "`../out` leads out of it"),
            (&["/tmp/out=x"], "`/tmp/out` leads out of it"),
            (&["link->../.."], "the link `link` leads out of it"),
            (&["a/link->../../b"], "the link `a/link` leads out of it"),
            (&["link->/etc"], "the link `link` leads out of it"),
        ] {
            let (scratch, said) = said(members);
            assert_eq!(said, expected);
            assert!(!scratch.path().join("out").exists());
        }
    }

    #[test]
    fn a_link_is_not_written_through() {
        let (scratch, said) = said(&["dir/", "link->dir", "link/file=x"]);
        assert_ne!(said, "unpacked");
        assert!(!scratch.path().join("place/dir/file").exists());
    }

    #[test]
    fn what_is_no_zip_file_is_refused() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("package.zip");
        fs::write(&path, "PK, but not a zip file").expect("a file");
        let target = Directory::open_root(scratch.path()).expect("a directory");
        assert!(unpack(&path, &target, None).is_err());
    }
}
