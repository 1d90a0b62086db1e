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
    use kiln_domain::batch::job::{Job, JobFact, JobLife, step};
    use kiln_domain::batch::task::FailureInfo;
    use kiln_domain::time::Timestamp;
    use serde_json::json;

    use super::{directory, manager, tree, whole_directory};
    use crate::api_version::ApiVersion;
    use crate::batch::{Shape, lower};

    #[test]
    fn a_job_without_a_pool_says_why() {
        let mut job = Job {
            key: 1,
            account: "acct".to_owned(),
            id: "j".to_owned(),
            document: "{}".to_owned(),
            schedule_key: None,
            life: JobLife::new(String::new(), Timestamp(0)),
        };
        let error = FailureInfo::user_error("AutoPoolCreationFailedWithQuotaReached", "no room")
            .with_detail("Reason", "no room");
        job.life = step(&job, JobFact::Unschedulable(error), Timestamp(1)).expect("it is over");
        let mut expected = json!({
            "category": "UserError",
            "code": "AutoPoolCreationFailedWithQuotaReached",
            "message": "no room",
            "details": [{ "name": "Reason", "value": "no room" }],
        });
        for version in ApiVersion::all() {
            if version >= ApiVersion::V2024_02_01 {
                expected["category"] = json!("usererror");
            }
            let shown = lower(version, Shape::Job, tree(&job, "http://h"));
            let info = shown.get("executionInfo").cloned().unwrap_or_default();
            assert_eq!(info.get("schedulingError"), Some(&expected), "{}", version.as_str());
            assert_eq!(info.get("terminateReason"), None);
            assert!(info.get("endTime").is_some());
        }
    }

    #[test]
    fn a_manager_as_a_task_has_no_members_of_managers() {
        let job = json!({ "jobManagerTask": {
            "id": "m", "commandLine": "c", "killJobOnCompletion": true, "runExclusive": true,
            "allowLowPriorityNode": true,
        }});
        assert_eq!(manager(&job), Some(json!({ "id": "m", "commandLine": "c" })));
        assert_eq!(manager(&json!({ "id": "j" })), None);
    }

    #[test]
    fn jobs_of_a_schedule_share_a_directory() {
        assert_eq!(directory("j"), "workitems/j/job-1");
        assert_eq!(directory("s:job-12"), "workitems/s/job-12");
        assert_eq!(whole_directory("j"), "workitems/j");
        assert_eq!(whole_directory("s:job-12"), "workitems/s/job-12");
    }
}
