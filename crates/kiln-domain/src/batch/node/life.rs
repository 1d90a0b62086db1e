//! A node and what has become of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::absent::is_none;
use crate::batch::certificate::CertificateReference;
use crate::batch::container::ContainerInfo;
use crate::batch::task::{FailureInfo, NameValue, Task};
use crate::time::Timestamp;

/// Tasks that a node remembers having run.
pub const RECENT_TASKS_MAX: usize = 10;

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
    /// It has nothing to do, and takes no tasks because a client said so.
    Offline,
    /// It is being made anew with its files.
    Rebooting,
    /// It is being made anew without them.
    Reimaging,
    /// Its system is being upgraded. The systems of Kiln's nodes are their machines': no fact
    /// leads here.
    UpgradingOs,
    /// It is being removed.
    LeavingPool,
    /// Its machine was taken away, and may come back.
    Preempted,
    /// It can not run tasks; its errors say why.
    Unusable,
    /// Its agent is not heard of.
    Unknown,
    /// Its machine is being given back.
    Deallocating,
    /// It is listed, and has no machine.
    Deallocated,
}

impl NodeState {
    /// All states.
    pub const ALL: [Self; 16] = [
        Self::Creating,
        Self::Starting,
        Self::WaitingForStartTask,
        Self::StartTaskFailed,
        Self::Idle,
        Self::Running,
        Self::Offline,
        Self::Rebooting,
        Self::Reimaging,
        Self::UpgradingOs,
        Self::LeavingPool,
        Self::Preempted,
        Self::Unusable,
        Self::Unknown,
        Self::Deallocating,
        Self::Deallocated,
    ];

    /// Its name on the wire, `leavingpool`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Starting => "starting",
            Self::WaitingForStartTask => "waitingforstarttask",
            Self::StartTaskFailed => "starttaskfailed",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Offline => "offline",
            Self::Rebooting => "rebooting",
            Self::Reimaging => "reimaging",
            Self::UpgradingOs => "upgradingos",
            Self::LeavingPool => "leavingpool",
            Self::Preempted => "preempted",
            Self::Unusable => "unusable",
            Self::Unknown => "unknown",
            Self::Deallocating => "deallocating",
            Self::Deallocated => "deallocated",
        }
    }
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
    /// The start task of its latest boot, as its pool had it then: JSON in the shape of the
    /// newest api-version.
    pub start_task: Option<String>,
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
    /// What the operation that its state tells of waits for; `None` when it began, or when
    /// there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Whether tasks may be placed on it.
    pub takes_tasks: bool,
    /// Its number within the pool, from 1.
    pub number: u32,
    /// Whether it is dedicated, and not a Spot node.
    pub is_dedicated: bool,
    /// When it was obtained.
    pub allocated_at: Timestamp,
    /// When it last booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<Timestamp>,
    /// Counts its boots.
    pub boot: u32,
    /// The agent process that was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Version of that agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Agents that ended as soon as they were started, since one booted.
    #[serde(default, skip_serializing_if = "is_none")]
    pub quick_ends: u32,
    /// Slots it offers.
    pub slots: u32,
    /// Whether the start task of its latest boot must succeed before it takes tasks.
    pub waits_for_start_task: bool,
    /// How the start task stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_task_run: Option<StartTaskRun>,
    /// Tasks that run on it.
    pub tasks_running: u32,
    /// Slots of these.
    pub slots_running: u32,
    /// Tasks that completed on it.
    pub tasks_run: u32,
    /// Those of them with exit code 0.
    pub tasks_succeeded: u32,
    /// The tasks that last came or left, the latest at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_tasks: Vec<RecentTask>,
    /// The certificates of its latest boot, as its pool referred to them then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateReference>,
    /// Why it is unusable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<NodeError>,
}

/// What an operation waits for before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pending {
    /// The end of the tasks that run on the node.
    Tasks,
    /// That end, and that of the time for which their directories are kept.
    RetainedData,
    /// Nothing more: it is to begin.
    Turn,
}

/// A task that a node ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentTask {
    /// The store's key of its job.
    pub job_key: i64,
    /// Its id, shared: what has become of a node is copied with every task that comes or leaves.
    #[serde(with = "shared_text")]
    pub task_id: Arc<str>,
}

/// A shared text is kept as any other.
mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

impl RecentTask {
    /// The name of `task`.
    pub fn of(task: &Task) -> Self {
        Self { job_key: task.job_key, task_id: task.id.as_str().into() }
    }
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
    /// The container of the latest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerInfo>,
}

impl StartTaskRun {
    /// A run that begins now, after as many others.
    pub fn begun(retry_count: u32, now: Timestamp) -> Self {
        Self {
            is_running: true,
            started_at: now,
            ended_at: None,
            exit_code: None,
            failure: None,
            retry_count,
            last_retry_at: (retry_count > 0).then_some(now),
            is_final: false,
            container: None,
        }
    }
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

impl NodeError {
    /// An error with nothing more about it.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), details: Vec::new() }
    }
}

impl NodeLife {
    /// The life of a node that was just asked for.
    pub fn new(number: u32, is_dedicated: bool, slots: u32, now: Timestamp) -> Self {
        Self {
            state: NodeState::Creating,
            state_at: now,
            pending: None,
            takes_tasks: true,
            number,
            is_dedicated,
            allocated_at: now,
            booted_at: None,
            boot: 0,
            incarnation: None,
            agent_version: None,
            quick_ends: 0,
            slots,
            waits_for_start_task: false,
            start_task_run: None,
            tasks_running: 0,
            slots_running: 0,
            tasks_run: 0,
            tasks_succeeded: 0,
            recent_tasks: Vec::new(),
            certificates: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Whether it went on from `before` only as tasks that come and leave make it: in its state,
    /// and in what it counts and remembers of them.
    pub fn differs_by_tasks_only(&self, before: &Self) -> bool {
        let Self {
            state: _,
            state_at: _,
            pending,
            takes_tasks,
            number,
            is_dedicated,
            allocated_at,
            booted_at,
            boot,
            incarnation,
            agent_version,
            quick_ends,
            slots,
            waits_for_start_task,
            start_task_run,
            tasks_running: _,
            slots_running: _,
            tasks_run: _,
            tasks_succeeded: _,
            recent_tasks: _,
            certificates,
            errors,
        } = self;
        *pending == before.pending
            && *takes_tasks == before.takes_tasks
            && *number == before.number
            && *is_dedicated == before.is_dedicated
            && *allocated_at == before.allocated_at
            && *booted_at == before.booted_at
            && *boot == before.boot
            && *incarnation == before.incarnation
            && *agent_version == before.agent_version
            && *quick_ends == before.quick_ends
            && *slots == before.slots
            && *waits_for_start_task == before.waits_for_start_task
            && *start_task_run == before.start_task_run
            && *certificates == before.certificates
            && *errors == before.errors
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
            | NodeState::Offline
            | NodeState::Rebooting
            | NodeState::Reimaging
            | NodeState::UpgradingOs
            | NodeState::LeavingPool
            | NodeState::Preempted
            | NodeState::Unusable
            | NodeState::Unknown
            | NodeState::Deallocating
            | NodeState::Deallocated => 0,
        }
    }

    /// Whether it has a machine, whose cores count as used by its pool.
    pub fn has_machine(&self) -> bool {
        match self.state {
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
            | NodeState::LeavingPool
            | NodeState::Unusable
            | NodeState::Unknown
            | NodeState::Deallocating => true,
            NodeState::Preempted | NodeState::Deallocated => false,
        }
    }

    /// Whether an agent of it should live.
    pub fn wants_agent(&self) -> bool {
        match self.state {
            NodeState::Creating
            | NodeState::Starting
            | NodeState::WaitingForStartTask
            | NodeState::StartTaskFailed
            | NodeState::Idle
            | NodeState::Running
            | NodeState::Offline
            | NodeState::Rebooting
            | NodeState::UpgradingOs
            | NodeState::Unusable
            | NodeState::Unknown => true,
            NodeState::Reimaging | NodeState::LeavingPool | NodeState::Deallocating => {
                self.pending != Some(Pending::Turn)
            }
            NodeState::Preempted | NodeState::Deallocated => false,
        }
    }

    /// Idle, running or offline, by what is on it.
    pub(super) fn at_work(&self) -> NodeState {
        match (self.tasks_running, self.takes_tasks) {
            (0, true) => NodeState::Idle,
            (0, false) => NodeState::Offline,
            (_, _) => NodeState::Running,
        }
    }

    /// What an operation has to wait for that is to wait for `wanted`: a node without tasks
    /// and agent has nothing to wait for.
    pub(super) fn due(&self, wanted: Pending) -> Pending {
        let has_data = matches!(
            self.state,
            NodeState::Idle | NodeState::Running | NodeState::Offline | NodeState::LeavingPool
        );
        match wanted {
            Pending::Tasks if self.tasks_running > 0 => Pending::Tasks,
            Pending::RetainedData if has_data => Pending::RetainedData,
            Pending::Tasks | Pending::RetainedData | Pending::Turn => Pending::Turn,
        }
    }

    /// Where it stands once it has booted.
    pub(super) fn booted(&self) -> NodeState {
        if self.waits_for_start_task { NodeState::WaitingForStartTask } else { self.at_work() }
    }

    /// Where it stands once the start task that it waited for went on so.
    pub(super) fn after_start_task(&self, run: &StartTaskRun) -> NodeState {
        match (run.is_final, &run.failure) {
            (false, _) => self.state,
            (true, None) => self.at_work(),
            (true, Some(_)) => NodeState::StartTaskFailed,
        }
    }

    pub(super) fn begin_boot(&mut self, waits_for_start_task: bool) {
        self.boot = self.boot.saturating_add(1);
        self.waits_for_start_task = waits_for_start_task;
        self.start_task_run = None;
        self.errors.clear();
    }

    pub(super) fn take_other_machine(&mut self) {
        self.incarnation = None;
        self.agent_version = None;
        self.booted_at = None;
        self.start_task_run = None;
        self.errors.clear();
    }

    pub(super) fn remember(&mut self, task: &RecentTask) {
        self.recent_tasks.retain(|it| it != task);
        if self.recent_tasks.len() >= RECENT_TASKS_MAX {
            self.recent_tasks.remove(0);
        }
        self.recent_tasks.push(task.clone());
    }
}
