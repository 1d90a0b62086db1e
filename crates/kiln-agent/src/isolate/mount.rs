//! Mounts a file system within a node, for its processes only.
//!
//! It is done by a thread of the agent that goes into the node's mount name space: the kernel
//! lets only the machine's root mount file systems of servers, and what is mounted there
//! vanishes with the node, whoever is killed.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{MountFlags, mount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// What is mounted, as the kernel is told.
pub(crate) struct Mounting {
    /// Kind of the file system.
    pub(crate) kind: &'static str,
    /// What is mounted.
    pub(crate) source: String,
    /// How.
    pub(crate) flags: MountFlags,
    /// Options of the kind, which may hold secrets.
    pub(crate) data: String,
}

/// Mounts at `place` of the node whose first process is `init`. May wait for a server.
///
/// # Errors
/// What the system said.
pub(crate) fn mount_in_node(init: i32, place: &str, mounting: &Mounting) -> io::Result<()> {
    // The thread never comes back to the agent's own name space, so it is one of its own.
    std::thread::scope(|scope| {
        let named = std::thread::Builder::new().name("mount".to_owned());
        let thread = named.spawn_scoped(scope, || mount_here(init, place, mounting))?;
        thread.join().unwrap_or_else(|_panic| Err(io::Error::other("the mount broke")))
    })
}

fn mount_here(init: i32, place: &str, mounting: &Mounting) -> io::Result<()> {
    let spaces = |process: &str| File::open(format!("/proc/{process}/ns/mnt"));
    let (own, nodes) = (spaces("thread-self")?, spaces(&init.to_string())?);
    // Else it would be there for all of the machine, and outlive the node.
    let is_apart = own.metadata()?.ino() != nodes.metadata()?.ino();
    if !is_apart || !rustix::process::geteuid().is_root() {
        let message = "mounts need Kiln to run as root, and nodes with mounts of their own";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    leave_directories()?;
    move_into_link_name_space(nodes.as_fd(), Some(LinkNameSpaceType::Mount))?;
    // Whoever may change the node's directories leads the mount nowhere else.
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    let place = openat2(CWD, place, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    rustix::process::fchdir(&place)?;
    let data = CString::new(mounting.data.as_str())?;
    Ok(mount(mounting.source.as_str(), ".", mounting.kind, mounting.flags, data.as_c_str())?)
}

/// Lets this thread have its own root and current directory.
#[expect(unsafe_code, reason = "other threads do not notice")]
fn leave_directories() -> io::Result<()> {
    // SAFETY: only what the thread calls its root and current directory becomes its own; no
    // memory, descriptor or signal handler is shared less than before.
    Ok(unsafe { unshare_unsafe(UnshareFlags::FS) }?)
}
