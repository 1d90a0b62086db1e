//! A node in name spaces of its own, made by an ordinary user.
//!
//! The node has one user, who is its root and is the agent's user on the machine. Each
//! directory at the top of the machine's file system gets a layer of its own for what the
//! node writes, because an ordinary user can not put a layer over all of it at once.
//! What another user owns stays read-only.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::mount::{MountFlags, mount, mount_bind_recursive};
use rustix::process::{Signal, getgid, getuid};

use super::SetupError;
use super::clone::{Cloned, clone_into_name_spaces};
use super::view::{self, ENGINE_DIRECTORY, Shown, TASKS_DIRECTORY};
use crate::node_init::channel::{self, Incoming};
use crate::node_init::message::{FromInit, Setup};

/// Directories that the view has of its own.
const OWN: [&str; 5] = ["proc", "dev", "sys", "run", "tmp"];

/// Makes the node's first process. Comes back twice: with `true` in that process, with
/// `false` in the one that made it.
pub(crate) fn launch(setup: &Setup, agent: &OwnedFd) -> Result<bool, SetupError> {
    std::env::set_current_dir(&setup.view_directory)
        .map_err(|error| SetupError::new(format!("enter `{}`", setup.view_directory), error))?;
    let (near, far) =
        UnixStream::pair().map_err(|error| SetupError::new("make a pair of sockets", error))?;
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    match clone_into_name_spaces(None)? {
        Cloned::Child => {
            drop(near);
            become_first(setup, &far)?;
            Ok(true)
        }
        Cloned::Parent { pid, is_in_group } => {
            channel::send(agent, &FromInit::Launched { pid, is_in_group }, &[])
                .map_err(|error| SetupError::new("answer the agent", error))?;
            let maps = [
                ("setgroups", "deny".to_owned()),
                ("uid_map", format!("0 {uid} 1")),
                ("gid_map", format!("0 {gid} 1")),
            ];
            for (name, map) in maps {
                let path = format!("/proc/{pid}/{name}");
                fs::write(&path, &map)
                    .map_err(|error| SetupError::new(format!("write `{path}`"), error))?;
            }
            channel::send(&near, &(), &[])
                .map_err(|error| SetupError::new("let the node begin", error))?;
            Ok(false)
        }
    }
}

fn become_first(setup: &Setup, from: &UnixStream) -> Result<(), SetupError> {
    let go = Incoming::default()
        .wait::<()>(from)
        .map_err(|error| SetupError::new("wait for the node's users", error))?;
    if go.is_none() {
        let error = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(SetupError::new("wait for the node's users", error));
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| SetupError::new("die with the agent", error))?;
    view::detach_from_machine()?;
    mount("tmpfs", "root", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755")
        .map_err(|error| SetupError::new("mount the view's root", error))?;
    let entries = fs::read_dir("/").map_err(|error| SetupError::new("list `/`", error))?;
    for entry in entries.flatten() {
        add_top_directory(&entry).map_err(|error| {
            SetupError::new(format!("show `{}`", entry.path().display()), error)
        })?;
    }
    let [tasks, engine] = [&setup.tasks_directory, &setup.engine_directory].map(Path::new);
    let shown = [(TASKS_DIRECTORY, Shown::Path(tasks)), (ENGINE_DIRECTORY, Shown::Path(engine))];
    view::furnish("root", &shown)?;
    mount_bind_recursive("/sys", "root/sys")
        .map_err(|error| SetupError::new("show `/sys`", error))?;
    view::hide_groups("root")?;
    let sys = open("root/sys", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| SetupError::new("open `/sys`", error))?;
    view::set_read_only(sys.as_fd(), true)
        .map_err(|error| SetupError::new("make `/sys` read-only", error))?;
    view::enter("root", &setup.host_name)
}

/// Shows one entry of `/` in the view; a directory gets a layer on top.
fn add_top_directory(entry: &fs::DirEntry) -> io::Result<()> {
    let Ok(name) = entry.file_name().into_string() else {
        return Ok(());
    };
    let place = format!("root/{name}");
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        return symlink(fs::read_link(entry.path())?, place);
    }
    if !kind.is_dir() || is_hidden(&name) {
        return Ok(());
    }
    fs::create_dir(&place)?;
    if OWN.contains(&name.as_str()) {
        return Ok(());
    }
    let (upper, work) = (format!("upper/{name}"), format!("work/{name}"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    // A directory with other file systems mounted below can not be a layer: it stays empty.
    let _left_empty = view::mount_overlay(&format!("/{name}"), &upper, &work, &place);
    Ok(())
}

/// Whether the upper layer hides a whole directory at the top.
fn is_hidden(name: &str) -> bool {
    use rustix::fs::{AtFlags, FileType, statat};
    statat(CWD, format!("upper/{name}"), AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice)
}
