//! Files below the node's root, reached so that no link leads out of it.
//!
//! Tasks write there, and may put a link in the way of the agent, who has more rights than
//! they. Every name is therefore resolved by the kernel below an open directory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, linkat, mkdirat, openat2,
    renameat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use serde::{Deserialize, Serialize};

/// Times that the kernel is asked again when a name changed under its hands.
const TRIES_MAX: usize = 100;

/// A user and its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserId {
    /// User id.
    pub uid: u32,
    /// Id of its own group.
    pub gid: u32,
    /// Id of the group of all users of the node.
    pub shared_gid: u32,
}

impl UserId {
    /// The owner of files that all users of the node may use, as far as their mode allows.
    pub fn sharing(self) -> Self {
        Self { gid: self.shared_gid, ..self }
    }
}

/// An open directory below the node's root, or the root itself.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// Whether links below the directory are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// As long as they stay below.
    Below,
    /// As if the directory were the root of all.
    Within,
    /// Not at all.
    Refused,
}

impl Directory {
    /// Opens a directory of the machine by its whole name.
    ///
    /// # Errors
    /// What the system said.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens what lies at `path`.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(&self, path: &str, flags: OFlags, links: Links) -> io::Result<OwnedFd> {
        self.open_new(path, flags, Mode::empty(), links)
    }

    fn open_new(&self, path: &str, flags: OFlags, mode: Mode, links: Links) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::NO_MAGICLINKS
            | match links {
                Links::Below => ResolveFlags::BENEATH,
                Links::Within => ResolveFlags::IN_ROOT,
                Links::Refused => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            };
        let mut flags = flags | OFlags::CLOEXEC;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NOCTTY;
        }
        for _ in 0..TRIES_MAX {
            match openat2(&self.0, path, flags, mode, resolve) {
                // Something was renamed on the way: the kernel can not tell where it ended.
                Err(Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// What the system said.
    pub fn enter(&self, path: &str, links: Links) -> io::Result<Self> {
        self.open(path, OFlags::DIRECTORY, links).map(Self)
    }

    /// Opens the directory at `path`, after making what is missing on the way; what is made
    /// belongs to `owner`.
    ///
    /// # Errors
    /// What the system said.
    pub fn make(&self, path: &str, owner: Option<UserId>, mode: u32) -> io::Result<Self> {
        // Most often all of it is there.
        match self.enter(path, Links::Refused) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            entered => return entered,
        }
        let mut here = Self(self.0.try_clone()?);
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let made = match mkdirat(&here.0, name, Mode::from_raw_mode(0o700)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            here = here.enter(name, Links::Refused)?;
            if made {
                here.give(owner, mode)?;
            }
        }
        Ok(here)
    }

    /// Opens the directory `name`, directly below, after making it if it is missing; it belongs
    /// to `owner` in either case.
    ///
    /// # Errors
    /// What the system said.
    pub fn claim(&self, name: &str, owner: Option<UserId>, mode: u32) -> io::Result<Self> {
        match mkdirat(&self.0, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let directory = self.enter(name, Links::Refused)?;
        directory.give(owner, mode)?;
        Ok(directory)
    }

    /// Makes it belong to `owner`, with `mode`.
    ///
    /// # Errors
    /// What the system said.
    pub fn give(&self, owner: Option<UserId>, mode: u32) -> io::Result<()> {
        give(&self.0, owner, mode)
    }

    /// Makes an empty file in place of what file or link lies at `path`, whose directory
    /// exists.
    ///
    /// # Errors
    /// What the system said.
    pub fn create(&self, path: &str, owner: Option<UserId>, mode: u32) -> io::Result<File> {
        self.create_with(path, OFlags::empty(), owner, mode)
    }

    /// [`Directory::create`], for a file that several write to its end.
    pub fn create_log(&self, path: &str, owner: Option<UserId>, mode: u32) -> io::Result<File> {
        self.create_with(path, OFlags::APPEND, owner, mode)
    }

    fn create_with(
        &self,
        path: &str,
        flags: OFlags,
        owner: Option<UserId>,
        mode: u32,
    ) -> io::Result<File> {
        match split(path)? {
            ("", name) => self.create_here(name, flags, owner, mode),
            (directory, name) => {
                self.enter(directory, Links::Below)?.create_here(name, flags, owner, mode)
            }
        }
    }

    fn create_here(
        &self,
        name: &str,
        flags: OFlags,
        owner: Option<UserId>,
        mode: u32,
    ) -> io::Result<File> {
        let flags = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let create = || self.open_new(name, flags, Mode::from_raw_mode(0o600), Links::Refused);
        // Most often nothing lies there.
        let file = match create() {
            Ok(file) => file,
            Err(error) => match unlinkat(&self.0, name, AtFlags::empty()) {
                Ok(()) => create()?,
                Err(Errno::NOENT) => return Err(error),
                Err(error) => return Err(error.into()),
            },
        };
        give(&file, owner, mode)?;
        Ok(File::from(file))
    }

    /// Shows the machine's file `source` as `path`, whose directory exists, in place of what
    /// lies there: by a link where that can be, else as a copy that belongs to `owner`.
    pub fn adopt(
        &self,
        source: &Path,
        path: &str,
        owner: Option<UserId>,
        mode: u32,
        may_link: bool,
    ) -> io::Result<()> {
        let mut file = self.create(path, owner, mode)?;
        if may_link {
            let (directory, name) = self.parent(path)?;
            unlinkat(&directory.0, name, AtFlags::empty())?;
            if linkat(CWD, source, &directory.0, name, AtFlags::SYMLINK_FOLLOW).is_ok() {
                return Ok(());
            }
            file = self.create(path, owner, mode)?;
        }
        io::copy(&mut File::open(source)?, &mut file)?;
        Ok(())
    }

    /// Makes a link at `path`, whose directory exists, in place of what file or link lies there.
    ///
    /// # Errors
    /// What the system said.
    pub fn link(&self, aim: &str, path: &str) -> io::Result<()> {
        let (directory, name) = self.parent(path)?;
        match unlinkat(&directory.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(symlinkat(aim, &directory.0, name)?)
    }

    /// Moves what lies at `from` to `to`, where nothing lies but perhaps an empty directory.
    ///
    /// # Errors
    /// What the system said.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from, old), (to, new)) = (self.parent(from)?, self.parent(to)?);
        Ok(renameat(&from.0, old, &to.0, new)?)
    }

    /// The directory that holds `path`, and its name therein.
    ///
    /// # Errors
    /// What the system said.
    pub fn parent<'a>(&self, path: &'a str) -> io::Result<(Self, &'a str)> {
        let (directory, name) = split(path)?;
        Ok((self.enter(directory, Links::Below)?, name))
    }

    /// Removes the file or link `name`, directly below.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes the directory `name`, directly below, with all in it.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove_all(&self, name: &str) -> io::Result<()> {
        // The library's own removal follows no link below this name, and this name begins
        // at an open directory.
        std::fs::remove_dir_all(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path as the directory that holds what it names, and the name therein.
fn split(path: &str) -> io::Result<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() || name == "." || name == ".." {
        return Err(Errno::INVAL.into());
    }
    Ok((directory, name))
}

fn give(file: &OwnedFd, owner: Option<UserId>, mode: u32) -> io::Result<()> {
    if let Some(UserId { uid, gid, .. }) = owner {
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(fchmod(file, Mode::from_raw_mode(mode))?)
}

/// Whether `path` names something below a directory: relative, and never upwards.
pub fn is_below(path: &str) -> bool {
    !path.starts_with('/') && !path.contains('\0') && path.split('/').all(|name| name != "..")
}
