//! Job schedules in the newest shape.

use kiln_domain::batch::job_schedule::JobSchedule;
use kiln_domain::time::Timestamp;
use serde_json::{Value, json};

use super::resource::{Tree, json_of};

/// The URL of a job schedule.
pub fn url(base_url: &str, schedule_id: &str) -> String {
    format!("{base_url}/jobschedules/{schedule_id}")
}

/// A job schedule as `GET` shows it, whose next job is due at `next_run_at`.
pub fn tree(schedule: &JobSchedule, next_run_at: Option<Timestamp>, base_url: &str) -> Value {
    let life = &schedule.life;
    let mut tree = Tree::of(&schedule.document);
    tree.set("url", url(base_url, &schedule.id));
    tree.set_revision(life.created_at, life.modified_at);
    tree.set("state", json_of(&life.state));
    tree.set_time("stateTransitionTime", life.state_at);
    if let Some((state, at)) = &life.previous {
        tree.set("previousState", json_of(state));
        tree.set_time("previousStateTransitionTime", *at);
    }
    let mut execution = Tree::empty();
    execution.set_time_some("nextRunTime", next_run_at);
    let recent = life.recent.as_ref();
    execution.set_some(
        "recentJob",
        recent.map(|job| json!({ "id": job.id, "url": super::job::url(base_url, &job.id) })),
    );
    execution.set_time_some("endTime", life.ended_at);
    tree.set("executionInfo", execution.into_value());
    tree.into_value()
}
