//! Node life: creating, starting, idle, running, leaving, and what keeps it from tasks.

use super::{NodeError, NodeLife, NodeState, Pending, RecentTask, StartTaskRun};
use crate::batch::task::{Task, TaskLife, TaskState};
use crate::time::Timestamp;

/// What can happen to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeFact {
    /// Its agent process was heard for the first time; it is told to boot.
    AgentArrived {
        /// Whether the start task must succeed first.
        waits_for_start_task: bool,
    },
    /// Its living agent is told to boot once more.
    BootOrdered {
        /// Whether the start task must succeed first.
        waits_for_start_task: bool,
    },
    /// What ran before a boot has ended, and the node is being made.
    BootBegan,
    /// Its view and directories stand.
    Booted,
    /// They can not be made, or it can run no more tasks.
    Failed(NodeError),
    /// The start task goes on as told.
    StartTask(StartTaskRun),
    /// A task was placed on it.
    TaskPlaced {
        /// Slots it takes.
        slots: u32,
        /// Which task.
        task: RecentTask,
    },
    /// A task left it, having completed with success or not, or unended.
    TaskLeft {
        /// Slots it took.
        slots: u32,
        /// Whether it succeeded; `None` when it did not complete.
        has_succeeded: Option<bool>,
        /// Which task.
        task: RecentTask,
    },
    /// The directories of all its tasks have been kept for long enough.
    RetentionOver,
    /// Its agent is gone: it must be started again.
    AgentLost,
    /// It is to leave its pool.
    Leave(Pending),
    /// It need not leave its pool after all.
    Stay,
    /// It is to be made anew with its files.
    Reboot(Pending),
    /// It is to be made anew without them.
    Reimage(Pending),
    /// Its machine is to be given back.
    Deallocate(Pending),
    /// It is to have a machine again.
    Start,
    /// It is to take no tasks.
    DisableScheduling,
    /// It is to take tasks.
    EnableScheduling,
    /// Its machine was taken away.
    Preempted,
    /// There is a machine for it again.
    CapacityReturned,
}

impl NodeFact {
    /// A task begins to run on the node.
    pub fn placed(task: &Task) -> Self {
        Self::TaskPlaced { slots: task.needs.slots, task: RecentTask::of(task) }
    }

    /// A task that runs on the node now has `life`.
    pub fn left(task: &Task, life: &TaskLife) -> Self {
        let is_over = life.state == TaskState::Completed;
        let has_succeeded = is_over.then(|| life.exit_code == Some(0));
        Self::TaskLeft { slots: task.needs.slots, has_succeeded, task: RecentTask::of(task) }
    }
}

/// What becomes of a node when `fact` happens; the only place that writes its state.
pub fn step(before: &NodeLife, fact: NodeFact, now: Timestamp) -> NodeLife {
    let mut life = before.clone();
    count(&mut life, &fact);
    let (state, pending) = next(&life, &fact);
    life.pending = pending;
    if state != before.state {
        life.state = state;
        life.state_at = now;
    }
    follow(&mut life, before, fact, now);
    life
}

/// Takes in what a fact says whatever the state.
fn count(life: &mut NodeLife, fact: &NodeFact) {
    match fact {
        NodeFact::TaskPlaced { slots, task } => {
            life.tasks_running = life.tasks_running.saturating_add(1);
            life.slots_running = life.slots_running.saturating_add(*slots);
            life.remember(task);
        }
        NodeFact::TaskLeft { slots, has_succeeded, task } => {
            life.tasks_running = life.tasks_running.saturating_sub(1);
            life.slots_running = life.slots_running.saturating_sub(*slots);
            life.remember(task);
            if let Some(has_succeeded) = has_succeeded {
                life.tasks_run = life.tasks_run.saturating_add(1);
                life.tasks_succeeded =
                    life.tasks_succeeded.saturating_add(u32::from(*has_succeeded));
            }
        }
        NodeFact::StartTask(run) => life.start_task_run = Some(run.clone()),
        NodeFact::DisableScheduling => life.takes_tasks = false,
        NodeFact::EnableScheduling => life.takes_tasks = true,
        NodeFact::AgentArrived { .. }
        | NodeFact::BootOrdered { .. }
        | NodeFact::BootBegan
        | NodeFact::Booted
        | NodeFact::Failed(_)
        | NodeFact::RetentionOver
        | NodeFact::AgentLost
        | NodeFact::Leave(_)
        | NodeFact::Stay
        | NodeFact::Reboot(_)
        | NodeFact::Reimage(_)
        | NodeFact::Deallocate(_)
        | NodeFact::Start
        | NodeFact::Preempted
        | NodeFact::CapacityReturned => {}
    }
}

/// States that every fact treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Booting,
    Gated,
    Barred,
    AtWork,
    Rebooting,
    Reimaging,
    Astray,
    Leaving,
    Preempted,
    Deallocating,
    Deallocated,
}

fn phase(state: NodeState) -> Phase {
    match state {
        NodeState::Creating | NodeState::Starting => Phase::Booting,
        NodeState::WaitingForStartTask => Phase::Gated,
        NodeState::StartTaskFailed => Phase::Barred,
        NodeState::Idle | NodeState::Running | NodeState::Offline => Phase::AtWork,
        NodeState::Rebooting => Phase::Rebooting,
        NodeState::Reimaging => Phase::Reimaging,
        NodeState::UpgradingOs | NodeState::Unusable | NodeState::Unknown => Phase::Astray,
        NodeState::LeavingPool => Phase::Leaving,
        NodeState::Preempted => Phase::Preempted,
        NodeState::Deallocating => Phase::Deallocating,
        NodeState::Deallocated => Phase::Deallocated,
    }
}

/// The table: where a node stands after `fact`, which is counted already, and what its
/// operation waits for then. Whatever happens to a node that leaves, it leaves; one without a
/// machine hears only of those who give it one, or take it away for good.
#[expect(clippy::too_many_lines, reason = "one place for every pair of state and fact")]
fn next(life: &NodeLife, fact: &NodeFact) -> (NodeState, Option<Pending>) {
    use Phase::{
        Astray, AtWork, Barred, Booting, Deallocated, Deallocating, Gated, Leaving, Preempted,
        Rebooting, Reimaging,
    };
    use {NodeFact as F, NodeState as S, Pending as W};
    let same = (life.state, life.pending);
    let to = |state| (state, None);
    let begin = |state, wanted| (state, Some(life.due(wanted)));
    let has_begun = life.pending.is_none();
    let phase = phase(life.state);
    match fact {
        F::AgentArrived { .. } => match phase {
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray => to(S::Starting),
            Leaving | Preempted | Deallocating | Deallocated => same,
        },
        F::BootOrdered { .. } => match phase {
            Rebooting => to(S::Rebooting),
            Booting | Gated | Barred | AtWork | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::BootBegan => match phase {
            Rebooting if has_begun => to(S::Starting),
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving
            | Preempted | Deallocating | Deallocated => same,
        },
        F::Booted => match phase {
            Rebooting if has_begun => to(life.booted()),
            Booting => to(life.booted()),
            Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::Failed(_) => match phase {
            Booting | Gated | Barred | AtWork | Rebooting | Astray => to(S::Unusable),
            Reimaging | Leaving | Preempted | Deallocating | Deallocated => same,
        },
        F::StartTask(run) => match phase {
            Gated => to(life.after_start_task(run)),
            Booting | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::TaskPlaced { .. } | F::DisableScheduling | F::EnableScheduling => match phase {
            AtWork => to(life.at_work()),
            Booting | Gated | Barred | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::TaskLeft { .. } => match phase {
            AtWork => to(life.at_work()),
            Rebooting | Reimaging | Leaving | Deallocating if life.pending == Some(W::Tasks) => {
                begin(life.state, W::Tasks)
            }
            Booting | Gated | Barred | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::RetentionOver => match phase {
            Rebooting | Reimaging | Leaving | Deallocating
                if life.pending == Some(W::RetainedData) =>
            {
                begin(life.state, W::Tasks)
            }
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving
            | Preempted | Deallocating | Deallocated => same,
        },
        F::AgentLost => match phase {
            Booting | Gated | Barred | AtWork | Astray => to(S::Unknown),
            // The next one makes the node anew in any case.
            Rebooting | Reimaging => to(S::Starting),
            Deallocating => to(S::Deallocated),
            Leaving | Preempted | Deallocated => same,
        },
        F::Leave(wanted) => match phase {
            Leaving if life.pending == Some(W::Turn) => same,
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving
            | Preempted | Deallocating | Deallocated => begin(S::LeavingPool, *wanted),
        },
        F::Stay => match phase {
            Leaving if life.pending != Some(W::Turn) => to(life.at_work()),
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving
            | Preempted | Deallocating | Deallocated => same,
        },
        F::Reboot(wanted) => match phase {
            Barred | AtWork => begin(S::Rebooting, *wanted),
            Booting | Gated | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::Reimage(wanted) => match phase {
            Barred | AtWork => begin(S::Reimaging, *wanted),
            Booting | Gated | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::Deallocate(wanted) => match phase {
            AtWork => begin(S::Deallocating, *wanted),
            Booting | Gated | Barred | Rebooting | Reimaging | Astray | Leaving | Preempted
            | Deallocating | Deallocated => same,
        },
        F::Start => match phase {
            Deallocated => to(S::Starting),
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving
            | Preempted | Deallocating => same,
        },
        F::Preempted => match phase {
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Deallocating => {
                to(S::Preempted)
            }
            Leaving | Preempted | Deallocated => same,
        },
        F::CapacityReturned => match phase {
            Preempted => to(S::Creating),
            Booting | Gated | Barred | AtWork | Rebooting | Reimaging | Astray | Leaving
            | Deallocating | Deallocated => same,
        },
    }
}

/// Takes in what a fact says of a node that it moved, or found where it belongs.
fn follow(life: &mut NodeLife, before: &NodeLife, fact: NodeFact, now: Timestamp) {
    let has_moved = life.state != before.state;
    match fact {
        NodeFact::AgentArrived { waits_for_start_task } => {
            if life.state == NodeState::Starting {
                life.begin_boot(waits_for_start_task);
            }
        }
        NodeFact::BootOrdered { waits_for_start_task } => {
            if life.state == NodeState::Rebooting {
                life.begin_boot(waits_for_start_task);
            }
        }
        NodeFact::Booted => {
            if has_moved {
                life.booted_at = Some(now);
            }
        }
        NodeFact::Failed(error) => {
            if life.state == NodeState::Unusable {
                life.errors = vec![error];
            }
        }
        NodeFact::Start | NodeFact::CapacityReturned => {
            if has_moved {
                life.take_other_machine();
            }
        }
        NodeFact::BootBegan
        | NodeFact::StartTask(_)
        | NodeFact::TaskPlaced { .. }
        | NodeFact::TaskLeft { .. }
        | NodeFact::RetentionOver
        | NodeFact::AgentLost
        | NodeFact::Leave(_)
        | NodeFact::Stay
        | NodeFact::Reboot(_)
        | NodeFact::Reimage(_)
        | NodeFact::Deallocate(_)
        | NodeFact::DisableScheduling
        | NodeFact::EnableScheduling
        | NodeFact::Preempted => {}
    }
}
