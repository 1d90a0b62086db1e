//! Node life: creating, starting, idle, running, leaving, and what keeps it from tasks.

use serde::{Deserialize, Serialize};

use super::command::StartTaskSpec;
use super::task::{FailureInfo, NameValue};
use crate::time::Timestamp;

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Its agent is being started.
    Creating,
    /// Its agent makes its view and directories.
    Starting,
    /// Its start task runs, and must succeed first.
    WaitingForStartTask,
    /// Its start task failed for good.
    StartTaskFailed,
    /// It has nothing to do.
    Idle,
    /// It runs tasks.
    Running,
    /// It is being removed.
    LeavingPool,
    /// It can not run tasks; its errors say why.
    Unusable,
    /// Its agent is not heard of.
    Unknown,
}

/// A node of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id, unique in this Kiln.
    pub id: String,
    /// The store's key of its pool.
    pub pool_key: i64,
    /// What its agent proves itself with.
    pub secret: String,
    /// What has become of it.
    pub life: NodeLife,
}

/// What has become of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLife {
    /// Where it stands; written by [`step`] alone.
    pub state: NodeState,
    /// Since when.
    pub state_at: Timestamp,
    /// Whether tasks may be placed on it.
    pub takes_tasks: bool,
    /// Its number within the pool, from 1.
    pub number: u32,
    /// Whether it is dedicated, and not a Spot node.
    pub is_dedicated: bool,
    /// When it was obtained.
    pub allocated_at: Timestamp,
    /// When it last booted.
    pub booted_at: Option<Timestamp>,
    /// Counts its boots.
    pub boot: u32,
    /// The agent process that was last heard.
    pub incarnation: Option<String>,
    /// Version of that agent.
    pub agent_version: Option<String>,
    /// Slots it offers.
    pub slots: u32,
    /// The start task that it runs at its boot.
    pub start_task: Option<StartTaskSpec>,
    /// How the start task stands.
    pub start_task_run: Option<StartTaskRun>,
    /// Tasks that run on it.
    pub tasks_running: u32,
    /// Slots of these.
    pub slots_running: u32,
    /// Tasks that completed on it.
    pub tasks_run: u32,
    /// Those of them with exit code 0.
    pub tasks_succeeded: u32,
    /// Why it is unusable.
    pub errors: Vec<NodeError>,
}

/// How the start task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTaskRun {
    /// Whether a run is under way.
    pub is_running: bool,
    /// When the latest run began.
    pub started_at: Timestamp,
    /// When the latest run ended.
    pub ended_at: Option<Timestamp>,
    /// Exit code of the latest run, if its process ran.
    pub exit_code: Option<i32>,
    /// Why the latest run failed.
    pub failure: Option<FailureInfo>,
    /// Runs after the first.
    pub retry_count: u32,
    /// When the latest retry began.
    pub last_retry_at: Option<Timestamp>,
    /// Whether no further run follows.
    pub is_final: bool,
}

/// Why a node is unusable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeError {
    /// A name for it.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<NameValue>,
}

/// What can happen to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeFact {
    /// Its agent process was heard for the first time.
    AgentArrived,
    /// Its view and directories stand.
    Booted,
    /// They can not be made.
    BootFailed(NodeError),
    /// The start task goes on as told.
    StartTask(StartTaskRun),
    /// A task with this many slots was placed on it.
    TaskPlaced(u32),
    /// A task with this many slots left it, having completed with success or not, or unended.
    TaskLeft {
        /// Slots it took.
        slots: u32,
        /// Whether it succeeded; `None` when it did not complete.
        has_succeeded: Option<bool>,
    },
    /// Its agent is gone: it must be started again.
    AgentLost,
    /// It is to leave its pool.
    Leave,
}

impl NodeLife {
    /// The life of a node that was just asked for.
    pub fn new(number: u32, is_dedicated: bool, slots: u32, now: Timestamp) -> Self {
        Self {
            state: NodeState::Creating,
            state_at: now,
            takes_tasks: true,
            number,
            is_dedicated,
            allocated_at: now,
            booted_at: None,
            boot: 0,
            incarnation: None,
            agent_version: None,
            slots,
            start_task: None,
            start_task_run: None,
            tasks_running: 0,
            slots_running: 0,
            tasks_run: 0,
            tasks_succeeded: 0,
            errors: Vec::new(),
        }
    }

    /// Slots of tasks that may be on it now, those in use included; 0 when it takes none.
    pub fn open_slots(&self) -> u32 {
        match self.state {
            NodeState::Idle | NodeState::Running if self.takes_tasks => self.slots,
            NodeState::Idle
            | NodeState::Running
            | NodeState::Creating
            | NodeState::Starting
            | NodeState::WaitingForStartTask
            | NodeState::StartTaskFailed
            | NodeState::LeavingPool
            | NodeState::Unusable
            | NodeState::Unknown => 0,
        }
    }

    fn waits_for_start_task(&self) -> bool {
        self.start_task.as_ref().is_some_and(|task| task.wait_for_success)
    }

    /// Idle or running, by what is on it.
    fn at_work(&self) -> NodeState {
        if self.tasks_running > 0 { NodeState::Running } else { NodeState::Idle }
    }

    fn moved(mut self, state: NodeState, now: Timestamp) -> Self {
        if self.state != state {
            self.state = state;
            self.state_at = now;
        }
        self
    }
}

/// What becomes of a node when `fact` happens; the only place that writes its state.
pub fn step(life: &NodeLife, fact: NodeFact, now: Timestamp) -> NodeLife {
    use {NodeFact as F, NodeState as S};
    let mut life = life.clone();
    match (life.state, fact) {
        // Whatever happens to a node that leaves, it leaves.
        (S::LeavingPool, fact) => {
            count_task(&mut life, &fact);
            life
        }
        (_, F::Leave) => life.moved(S::LeavingPool, now),
        (_, F::AgentArrived) => {
            life.boot = life.boot.saturating_add(1);
            life.start_task_run = None;
            life.errors.clear();
            life.moved(S::Starting, now)
        }
        (_, F::AgentLost) => life.moved(S::Unknown, now),
        (_, F::BootFailed(error)) => {
            life.errors = vec![error];
            life.moved(S::Unusable, now)
        }
        (S::Starting, F::Booted) => {
            life.booted_at = Some(now);
            let next =
                if life.waits_for_start_task() { S::WaitingForStartTask } else { life.at_work() };
            life.moved(next, now)
        }
        (
            S::Creating
            | S::WaitingForStartTask
            | S::StartTaskFailed
            | S::Idle
            | S::Running
            | S::Unusable
            | S::Unknown,
            F::Booted,
        ) => life,
        (state, F::StartTask(run)) => {
            let next = after_start_task(&life, state, &run);
            life.start_task_run = Some(run);
            life.moved(next, now)
        }
        (S::Idle | S::Running, fact @ (F::TaskPlaced(_) | F::TaskLeft { .. })) => {
            count_task(&mut life, &fact);
            let next = life.at_work();
            life.moved(next, now)
        }
        (
            S::Creating
            | S::Starting
            | S::WaitingForStartTask
            | S::StartTaskFailed
            | S::Unusable
            | S::Unknown,
            fact @ (F::TaskPlaced(_) | F::TaskLeft { .. }),
        ) => {
            count_task(&mut life, &fact);
            life
        }
    }
}

/// Where a node stands once its start task went on so: only one that waits for it moves.
fn after_start_task(life: &NodeLife, state: NodeState, run: &StartTaskRun) -> NodeState {
    match (state, run.is_final, &run.failure) {
        (NodeState::WaitingForStartTask, true, None) => life.at_work(),
        (NodeState::WaitingForStartTask, true, Some(_)) => NodeState::StartTaskFailed,
        (state, _, _) => state,
    }
}

fn count_task(life: &mut NodeLife, fact: &NodeFact) {
    match fact {
        NodeFact::TaskPlaced(slots) => {
            life.tasks_running = life.tasks_running.saturating_add(1);
            life.slots_running = life.slots_running.saturating_add(*slots);
        }
        NodeFact::TaskLeft { slots, has_succeeded } => {
            life.tasks_running = life.tasks_running.saturating_sub(1);
            life.slots_running = life.slots_running.saturating_sub(*slots);
            if let Some(has_succeeded) = has_succeeded {
                life.tasks_run = life.tasks_run.saturating_add(1);
                life.tasks_succeeded =
                    life.tasks_succeeded.saturating_add(u32::from(*has_succeeded));
            }
        }
        NodeFact::AgentArrived
        | NodeFact::Booted
        | NodeFact::BootFailed(_)
        | NodeFact::StartTask(_)
        | NodeFact::AgentLost
        | NodeFact::Leave => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeFact, NodeLife, StartTaskRun, step};
    use crate::batch::command::StartTaskSpec;
    use crate::batch::task::FailureInfo;
    use crate::time::Timestamp;

    fn run(failure: Option<FailureInfo>) -> NodeFact {
        NodeFact::StartTask(StartTaskRun {
            is_running: false,
            started_at: Timestamp(0),
            ended_at: Some(Timestamp(1)),
            exit_code: Some(i32::from(failure.is_some())),
            failure,
            retry_count: 0,
            last_retry_at: None,
            is_final: true,
        })
    }

    fn check(waits: Option<bool>, facts: &[NodeFact], expected: &str) {
        let mut life = NodeLife::new(1, true, 4, Timestamp(0));
        life.start_task = waits.map(|wait_for_success| StartTaskSpec {
            command_line: "true".to_owned(),
            resource_files: Vec::new(),
            environment_settings: Vec::new(),
            user_identity: None,
            max_task_retry_count: 0,
            wait_for_success,
        });
        let mut said = Vec::new();
        for (second, fact) in (1..).zip(facts) {
            life = step(&life, fact.clone(), Timestamp(second));
            said.push(format!("{:?}/{}", life.state, life.open_slots()));
        }
        assert_eq!(said.join(" "), expected);
    }

    #[test]
    fn lives_of_nodes() {
        use NodeFact as F;
        let left = || F::TaskLeft { slots: 1, has_succeeded: Some(true) };
        check(
            None,
            &[F::AgentArrived, F::Booted, F::TaskPlaced(1), left(), F::Leave, F::Booted],
            "Starting/0 Idle/4 Running/4 Idle/4 LeavingPool/0 LeavingPool/0",
        );
        check(
            Some(true),
            &[F::AgentArrived, F::Booted, run(None)],
            "Starting/0 WaitingForStartTask/0 Idle/4",
        );
        check(
            Some(true),
            &[F::AgentArrived, F::Booted, run(Some(FailureInfo::exit_code()))],
            "Starting/0 WaitingForStartTask/0 StartTaskFailed/0",
        );
        check(
            Some(false),
            &[F::AgentArrived, F::Booted, run(Some(FailureInfo::exit_code()))],
            "Starting/0 Idle/4 Idle/4",
        );
        check(
            None,
            &[F::AgentArrived, F::Booted, F::AgentLost, F::AgentArrived, F::Booted],
            "Starting/0 Idle/4 Unknown/0 Starting/0 Idle/4",
        );
    }
}
