//! What runs of tasks took of their nodes, and the sums that become statistics.

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// What one run of a task took of its node, as its agent measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// CPU time in user mode, of all its processes and cores.
    pub user_cpu: Span,
    /// CPU time in the kernel, of all its processes and cores.
    pub kernel_cpu: Span,
    /// Time from its start, fetching of files included, to its end.
    pub wall_clock: Span,
    /// Read operations on disks.
    pub read_ops: u64,
    /// Write operations on disks.
    pub write_ops: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub write_bytes: u64,
    /// Bytes of memory that it held at the most at once.
    pub peak_memory_bytes: u64,
}
