//! Tasks in the newest shape.

use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use serde_json::{Value, json};

use super::resource::{Tree, json_of};

/// The URL of a task.
pub fn url(base_url: &str, job_id: &str, task_id: &str) -> String {
    format!("{base_url}/jobs/{job_id}/tasks/{task_id}")
}

/// The directory of a task below the root of its node.
pub fn directory(job_id: &str, task_id: &str) -> String {
    format!("{}/{task_id}", super::job::directory(job_id))
}

/// The directory of an instance of a task below the root of its node.
pub fn instance_directory(job_id: &str, task_id: &str, number: u32) -> String {
    let directory = directory(job_id, task_id);
    if number == 0 { directory } else { format!("{directory}/{number}") }
}

/// A task as `GET` shows it.
pub fn tree(task: &Task, job_id: &str, base_url: &str) -> Value {
    let life = &task.life;
    let mut tree = Tree::of(&task.document);
    tree.set("url", url(base_url, job_id, &task.id));
    tree.set_revision(life.created_at, life.modified_at);
    tree.set("state", json_of(&life.state));
    tree.set_time("stateTransitionTime", life.state_at);
    if let Some((state, at)) = &life.previous {
        tree.set("previousState", json_of(state));
        tree.set_time("previousStateTransitionTime", *at);
    }
    tree.set("executionInfo", execution(life));
    if let Some(place) = &life.place {
        let directory = directory(job_id, &task.id);
        let node = node_info(base_url, &place.pool_id, &place.node_id, &directory);
        tree.set("nodeInfo", node);
    }
    tree.into_value()
}

/// Where a task or an instance of one runs or ran, in this directory below the node's root.
pub(super) fn node_info(base_url: &str, pool_id: &str, node_id: &str, directory: &str) -> Value {
    let node_url = super::node::url(base_url, pool_id, node_id);
    json!({
        "affinityId": super::node::affinity_id(node_id),
        "poolId": pool_id,
        "nodeId": node_id,
        "taskRootDirectory": directory,
        "taskRootDirectoryUrl": format!("{node_url}/files/{directory}"),
        "nodeUrl": node_url,
    })
}

fn execution(life: &TaskLife) -> Value {
    let mut tree = Tree::empty();
    let is_completed = life.state == TaskState::Completed;
    // While it waits, or its node is prepared, the run that it began is one of before.
    if matches!(life.state, TaskState::Running | TaskState::Completed) {
        tree.set_time_some("startTime", life.started_at);
    }
    tree.set_time_some("endTime", life.ended_at);
    tree.set_some("exitCode", life.exit_code);
    if is_completed {
        tree.set("result", if life.failure.is_none() { "success" } else { "failure" });
    }
    tree.set_some("failureInfo", life.failure.as_ref().map(json_of));
    tree.set_some("containerInfo", life.container.as_ref().map(json_of));
    tree.set("retryCount", life.retry_count);
    tree.set_time_some("lastRetryTime", life.last_retry_at);
    tree.set("requeueCount", life.requeue_count);
    tree.set_time_some("lastRequeueTime", life.last_requeue_at);
    tree.into_value()
}
