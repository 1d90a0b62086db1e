//! The directory of a Kiln's state, and the lock on it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy as _;
use rustix::fs::{FlockOperation, flock};

use crate::clock;
use crate::failure::{ALREADY_RUNNING, Failure};

/// Tries for the lock: another command may hold it for a moment to look whether Kiln runs.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(30);

/// The directory of a Kiln's state.
#[derive(Clone, Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    is_named: bool,
}

/// While this lives, no other Kiln serves the directory.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataDirectory {
    /// `named`, or the usual place for this user's data.
    pub(crate) fn locate(named: Option<PathBuf>) -> Result<Self, Failure> {
        let is_named = named.is_some();
        let path = match named {
            Some(path) => path,
            None => etcetera::choose_base_strategy()
                .map_err(|cause| {
                    Failure::new("cannot find this user's data directory")
                        .because(cause)
                        .hint("name one with --data DIR or KILN_DATA")
                })?
                .data_dir()
                .join("kiln"),
        };
        // The server, its agents and messages need a path that holds from anywhere.
        let path = std::path::absolute(&path).map_err(|cause| {
            Failure::new(format!("cannot find `{}`", path.display())).because(cause)
        })?;
        Ok(Self { path, is_named })
    }

    /// A directory that is known to be good.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, is_named: true }
    }

    /// ` --data DIR` for commands that are to find it; nothing where they will anyway.
    pub(crate) fn option(&self) -> String {
        if self.is_named { format!(" --data {}", self.path.display()) } else { String::new() }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether anything was ever kept in it.
    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Something must have been kept in it.
    pub(crate) fn require_state(&self) -> Result<(), Failure> {
        if self.file("kiln.db").exists() {
            return Ok(());
        }
        Err(Failure::new(format!("there is no Kiln in `{}`", self.path.display()))
            .hint("name its directory with --data DIR"))
    }

    /// Makes it, for this user only, if it is not there.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(|cause| {
            Failure::new(format!("cannot make the data directory `{}`", self.path.display()))
                .because(cause)
                .hint("choose another with --data DIR or KILN_DATA")
        })
    }

    /// Lets other users of the machine pass through it to what lies open in it: nodes that are not
    /// kept apart have users, who must reach their files. All else in it is closed to them.
    pub(crate) fn open_to_nodes(&self) -> Result<(), Failure> {
        let failed = |cause| {
            Failure::new(format!("cannot open `{}` to nodes", self.path.display())).because(cause)
        };
        for (name, mode) in [("extents", 0o700), ("trash", 0o700), (".", 0o711)] {
            let place = self.file(name);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&place).map_err(failed)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        Ok(())
    }

    /// Takes it for one server.
    pub(crate) fn lock(&self) -> Result<DataLock, Failure> {
        let mut file = self.open_lock()?;
        for _ in 1..LOCK_TRIES {
            if self.try_lock(&file, FlockOperation::NonBlockingLockExclusive)? {
                return self.sign(file);
            }
            clock::block_for(LOCK_PAUSE);
        }
        if self.try_lock(&file, FlockOperation::NonBlockingLockExclusive)? {
            return self.sign(file);
        }
        let mut owner = String::new();
        file.read_to_string(&mut owner).unwrap_or_default();
        Err(self.taken(owner.trim()))
    }

    /// Whether a server holds it. Never disturbs one that is about to start.
    pub(crate) fn is_served(&self) -> Result<bool, Failure> {
        if !self.file("kiln.lock").exists() {
            return Ok(false);
        }
        let file = self.open_lock()?;
        Ok(!self.try_lock(&file, FlockOperation::NonBlockingLockShared)?)
    }

    fn open_lock(&self) -> Result<File, Failure> {
        let path = self.file("kiln.lock");
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| {
                Failure::new(format!("cannot open `{}`", path.display())).because(cause)
            })
    }

    fn try_lock(&self, file: &File, how: FlockOperation) -> Result<bool, Failure> {
        match flock(file, how) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(cause) => {
                let path = self.file("kiln.lock");
                Err(Failure::new(format!("cannot lock `{}`", path.display())).because(cause))
            }
        }
    }

    fn sign(&self, mut file: File) -> Result<DataLock, Failure> {
        let signed = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        signed.map_err(|cause| {
            let path = self.file("kiln.lock");
            Failure::new(format!("cannot write `{}`", path.display())).because(cause)
        })?;
        Ok(DataLock { _file: file })
    }

    fn taken(&self, owner: &str) -> Failure {
        let place = self.path.display();
        let (who, stop) = if owner.is_empty() {
            ("another kiln".to_owned(), String::new())
        } else {
            (format!("another kiln (pid {owner})"), format!("stop it with `kill {owner}`, "))
        };
        Failure::new(format!("{who} already serves `{place}`"))
            .hint(format!(
                "use it (`kiln env --data {place}` tells how), {stop}or give this one a \
                 directory of its own with --data DIR"
            ))
            .code(ALREADY_RUNNING)
    }
}

/// Writes a file whole or not at all, readable by `mode`.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        out.write_all(content)?;
        fs::rename(&beside, path)
    };
    write().map_err(|cause: std::io::Error| {
        Failure::new(format!("cannot write `{}`", path.display())).because(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::DataDirectory;

    #[test]
    fn one_server_for_each_directory() {
        let scratch = tempfile::tempdir().expect("a directory");
        let data = DataDirectory::at(scratch.path().join("kiln"));
        data.create().expect("a data directory");
        assert!(!data.is_served().expect("an answer"));
        let lock = data.lock().expect("the lock");
        assert!(data.is_served().expect("an answer"));
        let failure = data.lock().expect_err("a second server");
        let (_, what) = failure.lines()[0];
        let own = format!("another kiln (pid {}) already serves", std::process::id());
        assert!(what.starts_with(&own), "{what}");
        drop(lock);
        assert!(!data.is_served().expect("an answer"));
        drop(data.lock().expect("the lock again"));
    }
}
