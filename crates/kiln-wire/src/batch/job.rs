//! Jobs in the newest shape.

use kiln_domain::batch::job::{Job, JobState};
use serde_json::Value;

use super::resource::{Tree, json_of};

/// The URL of a job.
pub fn url(base_url: &str, job_id: &str) -> String {
    format!("{base_url}/jobs/{job_id}")
}

/// The directory of a job's tasks below the root of their node: that of a job which a schedule
/// made, `S:job-2`, lies in the schedule's; any other is the first and only job of its own.
pub fn directory(job_id: &str) -> String {
    let (owner, run) = job_id.split_once(':').unwrap_or((job_id, "job-1"));
    format!("workitems/{owner}/{run}")
}

/// What nodes keep of a job, below their root.
pub fn whole_directory(job_id: &str) -> String {
    format!("workitems/{}", job_id.replace(':', "/"))
}

/// The manager of a job that is about to be added, as the task that is added with it.
pub fn manager(job: &Value) -> Option<Value> {
    let mut task = job.get("jobManagerTask")?.clone();
    let members = task.as_object_mut()?;
    for of_managers in ["killJobOnCompletion", "runExclusive", "allowLowPriorityNode"] {
        members.remove(of_managers);
    }
    Some(task)
}

/// A job as `GET` shows it.
pub fn tree(job: &Job, base_url: &str) -> Value {
    let life = &job.life;
    let mut tree = Tree::of(&job.document);
    tree.set("url", url(base_url, &job.id));
    tree.set_revision(life.created_at, life.modified_at);
    tree.set("state", json_of(&life.state));
    tree.set_time("stateTransitionTime", life.state_at);
    if let Some((state, at)) = &life.previous {
        tree.set("previousState", json_of(state));
        tree.set_time("previousStateTransitionTime", *at);
    }
    let mut execution = Tree::empty();
    execution.set_time("startTime", life.created_at);
    execution.set_time_some("endTime", life.ended_at);
    execution.set("poolId", life.pool_id.as_str());
    execution.set_some("schedulingError", life.scheduling_error.as_ref().map(json_of));
    if life.state == JobState::Completed {
        execution.set_some("terminateReason", life.terminate_reason.as_deref());
    }
    tree.set("executionInfo", execution.into_value());
    tree.into_value()
}

#[cfg(test)]
mod tests {
    use super::{directory, whole_directory};

    #[test]
    fn jobs_of_a_schedule_share_a_directory() {
        assert_eq!(directory("j"), "workitems/j/job-1");
        assert_eq!(directory("s:job-12"), "workitems/s/job-12");
        assert_eq!(whole_directory("j"), "workitems/j");
        assert_eq!(whole_directory("s:job-12"), "workitems/s/job-12");
    }
}
