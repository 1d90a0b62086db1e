//! What is sampled of a pool.

/// A variable of the service that holds samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Share of the processors in use, 0 to 1; the mean over nodes.
    CpuPercent,
    /// Seconds of life of all nodes since the sample before.
    WallClockSeconds,
    /// Megabytes of memory in use; the mean over nodes.
    MemoryBytes,
    /// Gigabytes of disk in use; the mean over nodes.
    DiskBytes,
    /// Bytes read from disks since the sample before, on all nodes.
    DiskReadBytes,
    /// Bytes written to disks since the sample before, on all nodes.
    DiskWriteBytes,
    /// Reads from disks since the sample before, on all nodes.
    DiskReadOps,
    /// Writes to disks since the sample before, on all nodes.
    DiskWriteOps,
    /// Bytes received since the sample before, on all nodes.
    NetworkInBytes,
    /// Bytes sent since the sample before, on all nodes.
    NetworkOutBytes,
    /// Nodes that were measured.
    SampleNodeCount,
    /// Tasks that wait for a node, an instance each counts.
    ActiveTasks,
    /// Tasks on nodes.
    RunningTasks,
    /// Both.
    PendingTasks,
    /// Tasks that have succeeded.
    SucceededTasks,
    /// Tasks that have failed.
    FailedTasks,
    /// Slots of each node.
    TaskSlotsPerNode,
    /// Dedicated nodes there are.
    CurrentDedicatedNodes,
    /// Spot nodes there are, with those that were taken away.
    CurrentLowPriorityNodes,
    /// Spot nodes that were taken away.
    PreemptedNodeCount,
    /// Nodes that can run tasks.
    UsableNodeCount,
}

impl Metric {
    /// All there are.
    pub const ALL: [Self; 21] = [
        Self::CpuPercent,
        Self::WallClockSeconds,
        Self::MemoryBytes,
        Self::DiskBytes,
        Self::DiskReadBytes,
        Self::DiskWriteBytes,
        Self::DiskReadOps,
        Self::DiskWriteOps,
        Self::NetworkInBytes,
        Self::NetworkOutBytes,
        Self::SampleNodeCount,
        Self::ActiveTasks,
        Self::RunningTasks,
        Self::PendingTasks,
        Self::SucceededTasks,
        Self::FailedTasks,
        Self::TaskSlotsPerNode,
        Self::CurrentDedicatedNodes,
        Self::CurrentLowPriorityNodes,
        Self::PreemptedNodeCount,
        Self::UsableNodeCount,
    ];

    /// Its name in a formula.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuPercent => "$CPUPercent",
            Self::WallClockSeconds => "$WallClockSeconds",
            Self::MemoryBytes => "$MemoryBytes",
            Self::DiskBytes => "$DiskBytes",
            Self::DiskReadBytes => "$DiskReadBytes",
            Self::DiskWriteBytes => "$DiskWriteBytes",
            Self::DiskReadOps => "$DiskReadOps",
            Self::DiskWriteOps => "$DiskWriteOps",
            Self::NetworkInBytes => "$NetworkInBytes",
            Self::NetworkOutBytes => "$NetworkOutBytes",
            Self::SampleNodeCount => "$SampleNodeCount",
            Self::ActiveTasks => "$ActiveTasks",
            Self::RunningTasks => "$RunningTasks",
            Self::PendingTasks => "$PendingTasks",
            Self::SucceededTasks => "$SucceededTasks",
            Self::FailedTasks => "$FailedTasks",
            Self::TaskSlotsPerNode => "$TaskSlotsPerNode",
            Self::CurrentDedicatedNodes => "$CurrentDedicatedNodes",
            Self::CurrentLowPriorityNodes => "$CurrentLowPriorityNodes",
            Self::PreemptedNodeCount => "$PreemptedNodeCount",
            Self::UsableNodeCount => "$UsableNodeCount",
        }
    }

    /// The metric of that name; also by the names of older formulas.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "$CurrentDedicated" => Some(Self::CurrentDedicatedNodes),
            "$CurrentLowPriority" => Some(Self::CurrentLowPriorityNodes),
            _ => Self::ALL.into_iter().find(|it| it.name() == name),
        }
    }
}
