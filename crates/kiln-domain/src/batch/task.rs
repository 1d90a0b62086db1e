//! Task life; retries and constraints.

use serde::{Deserialize, Serialize};

use super::absent::is_none;
use super::application::PackageReference;
use super::command::{
    AccessScope, AuthenticationTokenSettings, EnvironmentSetting, OutputFile, ResourceFile,
    UserIdentity, check_resource_files,
};
use super::container::{ContainerInfo, ContainerSettings, admit_settings};
use super::exit::FailedAt;
pub use super::failure::{FailureCategory, FailureInfo, NameValue};
use super::gang::{ChosenNode, Gang, InstanceFact, MultiInstanceSettings};
use super::needs::TaskNeeds;
use super::ties::Ties;
use super::usage::TaskUsage;
use super::user::check_identity;
use crate::id;
use crate::limits::{TASK_LIFETIME_DAYS, TASK_NODES_LOST_MAX, TASK_RETENTION_DAYS};
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::Timestamp;

/// What the rules and the nodes read of a task's specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// Name within the job.
    pub id: String,
    /// The program and its arguments; no shell reads it.
    pub command_line: String,
    /// Packages that the command finds on its node.
    #[serde(default)]
    pub application_package_references: Vec<PackageReference>,
    /// Files fetched before the command.
    #[serde(default)]
    pub resource_files: Vec<ResourceFile>,
    /// Files kept in a container after the command.
    #[serde(default)]
    pub output_files: Vec<OutputFile>,
    /// Variables of the command, on top of the job's.
    #[serde(default)]
    pub environment_settings: Vec<EnvironmentSetting>,
    /// Who runs the command; a non-admin pool user when absent.
    pub user_identity: Option<UserIdentity>,
    /// Limits on its runs.
    #[serde(default)]
    pub constraints: TaskConstraints,
    /// What of the Batch service its command may use; nothing when absent.
    pub authentication_token_settings: Option<AuthenticationTokenSettings>,
    /// How it is spread over nodes, if it is.
    pub multi_instance_settings: Option<MultiInstanceSettings>,
    /// The container that it runs in, if it does.
    pub container_settings: Option<ContainerSettings>,
}

impl TaskSpec {
    /// Whether its command gets a token with which it may use its own job.
    pub fn may_use_job(&self) -> bool {
        let settings = self.authentication_token_settings.as_ref();
        settings.is_some_and(|it| it.access.contains(&AccessScope::Job))
    }
}

/// Limits on the runs of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskConstraints {
    /// Time from the start of a run after which it is killed; no end when absent.
    pub max_wall_clock_time: Option<Span>,
    /// Time its directory is kept after it completed; 7 days when absent.
    pub retention_time: Option<Span>,
    /// Runs after a failed one; -1 has no end, the job's value when absent.
    pub max_task_retry_count: Option<i32>,
}

impl TaskConstraints {
    /// Time its directory is kept after it completed.
    pub fn retention(&self) -> Span {
        self.retention_time.unwrap_or(Span::days(TASK_RETENTION_DAYS))
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for a node.
    Active,
    /// Its node runs the job's preparation task first.
    Preparing,
    /// Its node fetches its files or runs its process.
    Running,
    /// Nothing of it runs any more.
    Completed,
}

/// How one attempt of a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Outcome {
    /// The process ended by itself; 128 + signal when a signal ended it.
    Exited {
        /// Its exit code.
        exit_code: i32,
    },
    /// The process ended by itself, but not all of its output files could be uploaded.
    UploadFailed {
        /// Its exit code.
        exit_code: i32,
        /// Why.
        failure: FailureInfo,
    },
    /// It ran longer than its `maxWallClockTime` and was killed.
    TimedOut,
    /// It took more of its node than it may and was killed.
    Exceeded {
        /// What was too much.
        failure: FailureInfo,
    },
    /// The server asked for its end.
    Stopped,
    /// It could not be started: a file, the user, the program.
    NotStarted {
        /// Why.
        failure: FailureInfo,
    },
}

impl Outcome {
    /// The exit code, if the process ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited { exit_code } | Self::UploadFailed { exit_code, .. } => Some(*exit_code),
            Self::TimedOut | Self::Exceeded { .. } | Self::Stopped | Self::NotStarted { .. } => {
                None
            }
        }
    }

    /// Why the run failed, if it did.
    pub fn failure(&self) -> Option<FailureInfo> {
        match self {
            Self::Exited { exit_code: 0 } => None,
            Self::Exited { .. } => Some(FailureInfo::exit_code()),
            Self::TimedOut => Some(FailureInfo::timed_out()),
            Self::Stopped => Some(FailureInfo::ended_by_user()),
            Self::UploadFailed { failure, .. }
            | Self::Exceeded { failure }
            | Self::NotStarted { failure } => Some(failure.clone()),
        }
    }
}

/// A task of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The store's key of its job.
    pub job_key: i64,
    /// Name within the job, as the client spelled it.
    pub id: String,
    /// Order within the job: tasks start in this order.
    pub sequence: i64,
    /// What it needs of a pool to run.
    pub needs: TaskNeeds,
    /// What it has to do with others.
    pub ties: Ties,
    /// Tasks, and ranges of tasks, that it waits for.
    pub n_unmet: u32,
    /// Its specification: JSON in the shape of the newest api-version.
    pub document: String,
    /// What has become of it.
    pub life: TaskLife,
}

/// What has become of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLife {
    /// Where it stands; written by [`step`] alone.
    pub state: TaskState,
    /// Since when.
    pub state_at: Timestamp,
    /// Where it stood before, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<(TaskState, Timestamp)>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When a client last changed it: its entity tag.
    pub modified_at: Timestamp,
    /// Counts its runs; names the current one.
    pub attempt: u32,
    /// Where it runs or last ran; of several instances the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Its instances, if it has several and is on nodes or ended there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gang: Option<Gang>,
    /// When the latest run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Exit code of the latest run, if its process ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureInfo>,
    /// Where it failed, if not by its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<FailedAt>,
    /// Runs after a failed one.
    #[serde(default, skip_serializing_if = "is_none")]
    pub retry_count: u32,
    /// When the latest retry began to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_retry_at: Option<Timestamp>,
    /// Times it was taken from a node by a client's request.
    #[serde(default, skip_serializing_if = "is_none")]
    pub requeue_count: u32,
    /// When that happened last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_requeue_at: Option<Timestamp>,
    /// Retries it may take; -1 has no end.
    pub retries_max: i32,
    /// Nodes it was on that were lost.
    #[serde(default, skip_serializing_if = "is_none")]
    pub nodes_lost: u32,
    /// What its runs took, once one was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TaskUsage>,
    /// The container of the latest run that told of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerInfo>,
}

/// A node, as a task remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The pool's id.
    pub pool_id: String,
    /// The node's id.
    pub node_id: String,
}

/// What can happen to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskFact {
    /// A node was chosen for its next run.
    Assigned(Place),
    /// A node was chosen, which must first be prepared for its job.
    AssignedUnprepared(Place),
    /// Nodes were chosen for its instances, the primary first.
    AssignedToAll {
        /// The pool's id.
        pool_id: String,
        /// The nodes.
        nodes: Vec<ChosenNode>,
    },
    /// Something happened to one of its instances.
    Instance {
        /// The number of the instance.
        number: u32,
        /// What.
        fact: InstanceFact,
    },
    /// Its node is prepared.
    Prepared,
    /// Its node can not be prepared, or not now.
    NotPrepared,
    /// Its current run ended.
    Ended(Outcome),
    /// Its node was lost; no run is counted against it, but it is not placed for ever.
    NodeLost,
    /// Its node, or its room there, was wanted for something else; nothing is counted.
    Preempted,
    /// A client's request took its node away: it waits again.
    Requeued,
    /// A client, or the end of its job, ended it.
    Terminated,
    /// It did not complete within the time that tasks have.
    Expired,
    /// A client asks for it to run again.
    Reactivated,
    /// A client changed its constraints: it may take so many retries now; -1 has no end.
    Constrained(i32),
}

impl Task {
    /// Whether it may start as far as other tasks go.
    pub fn is_ready(&self) -> bool {
        self.n_unmet == 0
    }
}

impl TaskLife {
    /// The life of a task that was just added.
    pub fn new(retries_max: i32, now: Timestamp) -> Self {
        Self {
            state: TaskState::Active,
            state_at: now,
            previous: None,
            created_at: now,
            modified_at: now,
            attempt: 0,
            place: None,
            gang: None,
            started_at: None,
            ended_at: None,
            exit_code: None,
            failure: None,
            failed_at: None,
            retry_count: 0,
            last_retry_at: None,
            requeue_count: 0,
            last_requeue_at: None,
            retries_max,
            nodes_lost: 0,
            usage: None,
            container: None,
        }
    }

    /// When it is given up if it has not completed by then.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus(Span::days(TASK_LIFETIME_DAYS))
    }

    /// Whether it completed without failure.
    pub fn has_succeeded(&self) -> bool {
        self.state == TaskState::Completed && self.failure.is_none()
    }

    /// Whether it is on a node, or on several.
    pub fn is_on_nodes(&self) -> bool {
        matches!(self.state, TaskState::Preparing | TaskState::Running)
    }

    /// The nodes that it is or was on, the primary first.
    pub fn node_ids(&self) -> Vec<&str> {
        match &self.gang {
            Some(gang) => gang.instances().map(|(_, it)| it.node_id.as_str()).collect(),
            None => self.place.iter().map(|place| place.node_id.as_str()).collect(),
        }
    }

    /// Until when the files are kept that it left on this node; `None` when it did not complete
    /// there.
    pub fn keeps_files_until(
        &self,
        node_id: &str,
        constraints: &TaskConstraints,
    ) -> Option<Timestamp> {
        let is_there = self.place.as_ref().is_some_and(|place| place.node_id == node_id);
        let ended_at = self.ended_at.filter(|_| is_there && self.state == TaskState::Completed);
        ended_at.map(|ended_at| ended_at.plus(constraints.retention()))
    }

    /// Whether it runs again if the current run fails.
    pub fn allows_retry(&self) -> bool {
        self.retries_max < 0 || i64::from(self.retry_count) < i64::from(self.retries_max)
    }

    fn moved(mut self, state: TaskState, now: Timestamp) -> Self {
        self.previous = Some((self.state, self.state_at));
        self.state = state;
        self.state_at = now;
        self
    }

    fn assigned(mut self, place: Place, state: TaskState, now: Timestamp) -> Self {
        self.attempt = self.attempt.saturating_add(1);
        self.place = Some(place);
        self.moved(state, now)
    }

    fn reactivated(self, now: Timestamp) -> Self {
        Self {
            attempt: self.attempt,
            previous: Some((self.state, self.state_at)),
            created_at: self.created_at,
            usage: self.usage,
            ..Self::new(self.retries_max, now)
        }
    }

    fn waiting_again(self, now: Timestamp) -> Self {
        let mut life = self.moved(TaskState::Active, now);
        life.place = None;
        life.gang = None;
        life
    }

    fn completed(self, now: Timestamp, exit_code: Option<i32>, why: Option<FailureInfo>) -> Self {
        let mut life = self.moved(TaskState::Completed, now);
        life.ended_at = Some(now);
        life.exit_code = exit_code;
        life.failure = why;
        life.gang = life.gang.map(|gang| gang.ended(now));
        life
    }
}

/// Whether a task of this specification may be added.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit(spec: &TaskSpec) -> Result<(), Rejection> {
    id::check("id", &spec.id)?;
    check_resource_files("resourceFiles", &spec.resource_files)?;
    if let Some(settings) = &spec.multi_instance_settings {
        let name = "multiInstanceSettings.commonResourceFiles";
        check_resource_files(name, &settings.common_resource_files)?;
    }
    check_identity("userIdentity", spec.user_identity.as_ref())?;
    admit_settings("containerSettings", spec.container_settings.as_ref())?;
    check_constraints("constraints", &spec.constraints)
}

/// Whether runs may be limited so; `name` is where the client wrote it.
///
/// # Errors
/// When a limit breaks a rule.
pub fn check_constraints(name: &str, constraints: &TaskConstraints) -> Result<(), Rejection> {
    let retries = constraints.max_task_retry_count.unwrap_or(0);
    if retries < -1 {
        let name = format!("{name}.maxTaskRetryCount");
        let reason = "It must not be negative, or -1 for no limit";
        return Err(Rejection::property(name, retries, reason));
    }
    check_time(format!("{name}.maxWallClockTime"), constraints.max_wall_clock_time)?;
    check_time(format!("{name}.retentionTime"), constraints.retention_time)
}

fn check_time(name: String, time: Option<Span>) -> Result<(), Rejection> {
    match time {
        Some(time) if time < Span::seconds(0) => Err(Rejection::InvalidProperty {
            name,
            value: time.to_string(),
            reason: "It must not be negative".to_owned(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// What becomes of a task when `fact` happens; the only place that writes its state.
///
/// # Errors
/// When the task does not allow it where it stands; nothing changes then.
pub fn step(task: &Task, fact: TaskFact, now: Timestamp) -> Result<TaskLife, Rejection> {
    use {TaskFact as F, TaskState as S};
    let life = task.life.clone();
    match (life.state, fact) {
        (S::Active, F::Assigned(place)) => {
            Ok(TaskLife { started_at: Some(now), ..life.assigned(place, S::Running, now) })
        }
        (S::Active, F::AssignedUnprepared(place)) => Ok(life.assigned(place, S::Preparing, now)),
        (S::Active, F::AssignedToAll { pool_id, nodes }) => {
            Ok(assigned_to_all(life, pool_id, nodes, now))
        }
        (S::Preparing | S::Running, F::Instance { number, fact }) => {
            Ok(after_instance(life, number, fact, now))
        }
        (S::Preparing, F::Prepared) => {
            Ok(TaskLife { started_at: Some(now), ..life.moved(S::Running, now) })
        }
        (S::Preparing, F::NotPrepared) => Ok(life.waiting_again(now)),
        (S::Preparing | S::Running, F::Ended(outcome)) => Ok(after_run(life, outcome, now)),
        (S::Preparing | S::Running, F::NodeLost) => Ok(after_loss(life, now)),
        (S::Preparing | S::Running, F::Preempted) => Ok(life.waiting_again(now)),
        (S::Preparing | S::Running, F::Requeued) => Ok(TaskLife {
            requeue_count: life.requeue_count.saturating_add(1),
            last_requeue_at: Some(now),
            ..life.waiting_again(now)
        }),
        (S::Active | S::Preparing | S::Running, F::Terminated) => Ok(TaskLife {
            modified_at: now,
            ..life.completed(now, None, Some(FailureInfo::ended_by_user()))
        }),
        (S::Active | S::Preparing | S::Running, F::Expired) => {
            Ok(life.completed(now, None, Some(FailureInfo::too_old())))
        }
        (S::Completed, F::Reactivated) if life.failure.is_none() => {
            Err(Rejection::TaskSucceeded { task: task.id.clone() })
        }
        (S::Completed, F::Reactivated) => Ok(life.reactivated(now)),
        (S::Active | S::Preparing | S::Running, F::Reactivated) => {
            Err(Rejection::TaskNotCompleted { task: task.id.clone() })
        }
        (S::Active | S::Preparing | S::Running, F::Constrained(retries_max)) => {
            Ok(TaskLife { retries_max, modified_at: now, ..life })
        }
        // A late report, or a second end: the task has gone on without it.
        (
            S::Active | S::Completed,
            F::Ended(_) | F::NodeLost | F::Preempted | F::Requeued | F::Instance { .. },
        )
        | (
            S::Preparing | S::Running,
            F::Assigned(_) | F::AssignedUnprepared(_) | F::AssignedToAll { .. },
        )
        | (S::Active | S::Running | S::Completed, F::Prepared | F::NotPrepared)
        | (S::Completed, F::Expired) => Ok(life),
        (
            S::Completed,
            F::Assigned(_)
            | F::AssignedUnprepared(_)
            | F::AssignedToAll { .. }
            | F::Terminated
            | F::Constrained(_),
        ) => Err(Rejection::TaskCompleted { task: task.id.clone() }),
    }
}

/// Nodes were chosen for all instances; the run has begun once all of them are prepared.
fn assigned_to_all(
    life: TaskLife,
    pool_id: String,
    nodes: Vec<ChosenNode>,
    now: Timestamp,
) -> TaskLife {
    let Some(primary) = nodes.first() else { return life };
    let place = Place { pool_id, node_id: primary.node_id.clone() };
    let gang = Gang::new(nodes, now);
    let state = if gang.is_prepared() { TaskState::Running } else { TaskState::Preparing };
    TaskLife {
        attempt: life.attempt.saturating_add(1),
        place: Some(place),
        started_at: gang.is_prepared().then_some(now).or(life.started_at),
        gang: Some(gang),
        ..life.moved(state, now)
    }
}

/// Something happened to an instance: the run begins with the last that is prepared, and ends
/// with the first that fails.
fn after_instance(life: TaskLife, number: u32, fact: InstanceFact, now: Timestamp) -> TaskLife {
    let Some(gang) = life.gang.clone() else { return life };
    let outcome = match fact {
        InstanceFact::Prepared => {
            let gang = gang.prepared(number, now);
            let begins = life.state == TaskState::Preparing && gang.is_prepared();
            let life = TaskLife { gang: Some(gang), ..life };
            return if begins {
                TaskLife { started_at: Some(now), ..life.moved(TaskState::Running, now) }
            } else {
                life
            };
        }
        InstanceFact::Coordinated => {
            return TaskLife { gang: Some(gang.coordinated(number)), ..life };
        }
        InstanceFact::Ended(outcome) => outcome,
    };
    match outcome {
        // Nobody asked for its end, so its node is lost.
        Outcome::Stopped => life.waiting_again(now),
        // It told how it went before; nothing it started is left, and nothing failed.
        Outcome::Exited { exit_code: 0 } => life,
        Outcome::Exited { .. }
        | Outcome::UploadFailed { .. }
        | Outcome::TimedOut
        | Outcome::Exceeded { .. }
        | Outcome::NotStarted { .. } => {
            let gang = Some(gang.failed(number, &outcome, now));
            after_run(TaskLife { gang, ..life }, outcome, now)
        }
    }
}

/// The node of a run was lost: the task waits for another, unless it lost too many.
fn after_loss(life: TaskLife, now: Timestamp) -> TaskLife {
    let nodes_lost = life.nodes_lost.saturating_add(1);
    let life = TaskLife { nodes_lost, ..life };
    if nodes_lost > TASK_NODES_LOST_MAX {
        return life.completed(now, None, Some(FailureInfo::lost_too_often()));
    }
    life.waiting_again(now)
}

/// A run ended: the task has completed, or waits for its next run.
fn after_run(life: TaskLife, outcome: Outcome, now: Timestamp) -> TaskLife {
    match outcome {
        Outcome::Exited { exit_code: 0 } => life.completed(now, Some(0), None),
        Outcome::Exited { .. } if life.allows_retry() => TaskLife {
            retry_count: life.retry_count.saturating_add(1),
            last_retry_at: Some(now),
            ..life.waiting_again(now)
        },
        Outcome::Exited { exit_code } => {
            life.completed(now, Some(exit_code), Some(FailureInfo::exit_code()))
        }
        // Only the last run uploads, so no retry is left.
        Outcome::UploadFailed { exit_code, failure } => TaskLife {
            failed_at: Some(FailedAt::Upload),
            ..life.completed(now, Some(exit_code), Some(failure))
        },
        // Not retried: a run that took too much once would do so again.
        Outcome::Exceeded { failure } => life.completed(now, None, Some(failure)),
        Outcome::TimedOut => life.completed(now, None, Some(FailureInfo::timed_out())),
        Outcome::Stopped => life.completed(now, None, Some(FailureInfo::ended_by_user())),
        Outcome::NotStarted { failure } => TaskLife {
            failed_at: Some(FailedAt::Start),
            ..life.completed(now, None, Some(failure))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Place, Task, TaskFact, TaskLife, TaskState, step};
    use crate::batch::needs::TaskNeeds;
    use crate::batch::ties::Ties;
    use crate::time::Timestamp;

    fn task(retries_max: i32) -> Task {
        Task {
            job_key: 1,
            id: "a".to_owned(),
            sequence: 1,
            needs: TaskNeeds::slots(1),
            ties: Ties::default(),
            n_unmet: 0,
            document: "{}".to_owned(),
            life: TaskLife::new(retries_max, Timestamp(0)),
        }
    }

    fn place() -> Place {
        Place { pool_id: "p".to_owned(), node_id: "n".to_owned() }
    }

    /// Runs the facts one after another and tells where the task stands after each.
    fn check(retries_max: i32, facts: &[TaskFact], expected: &str) {
        let mut task = task(retries_max);
        let mut said = Vec::new();
        for (second, fact) in (1..).zip(facts) {
            match step(&task, fact.clone(), Timestamp(second)) {
                Ok(life) => {
                    said.push(format!(
                        "{:?}#{} {}r{}q",
                        life.state, life.attempt, life.retry_count, life.requeue_count
                    ));
                    task.life = life;
                }
                Err(rejection) => said.push(rejection.to_string()),
            }
        }
        assert_eq!(said.join(", "), expected);
    }

    #[test]
    fn lives_of_tasks() {
        use TaskFact as F;
        let run = || F::Assigned(place());
        let exits = |exit_code| F::Ended(Outcome::Exited { exit_code });
        check(0, &[run(), exits(0)], "Running#1 0r0q, Completed#1 0r0q");
        check(
            1,
            &[run(), exits(3), run(), exits(3)],
            "Running#1 0r0q, Active#1 1r0q, Running#2 1r0q, Completed#2 1r0q",
        );
        check(
            0,
            &[run(), F::NodeLost, run(), F::Requeued, F::NodeLost],
            "Running#1 0r0q, Active#1 0r0q, Running#2 0r0q, Active#2 0r1q, Active#2 0r1q",
        );
        check(5, &[run(), F::Ended(Outcome::TimedOut)], "Running#1 0r0q, Completed#1 0r0q");
        check(
            0,
            &[F::Terminated, F::Terminated, F::Reactivated],
            "Completed#0 0r0q, task `a` is completed, Active#0 0r0q",
        );
    }

    #[test]
    fn a_task_that_loses_one_node_after_the_other_is_given_up() {
        let mut task = task(-1);
        for second in 0..11 {
            assert_eq!(task.life.state, TaskState::Active, "{second}");
            for fact in [TaskFact::Assigned(place()), TaskFact::NodeLost] {
                task.life = step(&task, fact, Timestamp(second)).expect("it goes on");
            }
        }
        let code = task.life.failure.map(|failure| failure.code);
        assert_eq!(code.as_deref(), Some("MaxInternalRetryCountReached"));
        assert_eq!((task.life.retry_count, task.life.requeue_count), (0, 0));
    }

    #[test]
    fn a_run_keeps_what_clients_read() {
        let task = task(0);
        let life = step(&task, TaskFact::Assigned(place()), Timestamp(5)).expect("it may run");
        assert_eq!(life.started_at, Some(Timestamp(5)));
        assert_eq!(life.previous, Some((TaskState::Active, Timestamp(0))));
        assert_eq!(life.modified_at, Timestamp(0), "a natural change keeps the entity tag");
    }
}
