//! The layers of a node's view, as the agent lays them out before the view is made.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

use super::SetupError;
use crate::account::Accounts;
use crate::node_init::message::UserId;
use kiln_files::{Directory, Links};

/// Where a machine has Python 3.
const PYTHON_3: &str = "/usr/bin/python3";
/// Where a node has it under its old name.
const PYTHON_LINK: &str = "/usr/local/bin/python";
/// Where a machine may have `python` itself.
const PYTHON_PLACES: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Where `sudo` is told who may become whom.
const SUDOERS_DIRECTORY: &str = "etc/sudoers.d";
const SUDOERS_FILE: &str = "etc/sudoers.d/kiln";

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
        if self.mirror(Path::new("/etc")).map_err(failed)? {
            // An earlier start of the node put something else in its place.
            return Ok(());
        }
        let hosts = format!("{}\n127.0.1.1 {host_name}\n", machines("/etc/hosts"));
        self.write_setting("etc/hosts", &hosts, 0o644).map_err(failed)?;
        self.write_setting("etc/hostname", &format!("{host_name}\n"), 0o644).map_err(failed)?;
        if fs::symlink_metadata("/etc/resolv.conf").is_ok_and(|found| found.is_symlink()) {
            let names = machines("/etc/resolv.conf");
            self.write_setting("etc/resolv.conf", &names, 0o644).map_err(failed)?;
        }
        self.list("etc/passwd", &accounts.passwd_lines()).map_err(failed)?;
        self.list("etc/group", &accounts.group_lines()).map_err(failed)?;
        self.write_passwords().map_err(failed)?;
        self.write_sudoers(&accounts.sudoers()).map_err(failed)?;
        self.make_homes(accounts).map_err(failed)
    }

    /// Adds lines to a list of users or groups, but for those whose name is there.
    fn list(&self, path: &str, lines: &[String]) -> io::Result<()> {
        let kept = match self.open_upper()?.open(path, OFlags::RDONLY, Links::Refused) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                open(format!("/{path}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?
            }
            Err(error) => return Err(error),
        };
        let mut text = io::read_to_string(File::from(kept))?;
        let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        let known: BTreeSet<String> = text.lines().map(name).collect();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for line in lines.iter().filter(|line| !known.contains(&name(line))) {
            text.push_str(line);
            text.push('\n');
        }
        self.replace(path, &text, 0o644)
    }

    fn write_sudoers(&self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let upper = self.open_upper()?;
        let is_on_machine = Path::new("/").join(SUDOERS_DIRECTORY).is_dir();
        if is_on_machine && self.mirror(&Path::new("/").join(SUDOERS_DIRECTORY))? {
            return Ok(());
        }
        upper.make(SUDOERS_DIRECTORY, self.owner(0, 0), 0o750)?;
        // Another text than that of an earlier start, if the pool's users changed.
        self.replace(SUDOERS_FILE, text, 0o440)
    }

    fn make_homes(&self, accounts: &Accounts) -> io::Result<()> {
        for (name, uid, gid) in accounts.homes() {
            let home = Path::new("/home").join(name);
            // One that is there may be the user's, or lead anywhere.
            let is_there = [&home, &self.upper(&home)]
                .into_iter()
                .any(|path| fs::symlink_metadata(path).is_ok());
            if !is_there && !self.mirror(Path::new("/home"))? {
                let upper = self.open_upper()?;
                upper.make(&format!("home/{name}"), self.owner(uid, gid), 0o700)?;
            }
        }
        Ok(())
    }

    fn open_upper(&self) -> io::Result<Directory> {
        Directory::open_root(&self.directory.join("upper"))
    }

    /// A user of the node, as the machine sees it.
    fn owner(&self, uid: u32, gid: u32) -> Option<UserId> {
        let first = self.first_uid?;
        let (uid, gid) = (first.saturating_add(uid), first.saturating_add(gid));
        Some(UserId { uid, gid, shared_gid: gid })
    }

    /// Writes a file of the view in place of what an earlier start left there; `path` has no
    /// slash at its beginning. No link of the node's users leads out of the view.
    fn replace(&self, path: &str, text: &str, mode: u32) -> io::Result<()> {
        self.open_upper()?.create(path, self.owner(0, 0), mode)?.write_all(text.as_bytes())
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

    /// Writes a file of the view, if an earlier start of the node did not: its users may have
    /// changed it.
    fn write_setting(&self, path: &str, text: &str, mode: u32) -> io::Result<()> {
        match self.open_upper()?.open(path, OFlags::PATH, Links::Refused) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.replace(path, text, mode),
            _ => Ok(()),
        }
    }

    /// Gives the node the machine's users without their passwords: its root could read them.
    fn write_passwords(&self) -> io::Result<()> {
        for path in ["etc/shadow", "etc/gshadow"] {
            // What can not be read here can not be read on the node either.
            if let Ok(machines) = fs::read_to_string(Path::new("/").join(path)) {
                self.write_setting(path, &without_passwords(&machines), 0o640)?;
            }
        }
        Ok(())
    }
}

/// A list of users or groups in which each password is one that nothing fits.
fn without_passwords(list: &str) -> String {
    let mut text = String::with_capacity(list.len());
    for line in list.lines() {
        let mut fields = line.splitn(3, ':');
        let (name, password) = (fields.next().unwrap_or_default(), fields.next());
        text.push_str(name);
        if password.is_some() {
            text.push_str(":*");
        }
        if let Some(rest) = fields.next() {
            text.push(':');
            text.push_str(rest);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_passwords;

    #[test]
    fn passwords_stay_on_the_machine() {
        let machines = "root:$6$salt$hash:19000:0:99999:7:::\nada:!:19000::::::\n";
        let expected = "root:*:19000:0:99999:7:::\nada:*:19000::::::\n";
        assert_eq!(without_passwords(machines), expected);
        assert_eq!(without_passwords("adm:secret::ada\nodd"), "adm:*::ada\nodd\n");
    }
}
