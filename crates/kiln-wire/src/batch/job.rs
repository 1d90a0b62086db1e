//! Jobs in the newest shape.

use kiln_domain::batch::job::{Job, JobState};
use serde_json::Value;

use super::resource::{Tree, json_of};

/// The URL of a job.
pub fn url(base_url: &str, job_id: &str) -> String {
    format!("{base_url}/jobs/{job_id}")
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
    if life.state == JobState::Completed {
        execution.set_some("terminateReason", life.terminate_reason.as_deref());
    }
    tree.set("executionInfo", execution.into_value());
    tree.into_value()
}
