//! What the rules read of documents that are kept.

use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::pool::{Pool, PoolSpec};
use kiln_domain::batch::scaling::ScalingSpec;
use kiln_domain::batch::task::{Task, TaskSpec};
use kiln_store::StoreError;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The specification of a pool.
pub(crate) fn pool_spec(pool: &Pool) -> Result<PoolSpec, StoreError> {
    read(&pool.document, "pool specification")
}

/// How a pool sizes itself.
pub(crate) fn scaling_spec(pool: &Pool) -> Result<ScalingSpec, StoreError> {
    read(&pool.document, "pool specification")
}

/// The specification of a job.
pub(crate) fn job_spec(job: &Job) -> Result<JobSpec, StoreError> {
    read(&job.document, "job specification")
}

/// The specification of a task.
pub(crate) fn task_spec(task: &Task) -> Result<TaskSpec, StoreError> {
    read(&task.document, "task specification")
}

/// A kept document, to be changed.
pub(crate) fn document(document: &str, what: &'static str) -> Result<Value, StoreError> {
    read(document, what)
}

fn read<T: DeserializeOwned>(document: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(document).map_err(|cause| StoreError::Damaged { what, cause })
}
