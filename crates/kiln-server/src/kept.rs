//! What the rules read of documents that are kept.

use kiln_domain::batch::auto_pool::AutoPoolSpec;
use kiln_domain::batch::command::StartTaskSpec;
use kiln_domain::batch::exit::ExitSpec;
use kiln_domain::batch::job::{Job, JobSpec, JobState};
use kiln_domain::batch::job_schedule::{JobSchedule, JobScheduleSpec};
use kiln_domain::batch::node::Node;
use kiln_domain::batch::pool::{Pool, PoolSpec};
use kiln_domain::batch::scaling::ScalingSpec;
use kiln_domain::batch::task::{Task, TaskSpec};
use kiln_store::{StoreError, View};
use serde::Deserialize;
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

/// What the end of a task means.
pub(crate) fn exit_spec(task: &Task) -> Result<ExitSpec, StoreError> {
    read(&task.document, "exit conditions")
}

/// The task of a job at this JSON pointer of its specification, as a node runs it.
pub(crate) fn task_of_job(job: &Job, pointer: &str) -> Result<TaskSpec, StoreError> {
    let what = "job specification";
    let mut document: Value = read(&job.document, what)?;
    let task = document.pointer_mut(pointer).map(Value::take).unwrap_or_default();
    serde_json::from_value(task).map_err(|cause| StoreError::Damaged { what, cause })
}

/// The start task that a node of a pool runs when it boots now, and whether it must succeed
/// before the node takes tasks.
pub(crate) fn start_task_of(pool: &Pool) -> Result<(Option<String>, bool), StoreError> {
    let document: Value = read(&pool.document, "pool specification")?;
    let Some(task) = document.get("startTask") else { return Ok((None, false)) };
    let must_succeed = task.get("waitForSuccess").and_then(Value::as_bool);
    Ok((Some(task.to_string()), must_succeed.unwrap_or(true)))
}

/// The start task of a node's latest boot.
pub(crate) fn start_task_spec(node: &Node) -> Result<Option<StartTaskSpec>, StoreError> {
    let document = node.start_task.as_deref();
    document.map(|document| read(document, "start task")).transpose()
}

/// Whether a task is the job manager of its job.
pub(crate) fn is_job_manager(job: &Job, task_id: &str) -> bool {
    // Most jobs have none, and a look at a text is cheaper than reading it.
    job.document.contains("jobManagerTask")
        && serde_json::from_str::<Value>(&job.document)
            .is_ok_and(|document| document.pointer("/jobManagerTask/id") == Some(&task_id.into()))
}

/// A kept document, to be changed.
pub(crate) fn document(document: &str, what: &'static str) -> Result<Value, StoreError> {
    read(document, what)
}

fn read<T: DeserializeOwned>(document: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(document).map_err(|cause| StoreError::Damaged { what, cause })
}
