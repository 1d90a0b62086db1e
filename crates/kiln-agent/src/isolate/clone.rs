//! Makes the first process of a node in name spaces of its own.
#![expect(unsafe_code, reason = "clone with name spaces has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::SetupError;
use crate::node_init::CLONE_INTO_CGROUP;

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloned {
    /// The new one.
    Child,
    /// The one that made it.
    Parent {
        /// Process id of the new one.
        pid: i32,
        /// Whether it began in the group asked for.
        is_in_group: bool,
    },
}

/// Copies this process, which must have one thread, into name spaces for users, mounts,
/// processes, host name and inter-process communication. The copy is a child of this
/// process's parent, so that this one may end. It begins in `group` where the kernel can do
/// that: to move a process later makes the kernel wait for all processors.
pub(crate) fn clone_into_name_spaces(group: Option<&OwnedFd>) -> Result<Cloned, SetupError> {
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_PARENT;
    let cloned = match group {
        Some(group) => match clone3(flags, group) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => clone(flags),
            other => other,
        },
        None => clone(flags),
    };
    cloned.map_err(|error| SetupError::new("make a process in its own name spaces", error))
}

fn clone3(flags: i32, group: &OwnedFd) -> io::Result<Cloned> {
    // SAFETY: all members of `clone_args` are integers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    // With CLONE_PARENT the parent's own signal is taken.
    arguments.flags = u64::from(flags.cast_unsigned()) | CLONE_INTO_CGROUP;
    arguments.cgroup = u64::try_from(group.as_raw_fd()).map_err(io::Error::other)?;
    let size = size_of::<libc::clone_args>();
    // SAFETY: without CLONE_VM this is `fork`: the copy has its own memory and stack, and
    // no other thread could hold a lock.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
    which(pid, true)
}

fn clone(flags: i32) -> io::Result<Cloned> {
    // SAFETY: as above.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    which(pid, false)
}

fn which(pid: libc::c_long, is_in_group: bool) -> io::Result<Cloned> {
    match i32::try_from(pid) {
        Ok(0) => Ok(Cloned::Child),
        Ok(pid) if pid > 0 => Ok(Cloned::Parent { pid, is_in_group }),
        _ => Err(io::Error::last_os_error()),
    }
}
