//! The layers of a node's view, as the agent lays them out before the view is made.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::SetupError;
use crate::account::Accounts;

/// Where a machine has Python 3.
const PYTHON_3: &str = "/usr/bin/python3";
/// Where a node has it under its old name.
const PYTHON_LINK: &str = "/usr/local/bin/python";
/// Where a machine may have `python` itself.
const PYTHON_PLACES: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// The layers of one node.
#[derive(Debug)]
pub(crate) struct Layers {
    directory: PathBuf,
    /// First user id of the node's users; `None` when there is only the agent's own user.
    first_uid: Option<u32>,
}

impl Layers {
    /// Lays out empty layers in `directory`, or finds those of an earlier start.
    pub(crate) fn create(directory: &Path, first_uid: Option<u32>) -> Result<Self, SetupError> {
        let layers = Self { directory: directory.to_owned(), first_uid };
        let all = [("", 0o711), ("upper", 0o755), ("work", 0o700), ("root", 0o755)];
        for (name, mode) in all.into_iter().chain([("lower", 0o755), ("tmp", 0o1777)]) {
            let path = layers.directory.join(name);
            layers
                .make_directory(&path, mode, 0)
                .map_err(|error| SetupError::new(format!("make `{}`", path.display()), error))?;
        }
        Ok(layers)
    }

    fn make_directory(&self, path: &Path, mode: u32, owner: u32) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        self.give(path, owner)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    /// Makes `path` belong to the user that the node knows as `owner`.
    fn give(&self, path: &Path, owner: u32) -> io::Result<()> {
        match self.first_uid {
            Some(first) => {
                let id = first.saturating_add(owner);
                chown(path, Some(id), Some(id))
            }
            None => Ok(()),
        }
    }

    /// Makes a directory of the machine, and all above, missing from the view.
    pub(crate) fn hide(&self, path: &Path) -> Result<(), SetupError> {
        let failed =
            |error| SetupError::new(format!("hide `{}` from the node", path.display()), error);
        let path = fs::canonicalize(path).map_err(failed)?;
        let Some(parent) = path.parent() else {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        };
        let is_hidden = self.mirror(parent).map_err(failed)?;
        let place = self.upper(&path);
        if is_hidden || fs::symlink_metadata(&place).is_ok() {
            return Ok(());
        }
        // The kernel's sign for "not there".
        mknodat(CWD, &place, FileType::CharacterDevice, Mode::empty(), 0)
            .map_err(|error| failed(error.into()))
    }

    /// Makes the directories down to `path` in the upper layer, with the modes and owners
    /// they have on the machine. Answers whether one of them is hidden.
    fn mirror(&self, path: &Path) -> io::Result<bool> {
        let mut below = PathBuf::from("/");
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            below.push(name);
            let place = self.upper(&below);
            match fs::symlink_metadata(&place) {
                Ok(present) if present.is_dir() => {}
                Ok(_) => return Ok(true),
                Err(_) => {
                    let machines = fs::metadata(&below)?;
                    self.make_directory(&place, machines.mode() & PERMISSIONS, machines.uid())?;
                }
            }
        }
        Ok(false)
    }

    fn upper(&self, path: &Path) -> PathBuf {
        self.directory.join("upper").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Writes the files in which a node differs from its machine: its users, its name, and
    /// where it asks for names when that is told in a place that the node does not see.
    pub(crate) fn write_settings(
        &self,
        accounts: &Accounts,
        host_name: &str,
    ) -> Result<(), SetupError> {
        let failed = |error| SetupError::new("write the node's settings", error);
        let machines = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let hosts = format!("{}\n127.0.1.1 {host_name}\n", machines("/etc/hosts"));
        let mut settings = vec![
            ("/etc/hosts", hosts),
            ("/etc/hostname", format!("{host_name}\n")),
            ("/etc/passwd", machines("/etc/passwd") + &accounts.passwd_lines()),
            ("/etc/group", machines("/etc/group") + &accounts.group_lines()),
        ];
        if fs::symlink_metadata("/etc/resolv.conf").is_ok_and(|found| found.is_symlink()) {
            settings.push(("/etc/resolv.conf", machines("/etc/resolv.conf")));
        }
        self.mirror(Path::new("/etc")).map_err(failed)?;
        for (path, text) in settings {
            self.write_setting(Path::new(path), &text).map_err(failed)?;
        }
        Ok(())
    }

    /// Gives the node a `python`, where its machine has Python 3 under that name only: the
    /// images of Azure have one, so programs of users call it.
    pub(crate) fn name_python(&self) -> Result<(), SetupError> {
        let is_there = |path: &str| fs::symlink_metadata(path).is_ok();
        let is_named = PYTHON_PLACES.iter().any(|folder| is_there(&format!("{folder}/python")));
        let Some(folder) = Path::new(PYTHON_LINK).parent() else { return Ok(()) };
        if is_named || !is_there(PYTHON_3) || !folder.is_dir() {
            return Ok(());
        }
        let link = self.upper(Path::new(PYTHON_LINK));
        let make = || -> io::Result<()> {
            if self.mirror(folder)? || fs::symlink_metadata(&link).is_ok() {
                return Ok(());
            }
            std::os::unix::fs::symlink(PYTHON_3, &link)?;
            match self.first_uid {
                Some(root) => lchown(&link, Some(root), Some(root)),
                None => Ok(()),
            }
        };
        make().map_err(|error| SetupError::new("name the node's Python", error))
    }

    fn write_setting(&self, path: &Path, text: &str) -> io::Result<()> {
        let place = self.upper(path);
        if fs::symlink_metadata(&place).is_ok() {
            // An earlier start of the node wrote it, and its users may have changed it.
            return Ok(());
        }
        File::create_new(&place)?.write_all(text.as_bytes())?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?;
        self.give(&place, 0)
    }
}
