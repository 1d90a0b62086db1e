//! A node in name spaces of its own, made by root.
//!
//! The node's users are ordinary users of the machine from `first_uid` on, root among them.
//! Below the view lies the machine's root file system, shown with translated owners, so
//! that the node's root user owns in its view what root owns; above it lies a layer that
//! takes all the node writes.
//!
//! The process that the agent starts makes the one that stays, opens for it what needs the
//! machine's root, and ends.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{Gid, Signal, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::SetupError;
use super::clone::{Cloned, clone_into_name_spaces};
use super::view::{self, ENGINE_DIRECTORY, Shown, TASKS_DIRECTORY};
use crate::node_init::channel::{self, Incoming};
use crate::node_init::message::{FromInit, Setup};

/// User ids of a node.
const UIDS: u32 = 65_536;

/// Makes the node's first process. Comes back twice: with `true` in that process, with
/// `false` in the one that made it.
pub(crate) fn launch(
    setup: &Setup,
    agent: &OwnedFd,
    group: Option<&OwnedFd>,
) -> Result<bool, SetupError> {
    std::env::set_current_dir(&setup.view_directory)
        .map_err(|error| SetupError::new(format!("enter `{}`", setup.view_directory), error))?;
    let tasks = clone_tree(Path::new(&setup.tasks_directory))?;
    let engine = clone_tree(Path::new(&setup.engine_directory))?;
    let sys = clone_tree(Path::new("/sys"))?;
    view::set_read_only(sys.as_fd(), false)
        .map_err(|error| SetupError::new("make `/sys` read-only", error))?;
    let (near, far) =
        UnixStream::pair().map_err(|error| SetupError::new("make a pair of sockets", error))?;
    match clone_into_name_spaces(group)? {
        Cloned::Child => {
            drop(near);
            become_first(setup, far.into(), [&tasks, &engine, &sys])?;
            Ok(true)
        }
        Cloned::Parent { pid, is_in_group } => {
            channel::send(agent, &FromInit::Launched { pid, is_in_group }, &[])
                .map_err(|error| SetupError::new("answer the agent", error))?;
            let map = format!("0 {} {UIDS}", setup.first_uid);
            for name in ["uid_map", "gid_map"] {
                let path = format!("/proc/{pid}/{name}");
                fs::write(&path, &map)
                    .map_err(|error| SetupError::new(format!("write `{path}`"), error))?;
            }
            let users = File::open(format!("/proc/{pid}/ns/user"))
                .map_err(|error| SetupError::new("open the node's users", error))?;
            let lower = clone_tree(Path::new("/"))?;
            view::set_id_map(lower.as_fd(), &users)
                .map_err(|error| SetupError::new("translate the owners of `/`", error))?;
            send_lower(&near, lower.as_fd())?;
            Ok(false)
        }
    }
}

/// Opens the file system mounted at `path`, without what is mounted below.
fn clone_tree(path: &Path) -> Result<OwnedFd, SetupError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags)
        .map_err(|error| SetupError::new(format!("clone the tree of `{}`", path.display()), error))
}

fn send_lower(to: &UnixStream, lower: BorrowedFd<'_>) -> Result<(), SetupError> {
    channel::send(to, &(), &[lower])
        .map_err(|error| SetupError::new("hand over the lower layer", error))
}

fn become_first(setup: &Setup, from: OwnedFd, trees: [&OwnedFd; 3]) -> Result<(), SetupError> {
    let [tasks, engine, sys] = trees;
    let handed = Incoming::default()
        .wait::<()>(&from)
        .map_err(|error| SetupError::new("take over the lower layer", error))?;
    let Some(lower) = handed.and_then(|((), descriptors)| descriptors.into_iter().next()) else {
        let error = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(SetupError::new("take over the lower layer", error));
    };
    become_root()?;
    view::detach_from_machine()?;
    view::attach(&lower, "lower")?;
    view::mount_overlay("lower", "upper", "work", "root")
        .map_err(|error| SetupError::new("mount the view's layers", error))?;
    let shown = [(TASKS_DIRECTORY, Shown::Tree(tasks)), (ENGINE_DIRECTORY, Shown::Tree(engine))];
    view::furnish("root", &shown)?;
    view::attach(sys, "root/sys")?;
    view::hide_groups("root")?;
    view::enter("root", &setup.host_name)
}

/// Becomes the root user of the node, who dies with the agent.
fn become_root() -> Result<(), SetupError> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .and_then(|()| rustix::process::set_parent_process_death_signal(Some(Signal::KILL)))
        .map_err(|error| SetupError::new("become the node's root user", error))
}
