//! Nodes in the newest shape.

use kiln_domain::batch::node::{Node, NodeState, StartTaskRun};
use serde_json::{Value, json};

use super::resource::{Tree, json_of};

/// The outside address of all nodes: they are on this machine.
pub const PUBLIC_ADDRESS: &str = "127.0.0.1";
/// The name of that address.
const PUBLIC_NAME: &str = "localhost";
/// Port of the first node's outside address, as remote logins are shown.
const LOGIN_PORT: u32 = 50_000;
/// The version of every image that is asked for as `latest`: nodes have their machine's system.
const EXACT_VERSION: &str = "1.0.0";
/// The highest port.
const PORT_MAX: u32 = 65_535;

/// The URL of a node.
pub fn url(base_url: &str, pool_id: &str, node_id: &str) -> String {
    format!("{base_url}/pools/{pool_id}/nodes/{node_id}")
}

/// The name by which tasks ask to run on a node.
pub fn affinity_id(node_id: &str) -> String {
    format!("TVM:{node_id}")
}

/// The port that is set aside for logins to the node with this number.
pub fn login_port(number: u32) -> u32 {
    port(LOGIN_PORT, PORT_MAX, number)
}

/// The file with which a remote desktop opens a node of an old pool.
pub fn remote_desktop_file(number: u32) -> String {
    let index = number.saturating_sub(1);
    format!(
        "full address:s:{PUBLIC_ADDRESS}\r\n\
         LoadBalanceInfo:s:Cookie: mstshash=TVM#TVM_IN_{index}"
    )
}

/// Ports of a range go round: numbers of nodes rise for ever.
fn port(first: u32, last: u32, number: u32) -> u32 {
    let length = last.saturating_sub(first).saturating_add(1).max(1);
    first.saturating_add(number.saturating_sub(1) % length)
}

/// A node as `GET` shows it; `pool_document` is its pool's specification, `recent_tasks` what
/// it ran last.
pub fn tree(
    node: &Node,
    pool_id: &str,
    pool_document: &str,
    recent_tasks: Vec<Value>,
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
    tree.set("ipAddress", ip_address(life.number));
    tree.set("ipv6Address", ipv6_address(life.number));
    tree.set("affinityId", affinity_id(&node.id));
    tree.set_some("vmSize", pool.get("vmSize").cloned());
    tree.set("totalTasksRun", life.tasks_run);
    tree.set("runningTasksCount", life.tasks_running);
    tree.set("runningTaskSlotsCount", life.slots_running);
    tree.set("totalTasksSucceeded", life.tasks_succeeded);
    tree.set_list("recentTasks", recent_tasks);
    let start_task = node.start_task.as_deref().map(serde_json::from_str::<Value>);
    tree.set_some("startTask", start_task.and_then(Result::ok));
    tree.set_some("startTaskInfo", life.start_task_run.as_ref().map(start_task_info));
    if life.booted_at.is_some() {
        let certificates: Vec<_> = life.certificates.iter().map(json_of).collect();
        tree.set("certificateReferences", certificates);
    }
    tree.set_list("errors", life.errors.iter().map(node_error).collect());
    tree.set("isDedicated", life.is_dedicated);
    tree.set("endpointConfiguration", json!({ "inboundEndpoints": endpoints(&pool, life.number) }));
    if let (Some(version), true) = (&life.agent_version, life.state != NodeState::Creating) {
        let at = life.booted_at.unwrap_or(life.state_at).to_iso();
        tree.set("nodeAgentInfo", json!({ "version": version, "lastUpdateTime": at }));
    }
    if let Some(image) = pool.pointer("/virtualMachineConfiguration/imageReference") {
        tree.set("virtualMachineInfo", json!({ "imageReference": exact(image.clone()) }));
    }
    tree.into_value()
}

/// What a task that ran on a node is shown by there, with the number of its subtask if it is one
/// of several; `task` is the task as `GET` shows it.
pub fn recent_task(job_id: &str, subtask: Option<u32>, task: &Value) -> Value {
    let mut tree = Tree::empty();
    tree.set_some("taskUrl", task.get("url").cloned());
    tree.set("jobId", job_id);
    tree.set_some("taskId", task.get("id").cloned());
    tree.set_some("subtaskId", subtask);
    tree.set_some("taskState", task.get("state").cloned());
    tree.set_some("executionInfo", task.get("executionInfo").cloned());
    tree.into_value()
}

/// The address that a node is shown with: `10.0.0.4` for the first, as in the service.
pub fn ip_address(number: u32) -> String {
    let host = number.saturating_add(3);
    format!("10.{}.{}.{}", host >> 16 & 0xFF, host >> 8 & 0xFF, host & 0xFF)
}

fn ipv6_address(number: u32) -> String {
    format!("fd00::{:x}", number.saturating_add(3))
}

/// The ways into a node from outside: those that its pool asks for, then the one for logins.
fn endpoints(pool: &Value, number: u32) -> Vec<Value> {
    let index = number.saturating_sub(1);
    if pool.get("cloudServiceConfiguration").is_some() {
        return vec![endpoint(
            "Microsoft.WindowsAzure.Plugins.RemoteForwarder.RdpInput",
            "tcp",
            3389,
            20_000,
        )];
    }
    let asked = pool.pointer("/networkConfiguration/endpointConfiguration/inboundNATPools");
    let asked = asked.and_then(Value::as_array).into_iter().flatten();
    let mut endpoints: Vec<Value> = asked
        .map(|asked| {
            let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
            let port_of = |name: &str| {
                asked
                    .get(name)
                    .and_then(Value::as_u64)
                    .and_then(|it| u32::try_from(it).ok())
                    .unwrap_or(0)
            };
            let (first, last) =
                (port_of("frontendPortRangeStart"), port_of("frontendPortRangeEnd"));
            let name = format!("{}.{index}", text("name"));
            endpoint(&name, text("protocol"), port(first, last, number), port_of("backendPort"))
        })
        .collect();
    endpoints.push(endpoint(&format!("SSHRule.{index}"), "tcp", login_port(number), 22));
    endpoints
}

fn endpoint(name: &str, protocol: &str, frontend_port: u32, backend_port: u32) -> Value {
    json!({
        "name": name,
        "protocol": protocol,
        "publicIPAddress": PUBLIC_ADDRESS,
        "publicFQDN": PUBLIC_NAME,
        "frontendPort": frontend_port,
        "backendPort": backend_port,
    })
}

/// An image with the version that runs.
fn exact(mut image: Value) -> Value {
    let version =
        image.get("version").and_then(Value::as_str).filter(|version| *version != "latest");
    let version = version.unwrap_or(EXACT_VERSION).to_owned();
    if let Some(image) = image.as_object_mut().filter(|image| image.contains_key("publisher")) {
        image.insert("exactVersion".to_owned(), Value::String(version));
    }
    image
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
    tree.set_some("containerInfo", run.container.as_ref().map(json_of));
    tree.set("retryCount", run.retry_count);
    tree.set_time_some("lastRetryTime", run.last_retry_at);
    tree.into_value()
}

fn node_error(error: &kiln_domain::batch::node::NodeError) -> Value {
    json!({ "code": error.code, "message": error.message, "errorDetails": error.details })
}
