//! Subtasks in the newest shape: the instances of a task without its primary.

use kiln_domain::batch::gang::{Instance, InstanceState};
use kiln_domain::batch::task::Task;
use serde_json::Value;

use super::resource::{Tree, json_of};
use super::task::{instance_directory, node_info};

/// The subtasks of a task, in the order of their numbers.
pub fn trees(task: &Task, job_id: &str, base_url: &str) -> Vec<Value> {
    let (Some(gang), Some(place)) = (&task.life.gang, &task.life.place) else { return Vec::new() };
    let subtasks = gang.instances().filter(|(number, _)| *number > 0);
    subtasks
        .map(|(number, instance)| {
            let directory = instance_directory(job_id, &task.id, number);
            let node = node_info(base_url, &place.pool_id, &instance.node_id, &directory);
            tree(number, instance, node)
        })
        .collect()
}

fn tree(number: u32, instance: &Instance, node: Value) -> Value {
    let mut tree = Tree::empty();
    tree.set("id", number);
    tree.set("nodeInfo", node);
    tree.set_time_some("startTime", instance.started_at);
    tree.set_time_some("endTime", instance.ended_at);
    tree.set_some("exitCode", instance.exit_code);
    tree.set("state", json_of(&instance.state));
    tree.set_time("stateTransitionTime", instance.state_at);
    if let Some((state, at)) = &instance.previous {
        tree.set("previousState", json_of(state));
        tree.set_time("previousStateTransitionTime", *at);
    }
    if instance.state == InstanceState::Completed {
        tree.set("result", if instance.failure.is_none() { "success" } else { "failure" });
    }
    tree.set_some("failureInfo", instance.failure.as_ref().map(json_of));
    tree.set_some("containerInfo", instance.container.as_ref().map(json_of));
    tree.into_value()
}
