//! Which properties each list can be filtered by.

/// What a filter can ask of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name: all comparisons and `startswith`, without case.
    Text,
    /// A word of a closed list: equal or not, without case.
    Word,
    /// A number: all comparisons.
    Number,
    /// A point in time: all comparisons.
    Time,
    /// Equal or not.
    Bool,
}

/// A property that a list can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Property {
    /// Its name, with `/` between levels.
    pub(super) path: &'static str,
    /// What can be asked of it.
    pub(super) kind: Kind,
}

/// A list that takes `$filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// All pools.
    Pools,
    /// Nodes of a pool.
    Nodes,
    /// Numbers of nodes by pool.
    NodeCounts,
    /// What pools used.
    PoolUsageMetrics,
    /// All jobs.
    Jobs,
    /// Jobs of one schedule.
    JobsOfSchedule,
    /// All job schedules.
    JobSchedules,
    /// Preparation and release of a job by node.
    PreparationAndRelease,
    /// Tasks of a job.
    Tasks,
    /// Files of a task or node.
    Files,
    /// Images that pools may use.
    SupportedImages,
    /// Node agents, in versions before supported images.
    NodeAgentSkus,
    /// All certificates.
    Certificates,
}

const fn text(path: &'static str) -> Property {
    Property { path, kind: Kind::Text }
}
const fn word(path: &'static str) -> Property {
    Property { path, kind: Kind::Word }
}
const fn number(path: &'static str) -> Property {
    Property { path, kind: Kind::Number }
}
const fn time(path: &'static str) -> Property {
    Property { path, kind: Kind::Time }
}
const fn yes_no(path: &'static str) -> Property {
    Property { path, kind: Kind::Bool }
}

const POOLS: &[Property] = &[
    text("id"),
    word("state"),
    time("stateTransitionTime"),
    word("allocationState"),
    time("allocationStateTransitionTime"),
    time("creationTime"),
    time("lastModified"),
    yes_no("enableAutoScale"),
    yes_no("enableInterNodeCommunication"),
    text("vmSize"),
];
const NODES: &[Property] = &[
    word("state"),
    time("stateTransitionTime"),
    time("lastBootTime"),
    time("allocationTime"),
    word("startTaskInfo/state"),
    word("startTaskInfo/result"),
    number("startTaskInfo/exitCode"),
    time("startTaskInfo/startTime"),
    time("startTaskInfo/endTime"),
];
const JOBS: &[Property] = &[
    word("state"),
    time("stateTransitionTime"),
    time("creationTime"),
    time("lastModified"),
    time("executionInfo/startTime"),
    time("executionInfo/endTime"),
    text("executionInfo/poolId"),
    text("id"),
];
const JOB_SCHEDULES: &[Property] = &[
    text("id"),
    word("state"),
    time("stateTransitionTime"),
    time("creationTime"),
    time("lastModified"),
    time("executionInfo/endTime"),
    time("schedule/doNotRunUntil"),
    time("schedule/doNotRunAfter"),
];
const TASKS: &[Property] = &[
    text("id"),
    word("state"),
    time("stateTransitionTime"),
    time("creationTime"),
    time("lastModified"),
    time("executionInfo/startTime"),
    time("executionInfo/endTime"),
    number("executionInfo/exitCode"),
    word("executionInfo/result"),
];
const PREPARATION_AND_RELEASE: &[Property] = &[
    text("poolId"),
    text("nodeId"),
    word("jobPreparationTaskExecutionInfo/state"),
    word("jobPreparationTaskExecutionInfo/result"),
    number("jobPreparationTaskExecutionInfo/exitCode"),
    time("jobPreparationTaskExecutionInfo/startTime"),
    time("jobPreparationTaskExecutionInfo/endTime"),
    word("jobReleaseTaskExecutionInfo/state"),
    word("jobReleaseTaskExecutionInfo/result"),
    number("jobReleaseTaskExecutionInfo/exitCode"),
    time("jobReleaseTaskExecutionInfo/startTime"),
    time("jobReleaseTaskExecutionInfo/endTime"),
];
const SUPPORTED_IMAGES: &[Property] =
    &[word("osType"), word("verificationType"), text("nodeAgentSKUId")];

impl List {
    /// The properties it can be filtered by.
    pub(super) fn properties(self) -> &'static [Property] {
        match self {
            Self::Pools => POOLS,
            Self::Nodes => NODES,
            Self::NodeCounts | Self::PoolUsageMetrics => const { &[text("poolId")] },
            Self::Jobs => JOBS,
            // The same without the id, which is the last.
            Self::JobsOfSchedule => JOBS.split_last().map_or(JOBS, |(_, rest)| rest),
            Self::JobSchedules => JOB_SCHEDULES,
            Self::PreparationAndRelease => PREPARATION_AND_RELEASE,
            Self::Tasks => TASKS,
            Self::Files => const { &[text("name")] },
            Self::SupportedImages => SUPPORTED_IMAGES,
            Self::NodeAgentSkus => const { &[word("osType")] },
            Self::Certificates => const { &[word("state"), time("stateTransitionTime")] },
        }
    }

    /// The property of this name. Names are compared with case, as the service does; one table
    /// of its documentation calls a task's `lastModified` `lastModifiedTime`, so that is read too.
    pub(super) fn property(self, name: &str) -> Option<Property> {
        let is_alias = self == Self::Tasks && name == "lastModifiedTime";
        let name = if is_alias { "lastModified" } else { name };
        self.properties().iter().find(|property| property.path == name).copied()
    }
}
