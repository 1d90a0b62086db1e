//! Which nodes a resize adds, and which it takes.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::node::{Node, NodeState};
use super::pool::{PoolLife, ResizeError, Targets};
use crate::limits;

/// What a pool may still grow by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Cores of dedicated nodes that the account may still have.
    pub dedicated_cores: u64,
    /// Cores of Spot nodes that the account may still have.
    pub low_priority_cores: u64,
    /// Cores of one node of the pool.
    pub cores_per_node: u32,
    /// Whether the nodes of the pool talk to each other, which limits their number.
    pub is_connected: bool,
}

/// What a resize does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Nodes to add.
    pub add: Targets,
    /// Ids of the nodes that are to leave.
    pub remove: Vec<String>,
    /// Why it adds less than it should.
    pub errors: Vec<ResizeError>,
}

/// What a resize does now with the nodes that there are; on `managers` a job manager runs.
pub fn size(life: &PoolLife, nodes: &[Node], managers: &BTreeSet<String>, room: Room) -> Sizing {
    let staying: Vec<&Node> =
        nodes.iter().filter(|node| node.life.state != NodeState::LeavingPool).collect();
    let mut sizing = Sizing {
        add: Targets { dedicated: 0, low_priority: 0 },
        remove: Vec::new(),
        errors: Vec::new(),
    };
    // Connected pools have a limit for both kinds together; dedicated nodes come first.
    let mut places = if room.is_connected { limits::CONNECTED_NODES_MAX } else { u32::MAX };
    for is_dedicated in [true, false] {
        let mut own: Vec<&Node> =
            staying.iter().copied().filter(|node| node.life.is_dedicated == is_dedicated).collect();
        let present = u32::try_from(own.len()).unwrap_or(u32::MAX);
        let wanted = life.wanted(is_dedicated);
        let fitting = wanted.min(places);
        if fitting < wanted {
            push_once(&mut sizing.errors, too_many_connected());
        }
        if present < fitting {
            let (cores, error) = if is_dedicated {
                (room.dedicated_cores, core_quota as fn() -> ResizeError)
            } else {
                (room.low_priority_cores, low_priority_core_quota as fn() -> ResizeError)
            };
            let affordable = cores / u64::from(room.cores_per_node.max(1));
            let missing = fitting - present;
            let added = missing.min(u32::try_from(affordable).unwrap_or(u32::MAX));
            if added < missing {
                push_once(&mut sizing.errors, error());
            }
            let add = &mut sizing.add;
            *(if is_dedicated { &mut add.dedicated } else { &mut add.low_priority }) = added;
        }
        own.sort_by_key(|node| loss(node, managers));
        let surplus = usize::try_from(present.saturating_sub(wanted)).unwrap_or(usize::MAX);
        sizing.remove.extend(own.iter().take(surplus).map(|node| node.id.clone()));
        places = places.saturating_sub(present.max(fitting));
    }
    sizing
}

/// How much is lost with a node: those with least to lose go first, of these the newest.
fn loss(node: &Node, managers: &BTreeSet<String>) -> (bool, u8, u32, Reverse<u32>) {
    let worth = match node.life.state {
        NodeState::Preempted
        | NodeState::Deallocated
        | NodeState::Deallocating
        | NodeState::Unusable
        | NodeState::Unknown
        | NodeState::StartTaskFailed
        | NodeState::LeavingPool => 0,
        NodeState::Creating
        | NodeState::Starting
        | NodeState::WaitingForStartTask
        | NodeState::Rebooting
        | NodeState::Reimaging
        | NodeState::UpgradingOs => 1,
        NodeState::Offline => 2,
        NodeState::Idle => 3,
        NodeState::Running => 4,
    };
    let life = &node.life;
    (managers.contains(&node.id), worth, life.tasks_running, Reverse(life.number))
}

fn push_once(errors: &mut Vec<ResizeError>, error: ResizeError) {
    if !errors.contains(&error) {
        errors.push(error);
    }
}

fn core_quota() -> ResizeError {
    ResizeError::new("AccountCoreQuotaReached", "The account has all the cores that it may have")
}

fn low_priority_core_quota() -> ResizeError {
    let message = "The account has all the cores of Spot nodes that it may have";
    ResizeError::new("AccountLowPriorityCoreQuotaReached", message)
}

fn too_many_connected() -> ResizeError {
    let message = format!(
        "A pool whose nodes communicate with each other has at most {} nodes",
        limits::CONNECTED_NODES_MAX
    );
    ResizeError::new("CommunicationEnabledPoolReachedMaxVMCount", message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Room, size};
    use crate::batch::node::{Node, NodeLife, NodeState};
    use crate::batch::pool::{PoolLife, PoolSpec, Targets};
    use crate::time::Timestamp;

    const ROOM: Room = Room {
        dedicated_cores: 1000,
        low_priority_cores: 1000,
        cores_per_node: 2,
        is_connected: false,
    };

    fn node(number: u32, kind: char, state: NodeState, tasks_running: u32) -> Node {
        let life = NodeLife::new(number, kind == 'd', 4, Timestamp(0));
        let life = NodeLife { state, tasks_running, ..life };
        let (id, secret) = (format!("{kind}{number}"), String::new());
        Node { id, pool_key: 1, secret, start_task: None, life }
    }

    /// Tells what a pool with these targets adds, removes and complains of.
    #[track_caller]
    fn check(targets: (u32, u32), nodes: &[Node], room: Room, expected: &str) {
        let spec: PoolSpec = serde_json::from_str(r#"{"id":"p"}"#).expect("a specification");
        let mut life = PoolLife::new(&spec, Timestamp(0));
        life.targets = Targets { dedicated: targets.0, low_priority: targets.1 };
        let managers = BTreeSet::from(["d9".to_owned()]);
        let sizing = size(&life, nodes, &managers, room);
        let codes: Vec<_> = sizing.errors.iter().map(|it| it.code.as_str()).collect();
        let said = format!(
            "+{}+{} -{} {}",
            sizing.add.dedicated,
            sizing.add.low_priority,
            sizing.remove.join(","),
            codes.join(",")
        );
        assert_eq!(said.trim_end(), expected);
    }

    #[test]
    fn what_is_missing_is_added() {
        use NodeState as S;
        check((2, 1), &[], ROOM, "+2+1 -");
        check((2, 1), &[node(1, 'd', S::Idle, 0)], ROOM, "+1+1 -");
        // One that leaves has gone already; one that was preempted has not.
        let nodes = [node(1, 'd', S::LeavingPool, 1), node(2, 'p', S::Preempted, 0)];
        check((1, 1), &nodes, ROOM, "+1+0 -");
    }

    #[test]
    fn nodes_with_least_to_lose_go_first() {
        use NodeState as S;
        let nodes = [
            node(1, 'd', S::Running, 2),
            node(2, 'd', S::Idle, 0),
            node(3, 'd', S::Idle, 0),
            node(4, 'd', S::Running, 1),
            node(5, 'd', S::Unusable, 0),
            node(6, 'd', S::Starting, 0),
            node(9, 'd', S::Running, 1),
            node(1, 'p', S::Idle, 0),
        ];
        check((7, 1), &nodes, ROOM, "+0+0 -");
        check((1, 1), &nodes, ROOM, "+0+0 -d5,d6,d3,d2,d4,d1");
        check((0, 0), &nodes, ROOM, "+0+0 -d5,d6,d3,d2,d4,d1,d9,p1");
    }

    #[test]
    fn quotas_of_cores_end_the_growth() {
        let room = Room { dedicated_cores: 5, low_priority_cores: 0, ..ROOM };
        check(
            (3, 1),
            &[],
            room,
            "+2+0 - AccountCoreQuotaReached,AccountLowPriorityCoreQuotaReached",
        );
        check((2, 0), &[], room, "+2+0 -");
    }

    #[test]
    fn nodes_that_communicate_are_a_hundred_at_most() {
        let room = Room { is_connected: true, ..ROOM };
        check((100, 0), &[], room, "+100+0 -");
        check((99, 9), &[], room, "+99+1 - CommunicationEnabledPoolReachedMaxVMCount");
        check((101, 1), &[], room, "+100+0 - CommunicationEnabledPoolReachedMaxVMCount");
        check((101, 1), &[], ROOM, "+101+1 -");
    }
}
