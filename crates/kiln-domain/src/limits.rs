//! Every limit of Batch and Blob, with its unit.
//!
//! The values are the documented ones of the Azure services unless a line says otherwise.

/// Characters in the id of a pool, job, task or job schedule.
pub const ID_LENGTH_MAX: usize = 64;
/// Characters in a display name.
pub const DISPLAY_NAME_LENGTH_MAX: usize = 1024;
/// Tasks in one `addtaskcollection` request.
pub const TASKS_PER_COLLECTION_MAX: usize = 100;
/// Characters in the ids of the tasks that a task depends on, all together.
pub const DEPENDENCY_IDS_CHARACTERS_MAX: usize = 64_000;
/// Ranges of ids of the tasks that a task depends on; the service has a limit that is not known.
pub const DEPENDENCY_RANGES_MAX: usize = 2000;
/// Nodes that a task may lose before it is given up; the service's own number is not known.
pub const TASK_NODES_LOST_MAX: u32 = 10;
/// Agents of a node that may end as soon as they are started before it is given up.
pub const AGENT_QUICK_ENDS_MAX: u32 = 3;
/// Days for which the files of a task are kept that does not say how long.
pub const TASK_RETENTION_DAYS: i64 = 7;
/// Days from its addition after which a task that has not completed is given up.
pub const TASK_LIFETIME_DAYS: i64 = 180;
/// Bytes in one request body of the Batch service.
pub const BATCH_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Items on one page of a Batch list, and the default.
pub const PAGE_ITEMS_MAX: usize = 1000;
/// Lowest job priority.
pub const JOB_PRIORITY_MIN: i64 = -1000;
/// Highest job priority.
pub const JOB_PRIORITY_MAX: i64 = 1000;
/// Length of a schedule's interval and of its window at the least, in minutes.
pub const SCHEDULE_SPAN_MIN_MINUTES: i64 = 1;
/// Characters in the prefix of an auto pool's id.
pub const AUTO_POOL_PREFIX_LENGTH_MAX: usize = 20;
/// Characters in the name of a user of a node.
pub const USER_NAME_LENGTH_MAX: usize = 20;
/// Days after which a user of a node is removed, unless its client says when.
pub const NODE_USER_EXPIRES_AFTER_DAYS: i64 = 1;
/// Nodes in one request that removes nodes.
pub const REMOVED_NODES_MAX: usize = 100;
/// Nodes of a pool whose nodes communicate with each other.
pub const CONNECTED_NODES_MAX: u32 = 100;
/// Task slots of one node for each of its cores.
pub const TASK_SLOTS_PER_CORE_MAX: i64 = 4;
/// Task slots of one node.
pub const TASK_SLOTS_PER_NODE_MAX: i64 = 256;
/// Applications of an account.
pub const APPLICATIONS_MAX: usize = 200;
/// Packages of an application.
pub const PACKAGES_PER_APPLICATION_MAX: usize = 40;
/// Packages that a pool or a task may ask for.
pub const PACKAGE_REFERENCES_MAX: usize = 10;
/// Seconds that the deletion of a certificate takes at the least; the service takes some, their
/// number is not known.
pub const CERTIFICATE_DELETION_SECONDS: i64 = 1;
/// Hexadecimal digits of a certificate's thumbprint.
pub const THUMBPRINT_DIGITS: usize = 40;
/// Bytes of a certificate's file.
pub const CERTIFICATE_BYTES_MAX: usize = 10 * 1024;
/// File systems that a pool mounts on its nodes.
pub const MOUNTS_MAX: usize = 10;
/// Certificates of an account.
pub const CERTIFICATES_MAX: usize = 1000;
/// Minutes after which an unfinished resize is given up: the least a client may ask for.
pub const RESIZE_TIMEOUT_MIN_MINUTES: i64 = 5;
/// Distance between a request's date and ours, in minutes, before it is refused.
pub const CLOCK_SKEW_MAX_MINUTES: i64 = 15;
/// Seconds from its creation in which a job without tasks is not ended for having completed
/// all of them; the service takes some, their number is not known.
pub const EMPTY_JOB_WAITS_SECONDS: i64 = 5;
/// Characters of an autoscale formula.
pub const FORMULA_CHARACTERS_MAX: usize = 8192;
/// Statements of an autoscale formula.
pub const FORMULA_STATEMENTS_MAX: usize = 100;
/// Minutes between two evaluations of a formula: the least a client may ask for.
pub const FORMULA_INTERVAL_MIN_MINUTES: i64 = 5;
/// Minutes between two evaluations of a formula: the most a client may ask for.
pub const FORMULA_INTERVAL_MAX_MINUTES: i64 = 168 * 60;
/// Minutes between two evaluations of a formula when a client does not say.
pub const FORMULA_INTERVAL_MINUTES: i64 = 15;
/// Seconds after which autoscale of the same pool may be set again.
pub const AUTO_SCALE_SET_EVERY_SECONDS: i64 = 30;
/// Minutes that a job release task may run.
pub const RELEASE_MINUTES_MAX: i64 = 15;
/// Minutes of an interval by which usage of pools is listed.
pub const POOL_USAGE_INTERVAL_MINUTES: i64 = 30;
/// Intervals of a pool's usage that are counted at once.
pub const POOL_USAGE_INTERVALS_COUNTED_MAX: i64 = 10_000;
/// Days for which usage of pools is kept by intervals; for how long the service keeps it is not
/// known.
pub const POOL_USAGE_KEPT_DAYS: i64 = 400;
