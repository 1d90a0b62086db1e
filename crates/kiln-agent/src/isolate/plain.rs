//! A node that is not kept apart: processes in directories of their own.

use super::SetupError;

/// Becomes the node's first process: it collects what its children leave behind.
pub(crate) fn launch() -> Result<bool, SetupError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| SetupError::new("collect orphans", error))?;
    Ok(true)
}
