//! Pools in the newest shape.

use std::collections::BTreeMap;

use kiln_domain::batch::node::NodeState;
use kiln_domain::batch::pool::Pool;
use serde_json::{Value, json};

use super::autoscale;
use super::resource::{Tree, json_of};

/// How many nodes a pool has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Dedicated nodes.
    pub dedicated: u32,
    /// Spot nodes.
    pub low_priority: u32,
}

/// The URL of a pool.
pub fn url(base_url: &str, pool_id: &str) -> String {
    format!("{base_url}/pools/{pool_id}")
}

/// A pool as `GET` shows it.
pub fn tree(pool: &Pool, nodes: NodeCounts, base_url: &str) -> Value {
    let life = &pool.life;
    let mut tree = Tree::of(&pool.document);
    tree.drop_empty("applicationPackageReferences");
    tree.set("url", url(base_url, &pool.id));
    tree.set_revision(life.created_at, life.modified_at);
    tree.set("state", json_of(&life.state));
    tree.set_time("stateTransitionTime", life.state_at);
    tree.set("allocationState", json_of(&life.allocation));
    tree.set_time("allocationStateTransitionTime", life.allocation_at);
    tree.set("resizeTimeout", life.resize_timeout.to_string());
    tree.set_list("resizeErrors", life.resize_errors.iter().map(json_of).collect());
    tree.set("currentDedicatedNodes", nodes.dedicated);
    tree.set("currentLowPriorityNodes", nodes.low_priority);
    tree.set("targetDedicatedNodes", life.targets.dedicated);
    tree.set("targetLowPriorityNodes", life.targets.low_priority);
    tree.set_some("autoScaleRun", life.scaling.run.as_ref().map(autoscale::tree));
    tree.into_value()
}

/// How many nodes of a pool are in which state, as `GET /nodecounts` shows it.
pub fn node_counts(
    pool_id: &str,
    dedicated: &BTreeMap<NodeState, u32>,
    low_priority: &BTreeMap<NodeState, u32>,
) -> Value {
    json!({
        "poolId": pool_id,
        "dedicated": counts_by_state(dedicated),
        "lowPriority": counts_by_state(low_priority),
    })
}

fn counts_by_state(counts: &BTreeMap<NodeState, u32>) -> Value {
    let mut tree = Tree::empty();
    for state in NodeState::ALL {
        tree.set(count_name(state), counts.get(&state).copied().unwrap_or(0));
    }
    tree.set("total", counts.values().sum::<u32>());
    tree.into_value()
}

/// The name of a state where nodes are counted.
fn count_name(state: NodeState) -> &'static str {
    match state {
        NodeState::WaitingForStartTask => "waitingForStartTask",
        NodeState::StartTaskFailed => "startTaskFailed",
        NodeState::UpgradingOs => "upgradingOS",
        NodeState::LeavingPool => "leavingPool",
        NodeState::Creating
        | NodeState::Starting
        | NodeState::Idle
        | NodeState::Running
        | NodeState::Offline
        | NodeState::Rebooting
        | NodeState::Reimaging
        | NodeState::Preempted
        | NodeState::Unusable
        | NodeState::Unknown
        | NodeState::Deallocating
        | NodeState::Deallocated => state.name(),
    }
}
