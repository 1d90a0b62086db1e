//! The `odata.metadata` of answers.

use crate::api_version::ApiVersion;

/// A kind of answer, as `odata.metadata` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(&'static str);

/// `GET /pools` and one pool.
pub const POOLS: Kind = Kind("pools");
/// Lists of jobs and one job.
pub const JOBS: Kind = Kind("jobs");
/// Lists of tasks and one task.
pub const TASKS: Kind = Kind("tasks");
/// Lists of nodes and one node.
pub const NODES: Kind = Kind("nodes");
/// Extensions of a node.
pub const EXTENSIONS: Kind = Kind("extensions");
/// Job schedules.
pub const JOB_SCHEDULES: Kind = Kind("jobschedules");
/// Files of a task or node.
pub const FILES: Kind = Kind("files");
/// Certificates.
pub const CERTIFICATES: Kind = Kind("certificates");
/// `GET /applications`.
pub const APPLICATIONS: Kind = Kind("listapplicationsummariesresponses");
/// One application; always an element.
pub const APPLICATION: Kind = Kind("getapplicationsummaryresponse");
/// `GET /supportedimages`.
pub const SUPPORTED_IMAGES: Kind = Kind("supportedimages");
/// `GET /nodeagentskus`.
pub const NODE_AGENT_SKUS: Kind = Kind("nodeagentskus");
/// `GET /nodecounts`.
pub const NODE_COUNTS: Kind = Kind("poolnodecounts");
/// `GET /poolusagemetrics`.
pub const POOL_USAGE_METRICS: Kind = Kind("poolusagemetrics");
/// Subtasks of a task.
pub const SUBTASKS: Kind = Kind("subtaskinfo");
/// The answer to a task collection.
pub const TASK_ADD_RESULTS: Kind = Kind("taskaddresult");
/// Counts of tasks, apart by tasks and slots.
pub const TASK_COUNTS: Kind = Kind("taskcountsresult");
/// Counts of tasks before 2020-09-01.12.0.
pub const TASK_COUNTS_FLAT: Kind = Kind("taskcounts");
/// Preparation and release of a job by node.
pub const PREPARATION_AND_RELEASE: Kind = Kind("jobpreparationandreleasetaskstatuslist");
/// `GET /lifetimejobstats`.
pub const JOB_STATISTICS: Kind = Kind("jobstats");
/// `GET /lifetimepoolstats`.
pub const POOL_STATISTICS: Kind = Kind("poolstats");
/// An evaluation of a formula; a kind of its own, not an element.
pub const AUTO_SCALE_RUN: Kind = Kind("Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun");
/// Where to log in to a node; a kind of its own.
pub const REMOTE_LOGIN: Kind = Kind("Microsoft.Azure.Batch.Protocol.Entities.RemoteLoginSettings");
/// Where the logs of a node went; a kind of its own.
pub const UPLOAD_LOGS_RESULT: Kind =
    Kind("Microsoft.Azure.Batch.Protocol.Entities.UploadBatchServiceLogsResult");
/// A refusal.
pub(super) const ERROR: Kind =
    Kind("Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element");

/// How a version names counts of tasks.
pub fn task_counts(version: ApiVersion) -> Kind {
    if version < ApiVersion::V2020_09_01 { TASK_COUNTS_FLAT } else { TASK_COUNTS }
}

impl Kind {
    /// The value for a list, or for a kind of its own.
    pub fn url(self, base_url: &str) -> String {
        format!("{}/$metadata#{}", base_url.trim_end_matches('/'), self.0)
    }

    /// The value for a single resource.
    pub fn element_url(self, base_url: &str) -> String {
        format!("{}/@Element", self.url(base_url))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_as_recorded() {
        assert_eq!(super::POOLS.url("https://h/"), "https://h/$metadata#pools");
        assert_eq!(super::POOLS.element_url("https://h"), "https://h/$metadata#pools/@Element");
    }
}
