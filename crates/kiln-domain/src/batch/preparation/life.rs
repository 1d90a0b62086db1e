//! The life of one node in one job.
//!
//! Decides; never acts: [`step`] takes what happened and answers with the next life and the
//! effects that follow.

use serde::{Deserialize, Serialize};

use crate::batch::container::ContainerInfo;
use crate::batch::job::JobSpec;
use crate::batch::node::{NodeLife, NodeState, Pending};
use crate::batch::task::{FailureInfo, Outcome};
use crate::time::Timestamp;

/// What of a job decides how its nodes are prepared and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Retries of a failed preparation; negative has no end.
    pub retries_max: i32,
    /// Whether tasks wait until the preparation succeeded.
    pub waits: bool,
    /// Whether a successful preparation is repeated after a reboot.
    pub reruns: bool,
    /// Whether the job has a release task.
    pub has_release: bool,
}

impl Rules {
    /// Those of a job; `None` when it prepares no nodes.
    pub fn of(spec: &JobSpec) -> Option<Self> {
        let preparation = spec.job_preparation_task.as_ref()?;
        Some(Self {
            retries_max: preparation.constraints.max_task_retry_count.unwrap_or(0),
            waits: preparation.wait_for_success,
            reruns: preparation.rerun_on_node_reboot_after_success,
            has_release: spec.job_release_task.is_some(),
        })
    }
}

/// How a node stands to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is to be prepared before the next task of the job.
    Due,
    /// The preparation task runs.
    Preparing,
    /// It takes tasks of the job.
    Prepared,
    /// The preparation failed for good: it takes no tasks of the job.
    Failed,
    /// The release task runs.
    Releasing,
    /// The job is over there.
    Done,
}

/// A node of a job with a preparation task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// The store's key of the job.
    pub job_key: i64,
    /// The node's id; it may be gone.
    pub node_id: String,
    /// What has become of it.
    pub life: PreparationLife,
}

/// What has become of a node of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparationLife {
    /// Where it stands; written by [`step`] alone.
    pub state: State,
    /// The id of the node's pool.
    pub pool_id: String,
    /// The boot of the node for which this holds.
    pub boot: u32,
    /// Counts the runs of both tasks; names the current one.
    pub attempt: u32,
    /// Whether a task of the job ran there.
    pub has_run_tasks: bool,
    /// The preparation task, once it ran.
    pub preparation: Option<Run>,
    /// The release task, once it ran.
    pub release: Option<Run>,
}

/// How the latest run of one of the two tasks stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Exit code, if its process ran.
    pub exit_code: Option<i32>,
    /// Why it failed.
    pub failure: Option<FailureInfo>,
    /// Runs after a failed one.
    pub retry_count: u32,
    /// When the latest retry began.
    pub last_retry_at: Option<Timestamp>,
    /// Its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerInfo>,
}

/// What can happen to a node of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A task of the job is to run there, in this boot of the node.
    Wanted {
        /// The node's boot.
        boot: u32,
    },
    /// The current run of the preparation task ended.
    PreparationEnded(Outcome),
    /// The current run of the release task ended.
    ReleaseEnded(Outcome),
    /// The node booted, with the files that it had.
    Rebooted {
        /// The new boot.
        boot: u32,
    },
    /// The node booted, with no files.
    Reimaged {
        /// The new boot.
        boot: u32,
    },
    /// The node is gone, or will not be heard of again by itself.
    NodeLost,
    /// The job ends.
    JobEnded {
        /// Whether a release task can run on the node.
        may_release: bool,
    },
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the preparation task, as the current attempt.
    RunPreparation,
    /// Stop the preparation task, as the attempt that was the current one before this.
    StopPreparation,
    /// Run the release task, as the current attempt.
    RunRelease,
    /// The tasks that waited for the preparation run.
    Open,
    /// The tasks that waited for the preparation wait for a node again.
    Return,
    /// The node takes no tasks of the job any more.
    Exclude,
    /// The node takes tasks of the job again.
    Admit,
    /// The job may be over: look at it.
    Finish,
}

/// Whether a task of the job may run on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// At once.
    Now,
    /// Once the preparation succeeded.
    Later,
    /// Never.
    No,
}

impl Run {
    fn begun(now: Timestamp) -> Self {
        Self {
            started_at: now,
            ended_at: None,
            exit_code: None,
            failure: None,
            retry_count: 0,
            last_retry_at: None,
            container: None,
        }
    }

    fn ended(self, outcome: &Outcome, now: Timestamp) -> Self {
        Self {
            ended_at: Some(now),
            exit_code: outcome.exit_code(),
            failure: outcome.failure(),
            ..self
        }
    }

    /// Whether it ended, and well.
    pub fn has_succeeded(&self) -> bool {
        self.ended_at.is_some() && self.failure.is_none()
    }

    fn allows_retry(&self, retries_max: i32) -> bool {
        retries_max < 0 || i64::from(self.retry_count) < i64::from(retries_max)
    }
}

impl PreparationLife {
    /// A node of a pool that no task of the job ran on yet.
    pub fn new(pool_id: String) -> Self {
        Self {
            state: State::Due,
            pool_id,
            boot: 0,
            attempt: 0,
            has_run_tasks: false,
            preparation: None,
            release: None,
        }
    }

    /// Whether tasks of the job may run there, now or once it is prepared.
    pub fn takes_tasks(&self) -> bool {
        match self.state {
            State::Due | State::Preparing | State::Prepared => true,
            State::Failed | State::Releasing | State::Done => false,
        }
    }

    /// Whether a task of the job may run there, after [`Fact::Wanted`].
    pub fn admission(&self, rules: &Rules) -> Admission {
        match self.state {
            State::Preparing if rules.waits => Admission::Later,
            State::Preparing | State::Prepared => Admission::Now,
            State::Due | State::Failed | State::Releasing | State::Done => Admission::No,
        }
    }

    /// The current run is in this container.
    #[must_use]
    pub fn contained(mut self, container: ContainerInfo) -> Self {
        let run = match self.state {
            State::Preparing => &mut self.preparation,
            State::Releasing => &mut self.release,
            State::Due | State::Prepared | State::Failed | State::Done => return self,
        };
        if let Some(run) = run {
            run.container = Some(container);
        }
        self
    }

    fn moved(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// A task of the job runs there.
    fn used(self) -> Self {
        Self { has_run_tasks: true, ..self }
    }

    /// A new run of the preparation task; what was interrupted keeps its count of retries.
    fn preparing(mut self, boot: u32, now: Timestamp) -> Self {
        let interrupted = self.preparation.take().filter(|run| run.ended_at.is_none());
        let run = interrupted.map_or_else(|| Run::begun(now), |run| Run { started_at: now, ..run });
        self.boot = boot;
        self.attempt = self.attempt.saturating_add(1);
        self.preparation = Some(run);
        self.moved(State::Preparing)
    }

    fn releasing(mut self, now: Timestamp) -> Self {
        self.attempt = self.attempt.saturating_add(1);
        self.release = Some(Run::begun(now));
        self.moved(State::Releasing)
    }

    fn with_preparation_ended(mut self, outcome: &Outcome, now: Timestamp) -> Self {
        self.preparation = self.preparation.map(|run| run.ended(outcome, now));
        self
    }

    fn with_release_ended(mut self, outcome: &Outcome, now: Timestamp) -> Self {
        self.release = self.release.map(|run| run.ended(outcome, now));
        self.moved(State::Done)
    }

    /// The job ends: what is to be released is, if the node can.
    fn ending(self, may_release: bool, now: Timestamp) -> (Self, Vec<Effect>) {
        let was_prepared = self.preparation.as_ref().is_some_and(|run| run.ended_at.is_some());
        if may_release && self.has_run_tasks && was_prepared {
            (self.releasing(now), vec![Effect::RunRelease])
        } else {
            (self.moved(State::Done), Vec::new())
        }
    }
}

/// What becomes of a node of a job when `fact` happens; the only place that writes its state.
pub fn step(
    life: PreparationLife,
    fact: Fact,
    rules: &Rules,
    now: Timestamp,
) -> (PreparationLife, Vec<Effect>) {
    use {Effect as E, Fact as F, State as S};
    let stopped = &Outcome::Stopped;
    match (life.state, fact) {
        (S::Due, F::Wanted { boot }) => {
            let life = life.preparing(boot, now);
            (if rules.waits { life } else { life.used() }, vec![E::RunPreparation])
        }
        (S::Preparing, F::Wanted { .. }) if rules.waits => (life, vec![]),
        (S::Preparing | S::Prepared, F::Wanted { .. }) => (life.used(), vec![]),
        (S::Preparing, F::PreparationEnded(outcome)) => after_run(life, &outcome, rules, now),
        (S::Releasing, F::ReleaseEnded(Outcome::Stopped)) => {
            // Only a reboot stops a release: it runs again once the node has booted.
            (life, vec![])
        }
        (S::Releasing, F::ReleaseEnded(outcome)) => {
            (life.with_release_ended(&outcome, now), vec![E::Finish])
        }
        (S::Preparing, F::Rebooted { boot }) => {
            (PreparationLife { boot, ..life.moved(S::Due) }, vec![E::Return])
        }
        (S::Prepared, F::Rebooted { boot }) => {
            let lasts = life.preparation.as_ref().is_some_and(Run::has_succeeded) && !rules.reruns;
            let state = if lasts { S::Prepared } else { S::Due };
            (PreparationLife { boot, ..life.moved(state) }, vec![])
        }
        (S::Releasing, F::Rebooted { boot }) => {
            (PreparationLife { boot, ..life.releasing(now) }, vec![E::RunRelease])
        }
        (S::Due | S::Failed | S::Done, F::Rebooted { boot }) => {
            (PreparationLife { boot, ..life }, vec![])
        }
        (state @ (S::Due | S::Preparing | S::Prepared | S::Failed), F::Reimaged { boot }) => {
            let fresh = PreparationLife { boot, has_run_tasks: false, ..life.moved(S::Due) };
            let effects = match state {
                S::Preparing => vec![E::Return],
                S::Failed => vec![E::Admit],
                S::Due | S::Prepared | S::Releasing | S::Done => vec![],
            };
            (fresh, effects)
        }
        // Nothing is left there that could be released.
        (S::Releasing, F::Reimaged { .. } | F::NodeLost) => {
            (life.with_release_ended(stopped, now), vec![E::Finish])
        }
        (S::Done, F::Reimaged { boot }) => (PreparationLife { boot, ..life }, vec![]),
        (S::Preparing, F::NodeLost) => {
            (life.with_preparation_ended(stopped, now).moved(S::Due), vec![E::Return])
        }
        (S::Due | S::Prepared | S::Failed, F::JobEnded { may_release }) => {
            life.ending(rules.has_release && may_release, now)
        }
        (S::Preparing, F::JobEnded { may_release }) => {
            let stopped = life.with_preparation_ended(stopped, now);
            let (life, effects) = stopped.ending(rules.has_release && may_release, now);
            (life, [vec![E::StopPreparation], effects].concat())
        }
        // A late report, or what makes no difference any more.
        (S::Failed | S::Releasing | S::Done, F::Wanted { .. })
        | (S::Due | S::Prepared | S::Failed | S::Releasing | S::Done, F::PreparationEnded(_))
        | (S::Due | S::Preparing | S::Prepared | S::Failed | S::Done, F::ReleaseEnded(_))
        | (S::Due | S::Prepared | S::Failed | S::Done, F::NodeLost)
        | (S::Releasing | S::Done, F::JobEnded { .. }) => (life, vec![]),
    }
}

/// Whether a node that stands so will run what it is told, now or after its next boot by itself.
pub fn may_release(node: &NodeLife) -> bool {
    match node.state {
        NodeState::Creating
        | NodeState::Starting
        | NodeState::WaitingForStartTask
        | NodeState::StartTaskFailed
        | NodeState::Idle
        | NodeState::Running
        | NodeState::Offline
        | NodeState::Rebooting
        | NodeState::UpgradingOs
        | NodeState::Unknown => true,
        // It goes on with what runs there for as long as it waits for that.
        NodeState::Reimaging | NodeState::LeavingPool | NodeState::Deallocating => {
            node.pending.is_some_and(|it| it != Pending::Turn)
        }
        // What there was to release is gone.
        NodeState::Preempted | NodeState::Unusable | NodeState::Deallocated => false,
    }
}

/// A run of the preparation task ended.
fn after_run(
    life: PreparationLife,
    outcome: &Outcome,
    rules: &Rules,
    now: Timestamp,
) -> (PreparationLife, Vec<Effect>) {
    let life_before = life.clone();
    let life = life.with_preparation_ended(outcome, now);
    match outcome {
        Outcome::Exited { exit_code: 0 } => (life.moved(State::Prepared), vec![Effect::Open]),
        // Nobody asked for its end, so its node is about to boot.
        Outcome::Stopped => (life_before.moved(State::Due), vec![Effect::Return]),
        Outcome::Exited { .. } if life.may_retry(rules) => {
            (life.retried(now), vec![Effect::RunPreparation])
        }
        Outcome::Exited { .. }
        | Outcome::UploadFailed { .. }
        | Outcome::TimedOut
        | Outcome::Exceeded { .. }
        | Outcome::NotStarted { .. } => {
            if rules.waits {
                (life.moved(State::Failed), vec![Effect::Return, Effect::Exclude])
            } else {
                (life.moved(State::Prepared), vec![])
            }
        }
    }
}

impl PreparationLife {
    fn may_retry(&self, rules: &Rules) -> bool {
        self.preparation.as_ref().is_some_and(|run| run.allows_retry(rules.retries_max))
    }

    fn retried(mut self, now: Timestamp) -> Self {
        self.attempt = self.attempt.saturating_add(1);
        self.preparation = self.preparation.map(|run| Run {
            retry_count: run.retry_count.saturating_add(1),
            last_retry_at: Some(now),
            ..Run::begun(now)
        });
        self
    }
}
