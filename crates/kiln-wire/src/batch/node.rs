//! Nodes in the newest shape.

use kiln_domain::batch::needs::AFFINITY_PREFIX;
use kiln_domain::batch::node::{Node, NodeState, StartTaskRun};
use serde_json::{Value, json};

use super::resource::{Tree, json_of};

/// First port of a node's outside address, as remote logins are shown.
const FRONTEND_PORT: u32 = 50_000;

/// The URL of a node.
pub fn url(base_url: &str, pool_id: &str, node_id: &str) -> String {
    format!("{base_url}/pools/{pool_id}/nodes/{node_id}")
}

/// The name by which tasks ask to run on a node.
pub fn affinity_id(node_id: &str) -> String {
    format!("{AFFINITY_PREFIX}{node_id}")
}

/// A node as `GET` shows it; `pool_document` is its pool's specification.
pub fn tree(
    node: &Node,
    pool_id: &str,
    pool_document: &str,
    ip_address: &str,
    base_url: &str,
) -> Value {
    let life = &node.life;
    let pool: Value = serde_json::from_str(pool_document).unwrap_or_default();
    let mut tree = Tree::empty();
    tree.set("id", node.id.as_str());
    tree.set("url", url(base_url, pool_id, &node.id));
    tree.set("state", json_of(&life.state));
    tree.set("schedulingState", if life.takes_tasks { "enabled" } else { "disabled" });
    tree.set_time("stateTransitionTime", life.state_at);
    tree.set_time_some("lastBootTime", life.booted_at);
    tree.set_time("allocationTime", life.allocated_at);
    tree.set("ipAddress", ip_address);
    tree.set("affinityId", affinity_id(&node.id));
    tree.set_some("vmSize", pool.get("vmSize").cloned());
    tree.set("totalTasksRun", life.tasks_run);
    tree.set("runningTasksCount", life.tasks_running);
    tree.set("runningTaskSlotsCount", life.slots_running);
    tree.set("totalTasksSucceeded", life.tasks_succeeded);
    let start_task = node.start_task.as_deref().map(serde_json::from_str::<Value>);
    tree.set_some("startTask", start_task.and_then(Result::ok));
    tree.set_some("startTaskInfo", life.start_task_run.as_ref().map(start_task_info));
    tree.set_list("errors", life.errors.iter().map(node_error).collect());
    tree.set("isDedicated", life.is_dedicated);
    let port = FRONTEND_PORT.saturating_add(life.number).saturating_sub(1);
    tree.set(
        "endpointConfiguration",
        json!({ "inboundEndpoints": [{
            "name": format!("SSHRule.{}", life.number.saturating_sub(1)),
            "protocol": "tcp",
            "publicIPAddress": "127.0.0.1",
            "publicFQDN": "localhost",
            "frontendPort": port,
            "backendPort": 22,
        }]}),
    );
    if let (Some(version), true) = (&life.agent_version, life.state != NodeState::Creating) {
        let at = life.booted_at.unwrap_or(life.state_at).to_iso();
        tree.set("nodeAgentInfo", json!({ "version": version, "lastUpdateTime": at }));
    }
    if let Some(image) = pool.pointer("/virtualMachineConfiguration/imageReference") {
        tree.set("virtualMachineInfo", json!({ "imageReference": image }));
    }
    tree.into_value()
}

fn start_task_info(run: &StartTaskRun) -> Value {
    let mut tree = Tree::empty();
    tree.set("state", if run.is_running { "running" } else { "completed" });
    tree.set_time("startTime", run.started_at);
    tree.set_time_some("endTime", run.ended_at);
    tree.set_some("exitCode", run.exit_code);
    if !run.is_running {
        tree.set("result", if run.failure.is_none() { "success" } else { "failure" });
    }
    tree.set_some("failureInfo", run.failure.as_ref().map(json_of));
    tree.set("retryCount", run.retry_count);
    tree.set_time_some("lastRetryTime", run.last_retry_at);
    tree.into_value()
}

fn node_error(error: &kiln_domain::batch::node::NodeError) -> Value {
    json!({ "code": error.code, "message": error.message, "errorDetails": error.details })
}
