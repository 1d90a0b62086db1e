//! Job life.

use serde::{Deserialize, Serialize};

use super::auto_pool::{self, AutoPoolSpec};
use super::command::EnvironmentSetting;
use super::job_manager::JobManagerSpec;
use super::preparation::{self, PreparationSpec, ReleaseSpec};
use super::task::FailureInfo;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::Timestamp;
use crate::{id, limits};

/// What the rules and the nodes read of a job's specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    /// Name within the account.
    pub id: String,
    /// Where its tasks run.
    pub pool_info: PoolInfo,
    /// Higher comes first among the jobs of a pool.
    #[serde(default)]
    pub priority: i32,
    /// Tasks at once at the most; -1 has no limit.
    #[serde(default = "no_limit")]
    pub max_parallel_tasks: i32,
    /// Whether its running tasks give way to those of a job of higher priority.
    #[serde(default)]
    pub allow_task_preemption: bool,
    /// Limits on the job, and defaults for its tasks.
    #[serde(default)]
    pub constraints: JobConstraints,
    /// Variables of all its tasks.
    #[serde(default)]
    pub common_environment_settings: Vec<EnvironmentSetting>,
    /// What becomes of it once all its tasks have completed.
    #[serde(default)]
    pub on_all_tasks_complete: OnAllTasksComplete,
    /// Whether the ends of its tasks act on it.
    #[serde(default)]
    pub on_task_failure: OnTaskFailure,
    /// Whether its tasks may depend on each other.
    #[serde(default)]
    pub uses_task_dependencies: bool,
    /// The task that is added with it.
    pub job_manager_task: Option<JobManagerSpec>,
    /// What prepares a node for its tasks.
    pub job_preparation_task: Option<PreparationSpec>,
    /// What clears away what its tasks leave behind on a node.
    pub job_release_task: Option<ReleaseSpec>,
}

/// What becomes of a job once all its tasks have completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnAllTasksComplete {
    /// It goes on.
    #[default]
    NoAction,
    /// It ends.
    TerminateJob,
}

/// Whether the ends of a job's tasks act on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTaskFailure {
    /// They do not.
    #[default]
    NoAction,
    /// They do as the exit conditions of the task say.
    PerformExitOptionsJobAction,
}

/// Where the tasks of a job run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolInfo {
    /// An existing pool, or one that may exist later.
    pub pool_id: Option<String>,
    /// A pool that is made for the job, or for its schedule.
    pub auto_pool_specification: Option<AutoPoolSpec>,
}

/// Limits on a job, and defaults for its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobConstraints {
    /// Retries of tasks that do not say otherwise.
    pub max_task_retry_count: i32,
    /// Time from its creation after which it is ended; no end when absent.
    pub max_wall_clock_time: Option<Span>,
}

fn no_limit() -> i32 {
    -1
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its tasks may start.
    Active,
    /// Its running tasks are being dealt with before it rests.
    Disabling,
    /// It rests.
    Disabled,
    /// It is about to be active again.
    Enabling,
    /// Its running tasks are being ended.
    Terminating,
    /// It has ended.
    Completed,
    /// It and all it has are being removed.
    Deleting,
}

impl JobState {
    /// Its word, for a sentence to a client.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabling => "disabling",
            Self::Disabled => "disabled",
            Self::Enabling => "enabling",
            Self::Terminating => "terminating",
            Self::Completed => "completed",
            Self::Deleting => "deleting",
        }
    }
}

/// What becomes of the running tasks of a job that is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisableTasks {
    /// They are ended, and run again once the job is enabled.
    Requeue,
    /// They are ended for good.
    Terminate,
    /// They run to their ends.
    Wait,
}

/// A job of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The store's key.
    pub key: i64,
    /// The Batch account.
    pub account: String,
    /// Name within the account, as the client spelled it.
    pub id: String,
    /// Its specification: JSON in the shape of the newest api-version.
    pub document: String,
    /// The store's key of the job schedule that made it, if one did.
    pub schedule_key: Option<i64>,
    /// What has become of it.
    pub life: JobLife,
}

/// What has become of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLife {
    /// Where it stands; written by [`step`] alone.
    pub state: JobState,
    /// Since when.
    pub state_at: Timestamp,
    /// Where it stood before, and since when.
    pub previous: Option<(JobState, Timestamp)>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed: its entity tag.
    pub modified_at: Timestamp,
    /// When it completed.
    pub ended_at: Option<Timestamp>,
    /// Why it ended, once asked to.
    pub terminate_reason: Option<String>,
    /// Why it could not run at all.
    pub scheduling_error: Option<FailureInfo>,
    /// What becomes of its running tasks, while it is being disabled.
    pub disable_tasks: Option<DisableTasks>,
    /// Whether its end waits for nothing that a node has to do first.
    #[serde(default)]
    pub is_forced: bool,
    /// The pool that runs it.
    pub pool_id: String,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFact {
    /// A client changed its specification; this pool runs it now.
    Updated {
        /// The pool's id.
        pool_id: String,
    },
    /// A client, or a rule, disables it.
    Disabled(DisableTasks),
    /// A client enables it again.
    Enabled,
    /// What it was about to become it now is: nothing is in the way any more.
    Settled,
    /// It can never run: there is no pool for it.
    Unschedulable(FailureInfo),
    /// A client, or a rule, ends it.
    Terminated {
        /// Why.
        reason: String,
        /// Whether nodes may be left behind with what they have to do.
        is_forced: bool,
    },
    /// A client removes it.
    Deleted {
        /// Whether nodes may be left behind with what they have to do.
        is_forced: bool,
    },
}

impl JobLife {
    /// The life of a job that was just added.
    pub fn new(pool_id: String, now: Timestamp) -> Self {
        Self {
            state: JobState::Active,
            state_at: now,
            previous: None,
            created_at: now,
            modified_at: now,
            ended_at: None,
            terminate_reason: None,
            scheduling_error: None,
            disable_tasks: None,
            is_forced: false,
            pool_id,
        }
    }

    /// Whether its tasks may start.
    pub fn is_open(&self) -> bool {
        self.state == JobState::Active
    }

    /// Whether it has not begun to end, so that its tasks may start now or later.
    pub fn is_lasting(&self) -> bool {
        match self.state {
            JobState::Active | JobState::Disabling | JobState::Disabled | JobState::Enabling => {
                true
            }
            JobState::Terminating | JobState::Completed | JobState::Deleting => false,
        }
    }

    fn moved(mut self, state: JobState, now: Timestamp) -> Self {
        self.previous = Some((self.state, self.state_at));
        self.state = state;
        self.state_at = now;
        self.modified_at = now;
        self.disable_tasks = None;
        self
    }

    fn completed(self, now: Timestamp) -> Self {
        Self { ended_at: Some(now), ..self.moved(JobState::Completed, now) }
    }

    fn hurried(self, now: Timestamp) -> Self {
        Self { is_forced: true, modified_at: now, ..self }
    }
}

/// What becomes of a job when `fact` happens; the only place that writes its state.
///
/// # Errors
/// When the job does not allow it where it stands; nothing changes then.
pub fn step(job: &Job, fact: JobFact, now: Timestamp) -> Result<JobLife, Rejection> {
    use {JobFact as F, JobState as S};
    let life = job.life.clone();
    let id = || job.id.clone();
    match (life.state, fact) {
        (S::Active | S::Disabling | S::Disabled | S::Enabling, F::Updated { pool_id }) => {
            Ok(JobLife { pool_id, modified_at: now, ..life })
        }
        (S::Active | S::Disabled, F::Disabled(how)) => {
            Ok(JobLife { disable_tasks: Some(how), ..life.moved(S::Disabling, now) })
        }
        // The latest word counts: who can not wait any longer ends what still runs.
        (S::Disabling, F::Disabled(how)) => {
            Ok(JobLife { disable_tasks: Some(how), modified_at: now, ..life })
        }
        (S::Disabled, F::Enabled) => Ok(life.moved(S::Enabling, now)),
        (S::Active | S::Enabling, F::Enabled) => Ok(life),
        (S::Enabling, F::Disabled(_)) => {
            Err(Rejection::JobNotActive { job: id(), state: life.state.word().to_owned() })
        }
        (S::Disabling, F::Enabled) => {
            Err(Rejection::JobNotDisabled { job: id(), state: life.state.word().to_owned() })
        }
        (S::Disabling, F::Settled) => Ok(life.moved(S::Disabled, now)),
        (S::Enabling, F::Settled) => Ok(life.moved(S::Active, now)),
        (S::Terminating, F::Settled) => Ok(life.completed(now)),
        (S::Active | S::Disabled | S::Completed | S::Deleting, F::Settled) => Ok(life),
        (S::Active | S::Disabling | S::Disabled | S::Enabling, F::Unschedulable(error)) => {
            Ok(JobLife { scheduling_error: Some(error), ..life.completed(now) })
        }
        (S::Terminating | S::Completed | S::Deleting, F::Unschedulable(_)) => Ok(life),
        (
            S::Active | S::Disabling | S::Disabled | S::Enabling,
            F::Terminated { reason, is_forced },
        ) => {
            let life = life.moved(S::Terminating, now);
            Ok(JobLife { terminate_reason: Some(reason), is_forced, ..life })
        }
        (
            S::Active | S::Disabling | S::Disabled | S::Enabling | S::Terminating | S::Completed,
            F::Deleted { is_forced },
        ) => {
            let is_forced = is_forced || life.is_forced;
            Ok(JobLife { is_forced, ..life.moved(S::Deleting, now) })
        }
        // Whoever asks again with force wants the same end, now.
        (S::Terminating, F::Terminated { is_forced: true, .. })
        | (S::Deleting, F::Deleted { is_forced: true })
            if !life.is_forced =>
        {
            Ok(life.hurried(now))
        }
        (
            S::Terminating,
            F::Updated { .. } | F::Disabled(_) | F::Enabled | F::Terminated { .. },
        ) => Err(Rejection::JobBeingTerminated { job: id() }),
        (S::Completed, F::Updated { .. } | F::Disabled(_) | F::Enabled | F::Terminated { .. }) => {
            Err(Rejection::JobCompleted { job: id() })
        }
        (
            S::Deleting,
            F::Updated { .. }
            | F::Disabled(_)
            | F::Enabled
            | F::Terminated { .. }
            | F::Deleted { .. },
        ) => Err(Rejection::JobBeingDeleted { job: id() }),
    }
}

/// Whether a job of this specification may be added.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit(spec: &JobSpec) -> Result<(), Rejection> {
    id::check("id", &spec.id)?;
    check_numbers(spec)?;
    preparation::admit(spec)?;
    if let Some(manager) = &spec.job_manager_task {
        preparation::admit_task_id(spec, &manager.id)?;
    }
    auto_pool::check(&spec.pool_info)
}

/// Refuses numbers and times that a job may not have, when it is added or changed.
///
/// # Errors
/// When one lies outside of its limits.
pub(super) fn check_numbers(spec: &JobSpec) -> Result<(), Rejection> {
    let priority = i64::from(spec.priority);
    let (least, most) = (limits::JOB_PRIORITY_MIN, limits::JOB_PRIORITY_MAX);
    if !(least..=most).contains(&priority) {
        let reason = format!("It must lie within {least} and {most}");
        return Err(Rejection::property("priority", priority, reason));
    }
    let tasks = spec.max_parallel_tasks;
    if tasks != -1 && tasks < 1 {
        let reason = "It must be greater than 0, or -1 for no limit";
        return Err(Rejection::property("maxParallelTasks", tasks, reason));
    }
    let retries = spec.constraints.max_task_retry_count;
    if retries < -1 {
        let reason = "It must not be negative, or -1 for no limit";
        return Err(Rejection::property("constraints.maxTaskRetryCount", retries, reason));
    }
    match spec.constraints.max_wall_clock_time {
        Some(time) if time < Span::seconds(0) => {
            let reason = "It must not be negative";
            Err(Rejection::property("constraints.maxWallClockTime", time, reason))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether an account may have one more job or job schedule that has not completed.
///
/// # Errors
/// When it has all that it may have.
pub fn admit_one_more(active: u64, limit: u64) -> Result<(), Rejection> {
    if active < limit { Ok(()) } else { Err(Rejection::JobQuotaReached { limit }) }
}

/// Whether a job takes new tasks.
///
/// # Errors
/// When it is ending or has ended.
pub fn admits_tasks(job: &Job) -> Result<(), Rejection> {
    let job_id = || job.id.clone();
    match job.life.state {
        JobState::Active | JobState::Disabling | JobState::Disabled | JobState::Enabling => Ok(()),
        JobState::Terminating => Err(Rejection::JobBeingTerminated { job: job_id() }),
        JobState::Completed => Err(Rejection::JobCompleted { job: job_id() }),
        JobState::Deleting => Err(Rejection::JobBeingDeleted { job: job_id() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{DisableTasks, Job, JobFact, JobLife, JobState, admits_tasks, step};
    use crate::batch::task::FailureInfo;
    use crate::rejection::Rejection;
    use crate::time::Timestamp;

    fn job() -> Job {
        Job {
            key: 1,
            account: "acct".to_owned(),
            id: "j".to_owned(),
            document: "{}".to_owned(),
            schedule_key: None,
            life: JobLife::new("p".to_owned(), Timestamp(0)),
        }
    }

    fn ends(is_forced: bool) -> JobFact {
        JobFact::Terminated { reason: "enough".to_owned(), is_forced }
    }

    /// Every fact, in the order of the tables below.
    fn facts() -> [JobFact; 10] {
        [
            JobFact::Updated { pool_id: "q".to_owned() },
            JobFact::Disabled(DisableTasks::Wait),
            JobFact::Disabled(DisableTasks::Requeue),
            JobFact::Enabled,
            JobFact::Settled,
            JobFact::Unschedulable(FailureInfo::user_error("Unknown", "no pool")),
            ends(false),
            ends(true),
            JobFact::Deleted { is_forced: false },
            JobFact::Deleted { is_forced: true },
        ]
    }

    /// What each fact does to a job that stands where `way` leads.
    fn check(way: &[JobFact], state: JobState, expected: [&str; 10]) {
        let mut job = job();
        for fact in way {
            job.life = step(&job, fact.clone(), Timestamp(1)).expect("the way is open");
        }
        assert_eq!(job.life.state, state);
        for (fact, expected) in facts().into_iter().zip(expected) {
            let said = match step(&job, fact.clone(), Timestamp(2)) {
                Ok(life) if life == job.life => "-".to_owned(),
                Ok(life) if life.state == state => {
                    assert_eq!(
                        (life.state_at, life.modified_at),
                        (job.life.state_at, Timestamp(2))
                    );
                    let how = life.disable_tasks.map(|how| format!("{how:?} "));
                    let how = how.unwrap_or_default();
                    format!("{how}{}{}", life.pool_id, if life.is_forced { " forced" } else { "" })
                }
                Ok(life) => {
                    assert_eq!((life.state_at, life.modified_at), (Timestamp(2), Timestamp(2)));
                    assert_eq!(life.previous, Some((state, job.life.state_at)));
                    life.state.word().to_owned()
                }
                Err(Rejection::JobNotActive { .. }) => "JobNotActive".to_owned(),
                Err(Rejection::JobNotDisabled { .. }) => "JobNotDisabled".to_owned(),
                Err(Rejection::JobBeingTerminated { .. }) => "JobBeingTerminated".to_owned(),
                Err(Rejection::JobCompleted { .. }) => "JobCompleted".to_owned(),
                Err(Rejection::JobBeingDeleted { .. }) => "JobBeingDeleted".to_owned(),
                Err(other) => other.to_string(),
            };
            assert_eq!(said, expected, "{state:?} {fact:?}");
        }
    }

    #[test]
    fn each_state_of_a_job_answers_each_fact() {
        use {JobFact as F, JobState as S};
        let disable = || F::Disabled(DisableTasks::Requeue);
        let (end, over) = ("terminating", "completed");
        check(
            &[],
            S::Active,
            ["q", "disabling", "disabling", "-", "-", over, end, end, "deleting", "deleting"],
        );
        check(
            &[disable()],
            S::Disabling,
            [
                "Requeue q",
                "Wait p",
                "Requeue p",
                "JobNotDisabled",
                "disabled",
                over,
                end,
                end,
                "deleting",
                "deleting",
            ],
        );
        check(
            &[disable(), F::Settled],
            S::Disabled,
            [
                "q",
                "disabling",
                "disabling",
                "enabling",
                "-",
                over,
                end,
                end,
                "deleting",
                "deleting",
            ],
        );
        check(
            &[disable(), F::Settled, F::Enabled],
            S::Enabling,
            [
                "q",
                "JobNotActive",
                "JobNotActive",
                "-",
                "active",
                over,
                end,
                end,
                "deleting",
                "deleting",
            ],
        );
    }

    #[test]
    fn each_state_of_an_ending_job_answers_each_fact() {
        use {JobFact as F, JobState as S};
        let over = "completed";
        let no = "JobBeingTerminated";
        let ending = [no, no, no, no, over, "-", no, "p forced", "deleting", "deleting"];
        check(&[ends(false)], S::Terminating, ending);
        check(
            &[ends(true)],
            S::Terminating,
            [no, no, no, no, over, "-", no, no, "deleting", "deleting"],
        );
        let no = "JobCompleted";
        let ended = [no, no, no, no, "-", "-", no, no, "deleting", "deleting"];
        check(&[ends(false), F::Settled], S::Completed, ended);
        let no = "JobBeingDeleted";
        let going = [no, no, no, no, "-", "-", no, no, no, "p forced"];
        check(&[F::Deleted { is_forced: false }], S::Deleting, going);
        check(
            &[ends(true), F::Deleted { is_forced: false }],
            S::Deleting,
            [no, no, no, no, "-", "-", no, no, no, no],
        );
    }

    #[test]
    fn a_job_tells_when_and_why_it_ended() {
        let mut job = job();
        job.life = step(&job, ends(false), Timestamp(3)).expect("it may end");
        assert_eq!(job.life.ended_at, None);
        job.life = step(&job, JobFact::Settled, Timestamp(5)).expect("nothing runs");
        assert_eq!(job.life.ended_at, Some(Timestamp(5)));
        assert_eq!(job.life.terminate_reason.as_deref(), Some("enough"));
    }

    #[test]
    fn a_job_without_a_pool_is_over_at_once() {
        let error = FailureInfo::user_error("InvalidAutoPoolSettings", "no such image");
        let life = step(&job(), JobFact::Unschedulable(error.clone()), Timestamp(3));
        let life = life.expect("it may end");
        assert_eq!((life.state, life.ended_at), (JobState::Completed, Some(Timestamp(3))));
        assert_eq!((life.scheduling_error, life.terminate_reason), (Some(error), None));
    }

    #[test]
    fn tasks_are_added_until_a_job_begins_to_end() {
        use JobFact as F;
        let disable = || F::Disabled(DisableTasks::Requeue);
        for (way, expected) in [
            (vec![], "open"),
            (vec![disable()], "open"),
            (vec![disable(), F::Settled], "open"),
            (vec![disable(), F::Settled, F::Enabled], "open"),
            (vec![ends(false)], "job `j` is being terminated"),
            (vec![ends(false), F::Settled], "job `j` is completed"),
            (vec![F::Deleted { is_forced: false }], "job `j` is being deleted"),
        ] {
            let mut job = job();
            for fact in way {
                job.life = step(&job, fact, Timestamp(1)).expect("the way is open");
            }
            let said = admits_tasks(&job);
            assert_eq!(said.map_or_else(|no| no.to_string(), |()| "open".to_owned()), expected);
        }
    }
}
