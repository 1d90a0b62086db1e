//! What clients may ask of a node, and when.

use serde::{Deserialize, Serialize};

use super::{Node, NodeState, Pending};
use crate::rejection::Rejection;

/// What a client may ask of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeOperation {
    /// To make it anew with its files.
    Reboot,
    /// To make it anew without them.
    Reimage,
    /// To give its machine back.
    Deallocate,
    /// To give it a machine again.
    Start,
    /// To keep tasks from it.
    DisableScheduling,
    /// To let it take tasks.
    EnableScheduling,
    /// To add, change or remove a user.
    ChangeUsers,
    /// To hand out what its agent logged.
    UploadLogs,
    /// To lose its machine, as a Spot node does; what only Kiln offers.
    Preempt,
}

/// What becomes of the tasks of a node that is to stop running them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    /// They are stopped and wait again.
    #[default]
    Requeue,
    /// They are stopped for good.
    Terminate,
    /// They are waited for.
    TaskCompletion,
    /// They are waited for, and so is the end of the time for which their files are kept.
    RetainedData,
}

impl Treatment {
    /// All there are.
    pub const ALL: [Self; 4] =
        [Self::Requeue, Self::Terminate, Self::TaskCompletion, Self::RetainedData];

    /// Its name in bodies and autoscale formulas.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requeue => "requeue",
            Self::Terminate => "terminate",
            Self::TaskCompletion => "taskcompletion",
            Self::RetainedData => "retaineddata",
        }
    }

    /// What the operation then waits for.
    pub fn pending(self) -> Pending {
        match self {
            Self::Requeue | Self::Terminate => Pending::Turn,
            Self::TaskCompletion => Pending::Tasks,
            Self::RetainedData => Pending::RetainedData,
        }
    }
}

/// Whether a client may ask this of a node where it stands.
///
/// # Errors
/// When it may not.
pub fn admit(node: &Node, operation: NodeOperation) -> Result<(), Rejection> {
    use {NodeOperation as O, NodeState as S};
    let state = node.life.state;
    match (operation, state) {
        (
            O::Reboot | O::Reimage | O::Deallocate | O::ChangeUsers | O::UploadLogs,
            S::Idle | S::Running | S::Offline,
        )
        | (O::Reboot | O::Reimage | O::ChangeUsers | O::UploadLogs, S::StartTaskFailed)
        | (O::ChangeUsers | O::UploadLogs, S::WaitingForStartTask)
        | (O::UploadLogs, S::Starting | S::Rebooting | S::Unusable)
        | (O::Start, S::Deallocated) => Ok(()),
        (O::DisableScheduling | O::EnableScheduling, _) => admit_scheduling(node, operation),
        (O::Preempt, _) => admit_preemption(node),
        (
            O::Reboot | O::Reimage | O::Deallocate | O::Start | O::ChangeUsers | O::UploadLogs,
            S::Creating
            | S::Starting
            | S::WaitingForStartTask
            | S::StartTaskFailed
            | S::Idle
            | S::Running
            | S::Offline
            | S::Rebooting
            | S::Reimaging
            | S::UpgradingOs
            | S::LeavingPool
            | S::Preempted
            | S::Unusable
            | S::Unknown
            | S::Deallocating
            | S::Deallocated,
        ) => Err(refusal(node)),
    }
}

/// A node that is to lose its tasks or its place takes no orders about tasks.
fn admit_scheduling(node: &Node, operation: NodeOperation) -> Result<(), Rejection> {
    let wants_tasks = operation == NodeOperation::EnableScheduling;
    if node.life.state == NodeState::LeavingPool {
        return Err(refusal(node));
    }
    if node.life.takes_tasks == wants_tasks {
        let state = if wants_tasks { "enabled" } else { "disabled" }.to_owned();
        return Err(Rejection::NodeSchedulingUnchanged { node: node.id.clone(), state });
    }
    Ok(())
}

fn admit_preemption(node: &Node) -> Result<(), Rejection> {
    if node.life.is_dedicated {
        let reason = "Only Spot nodes are preempted".to_owned();
        return Err(Rejection::NodeOperationInvalid { node: node.id.clone(), reason });
    }
    match node.life.state {
        NodeState::LeavingPool | NodeState::Preempted | NodeState::Deallocated => {
            Err(refusal(node))
        }
        NodeState::Creating
        | NodeState::Starting
        | NodeState::WaitingForStartTask
        | NodeState::StartTaskFailed
        | NodeState::Idle
        | NodeState::Running
        | NodeState::Offline
        | NodeState::Rebooting
        | NodeState::Reimaging
        | NodeState::UpgradingOs
        | NodeState::Unusable
        | NodeState::Unknown
        | NodeState::Deallocating => Ok(()),
    }
}

/// What a client is told of a node that does not stand where its operation needs it.
fn refusal(node: &Node) -> Rejection {
    let id = || node.id.clone();
    match node.life.state {
        NodeState::Creating => Rejection::NodeBeingCreated { node: id() },
        NodeState::Starting | NodeState::WaitingForStartTask => {
            Rejection::NodeBeingStarted { node: id() }
        }
        NodeState::Rebooting => Rejection::NodeBeingRebooted { node: id() },
        NodeState::Reimaging => Rejection::NodeBeingReimaged { node: id() },
        NodeState::Unusable => Rejection::NodeUnusable { node: id() },
        NodeState::StartTaskFailed
        | NodeState::Idle
        | NodeState::Running
        | NodeState::Offline
        | NodeState::UpgradingOs
        | NodeState::LeavingPool
        | NodeState::Preempted
        | NodeState::Unknown
        | NodeState::Deallocating
        | NodeState::Deallocated => {
            let state = node.life.state.name().to_owned();
            Rejection::NodeNotReady { node: id(), state }
        }
    }
}
