//! What a commit changed, as far as others must hear of it.

use super::needs::TaskNeeds;
use super::pool::TaskSchedulingPolicy;
use super::task::TaskState;

/// Something that is now so. Announced in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A pool exists, or is as described now.
    Pool {
        /// The store's key.
        pool_key: i64,
        /// The Batch account.
        account: String,
        /// The pool's id.
        pool_id: String,
        /// Which node and which job come first.
        policy: TaskSchedulingPolicy,
        /// Whether its nodes take tasks whose instances must find each other.
        is_connected: bool,
    },
    /// A pool is gone, with its nodes.
    PoolGone {
        /// The store's key.
        pool_key: i64,
    },
    /// What a pool should hold may differ from what it holds: look at it.
    PoolSize {
        /// The store's key.
        pool_key: i64,
    },
    /// How a pool sizes itself may have changed: look at it.
    PoolScaling {
        /// The store's key.
        pool_key: i64,
    },
    /// A node can take this many slots, counted with those in use; 0 when it takes none.
    Node {
        /// The store's key of its pool.
        pool_key: i64,
        /// The node's id.
        node_id: String,
        /// Slots of tasks that may run on it now.
        slots: u32,
        /// Whether it is dedicated, and not a Spot node.
        is_dedicated: bool,
    },
    /// A node is gone.
    NodeGone {
        /// The store's key of its pool.
        pool_key: i64,
        /// The node's id.
        node_id: String,
    },
    /// A job takes part in scheduling as described now.
    Job {
        /// The store's key.
        job_key: i64,
        /// The Batch account.
        account: String,
        /// The id of the pool that runs it.
        pool_id: String,
        /// Higher comes first.
        priority: i32,
        /// Whether its tasks may start.
        is_open: bool,
        /// Tasks at once at the most.
        parallel_tasks_max: Option<u32>,
        /// Whether its running tasks give way to those of a job that comes before it.
        allows_preemption: bool,
    },
    /// A node takes no tasks of this job any more.
    JobNodeExcluded {
        /// The store's key of the job.
        job_key: i64,
        /// The node's id.
        node_id: String,
    },
    /// A node that took no tasks of this job takes them again.
    JobNodeAdmitted {
        /// The store's key of the job.
        job_key: i64,
        /// The node's id.
        node_id: String,
    },
    /// A job is gone, with its tasks.
    JobGone {
        /// The store's key.
        job_key: i64,
    },
    /// A job that ends may have come to its end: look at it.
    JobEnd {
        /// The store's key.
        job_key: i64,
    },
    /// A task of a job ended, or left its nodes. That alone changes nothing for a job that goes
    /// on with others.
    JobTaskEnd {
        /// The store's key of the job.
        job_key: i64,
    },
    /// What follows from the end of one of its tasks for those that depend on it is still to be
    /// counted: go on with it.
    JobDependents {
        /// The store's key.
        job_key: i64,
    },
    /// What a job schedule is to do may have changed: look at it.
    JobSchedule {
        /// The store's key.
        schedule_key: i64,
    },
    /// A certificate is to go: look at it.
    Certificate {
        /// The store's key.
        certificate_key: i64,
    },
    /// A task is in this state.
    Task {
        /// The store's key of its job.
        job_key: i64,
        /// The task's id.
        task_id: String,
        /// Order within the job.
        sequence: i64,
        /// What it needs to run.
        needs: TaskNeeds,
        /// Its state.
        state: TaskState,
        /// Whether running tasks make room for it: it is a job manager that runs again.
        displaces: bool,
        /// Whether it may start: all that it depends on is satisfied.
        is_ready: bool,
        /// Where it runs, its primary first; empty unless it is on nodes.
        node_ids: Vec<String>,
    },
    /// A task is gone.
    TaskGone {
        /// The store's key of its job.
        job_key: i64,
        /// Order within the job.
        sequence: i64,
    },
}
