//! Makes the first process of a node in name spaces of its own.
#![expect(unsafe_code, reason = "clone with name spaces has no safe wrapper")]

use std::io;

use super::SetupError;

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloned {
    /// The new one.
    Child,
    /// The one that made it.
    Parent {
        /// Process id of the new one.
        pid: i32,
    },
}

/// Copies this process, which must have one thread, into name spaces for users, mounts,
/// processes, host name and inter-process communication. The copy is a child of this
/// process's parent, so that this one may end.
pub(crate) fn clone_into_name_spaces() -> Result<Cloned, SetupError> {
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_PARENT
        | libc::SIGCHLD;
    // SAFETY: without CLONE_VM this is `fork`: the copy has its own memory and stack, and
    // no other thread could hold a lock.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(0) => Ok(Cloned::Child),
        Ok(pid) if pid > 0 => Ok(Cloned::Parent { pid }),
        _ => Err(SetupError::new(
            "make a process in its own name spaces",
            io::Error::last_os_error(),
        )),
    }
}
