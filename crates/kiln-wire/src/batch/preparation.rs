//! Preparation and release of the nodes of a job, in the newest shape.

use kiln_domain::batch::preparation::{Preparation, Run};
use serde_json::Value;

use super::resource::{Tree, json_of};
use super::{node, task};

/// A node of a job as the list of them shows it; the ids are those of the job and its tasks.
pub fn tree(
    preparation: &Preparation,
    job_id: &str,
    preparation_id: &str,
    release_id: Option<&str>,
    base_url: &str,
) -> Value {
    let Preparation { node_id, life, .. } = preparation;
    let node_url = node::url(base_url, &life.pool_id, node_id);
    let mut tree = Tree::empty();
    tree.set("poolId", life.pool_id.as_str());
    tree.set("nodeId", node_id.as_str());
    tree.set("nodeUrl", node_url.as_str());
    if let Some(run) = &life.preparation {
        let mut info = execution(run, &task::directory(job_id, preparation_id), &node_url);
        info.set("retryCount", run.retry_count);
        info.set_time_some("lastRetryTime", run.last_retry_at);
        tree.set("jobPreparationTaskExecutionInfo", info.into_value());
    }
    if let (Some(run), Some(release_id)) = (&life.release, release_id) {
        let info = execution(run, &task::directory(job_id, release_id), &node_url);
        tree.set("jobReleaseTaskExecutionInfo", info.into_value());
    }
    tree.into_value()
}

fn execution(run: &Run, directory: &str, node_url: &str) -> Tree {
    let mut tree = Tree::empty();
    tree.set_time("startTime", run.started_at);
    tree.set_time_some("endTime", run.ended_at);
    tree.set("state", if run.ended_at.is_some() { "completed" } else { "running" });
    tree.set("taskRootDirectory", directory);
    tree.set("taskRootDirectoryUrl", format!("{node_url}/files/{directory}"));
    tree.set_some("exitCode", run.exit_code);
    if run.ended_at.is_some() {
        tree.set("result", if run.has_succeeded() { "success" } else { "failure" });
    }
    tree.set_some("failureInfo", run.failure.as_ref().map(json_of));
    tree.set_some("containerInfo", run.container.as_ref().map(json_of));
    tree
}
