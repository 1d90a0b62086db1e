//! What the rules read of documents that are kept.

use kiln_domain::batch::auto_pool::AutoPoolSpec;
use kiln_domain::batch::job::{Job, JobSpec, JobState};
use kiln_domain::batch::job_schedule::{JobSchedule, JobScheduleSpec};
use kiln_domain::batch::pool::{Pool, PoolSpec};
use kiln_domain::batch::task::{Task, TaskSpec};
use kiln_store::{StoreError, View};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The specification of a pool.
pub(crate) fn pool_spec(pool: &Pool) -> Result<PoolSpec, StoreError> {
    read(&pool.document, "pool specification")
}

/// The specification of a job.
pub(crate) fn job_spec(job: &Job) -> Result<JobSpec, StoreError> {
    read(&job.document, "job specification")
}

/// The specification of a job schedule.
pub(crate) fn job_schedule_spec(schedule: &JobSchedule) -> Result<JobScheduleSpec, StoreError> {
    read(&schedule.document, "job schedule specification")
}

/// The specification of a job that a schedule makes, out of the schedule's own.
pub(crate) fn document_of_job(schedule: &Value, job_id: &str) -> Value {
    let mut document = schedule.get("jobSpecification").cloned().unwrap_or_default();
    if let Value::Object(members) = &mut document {
        members.insert("id".to_owned(), job_id.into());
    }
    document
}

/// The auto pool that jobs of a schedule have, if they have one.
pub(crate) fn auto_pool_of_schedule(
    schedule: &JobSchedule,
) -> Result<Option<AutoPoolSpec>, StoreError> {
    let document = document(&schedule.document, "job schedule specification")?;
    let auto = document.pointer("/jobSpecification/poolInfo/autoPoolSpecification");
    auto.map(AutoPoolSpec::deserialize)
        .transpose()
        .map_err(|cause| StoreError::Damaged { what: "auto pool specification", cause })
}

/// The job of a schedule that has not completed: the last one it made, if any.
pub(crate) fn running_job(
    view: &View<'_>,
    schedule: &JobSchedule,
) -> Result<Option<Job>, StoreError> {
    let Some(recent) = &schedule.life.recent else { return Ok(None) };
    let job = view.job_by_key(recent.key)?;
    Ok(job.filter(|job| job.life.state != JobState::Completed))
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
