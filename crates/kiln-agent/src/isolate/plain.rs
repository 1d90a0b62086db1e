//! A node that is not kept apart: processes in directories of their own.

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::SetupError;

/// Becomes the node's first process: it collects what its children leave behind.
pub(crate) fn launch() -> Result<bool, SetupError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| SetupError::new("collect orphans", error))?;
    // So what the node mounts vanishes with it, and nobody who removes its directory goes
    // through it. A user who may not do it can not mount anything either.
    if let Ok(()) = leave_mounts() {
        let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", flags).map_err(|error| SetupError::new("keep mounts private", error))?;
    }
    Ok(true)
}

#[expect(unsafe_code, reason = "the process has one thread")]
fn leave_mounts() -> rustix::io::Result<()> {
    // SAFETY: only mounts made from now on are the process's own; nothing of its memory or
    // descriptors changes.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}
