//! Job life; what ends a job.

use serde::{Deserialize, Serialize};

use super::command::EnvironmentSetting;
use super::preparation::{self, PreparationSpec, ReleaseSpec};
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
    /// Limits on the job, and defaults for its tasks.
    #[serde(default)]
    pub constraints: JobConstraints,
    /// Variables of all its tasks.
    #[serde(default)]
    pub common_environment_settings: Vec<EnvironmentSetting>,
    /// What becomes of it once all its tasks have completed.
    #[serde(default)]
    pub on_all_tasks_complete: OnAllTasksComplete,
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

/// Where the tasks of a job run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolInfo {
    /// An existing pool, or one that may exist later.
    pub pool_id: Option<String>,
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
    /// The pool that runs it.
    pub pool_id: String,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFact {
    /// A client, or a rule, ends it for this reason.
    Terminated(String),
    /// Nothing of it runs any more.
    Stopped,
    /// A client removes it.
    Deleted,
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
            pool_id,
        }
    }

    /// Whether its tasks may start.
    pub fn is_open(&self) -> bool {
        self.state == JobState::Active
    }

    fn moved(mut self, state: JobState, now: Timestamp) -> Self {
        self.previous = Some((self.state, self.state_at));
        self.state = state;
        self.state_at = now;
        self.modified_at = now;
        self
    }
}

/// Whether an open job ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnEnd {
    /// Now, for this reason.
    Now(&'static str),
    /// Not now; what time alone brings about is due then.
    Later(Option<Timestamp>),
}

/// How many tasks a job has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskTotals {
    /// All of them.
    pub all: i64,
    /// Those that have not completed.
    pub open: i64,
}

/// Whether a job ends by itself now, and when to ask again.
pub fn own_end(job: &Job, spec: &JobSpec, tasks: TaskTotals, now: Timestamp) -> OwnEnd {
    if !job.life.is_open() {
        return OwnEnd::Later(None);
    }
    let limit = spec.constraints.max_wall_clock_time.filter(|limit| *limit < Span::MAX);
    let deadline = limit.map(|limit| job.life.created_at.plus(limit));
    if deadline.is_some_and(|at| at <= now) {
        return OwnEnd::Now("MaxWallClockTimeExpiry");
    }
    if spec.on_all_tasks_complete != OnAllTasksComplete::TerminateJob || tasks.open > 0 {
        return OwnEnd::Later(deadline);
    }
    // A job without tasks has completed all of them, but its client gets a moment for the first.
    let waits_until = job.life.created_at.plus(Span::seconds(limits::EMPTY_JOB_WAITS_SECONDS));
    if tasks.all == 0 && now < waits_until {
        return OwnEnd::Later(Some(deadline.map_or(waits_until, |it| it.min(waits_until))));
    }
    // The documents of the service say `AllTasksComplete`; the service itself said this.
    OwnEnd::Now("AllTasksCompleted")
}

/// What becomes of a job when `fact` happens; the only place that writes its state.
///
/// # Errors
/// When the job does not allow it where it stands; nothing changes then.
pub fn step(job: &Job, fact: JobFact, now: Timestamp) -> Result<JobLife, Rejection> {
    use {JobFact as F, JobState as S};
    let life = job.life.clone();
    match (life.state, fact) {
        (S::Active | S::Disabling | S::Disabled | S::Enabling, F::Terminated(reason)) => {
            let mut life = life.moved(S::Terminating, now);
            life.terminate_reason = Some(reason);
            Ok(life)
        }
        (S::Terminating, F::Stopped) => {
            let mut life = life.moved(S::Completed, now);
            life.ended_at = Some(now);
            Ok(life)
        }
        (
            S::Active | S::Disabling | S::Disabled | S::Enabling | S::Completed | S::Deleting,
            F::Stopped,
        ) => Ok(life),
        (
            S::Active | S::Disabling | S::Disabled | S::Enabling | S::Terminating | S::Completed,
            F::Deleted,
        ) => Ok(life.moved(S::Deleting, now)),
        (S::Terminating, F::Terminated(_)) => {
            Err(Rejection::JobBeingTerminated { job: job.id.clone() })
        }
        (S::Completed, F::Terminated(_)) => Err(Rejection::JobCompleted { job: job.id.clone() }),
        (S::Deleting, F::Terminated(_) | F::Deleted) => {
            Err(Rejection::JobBeingDeleted { job: job.id.clone() })
        }
    }
}

/// Whether a job of this specification may be added; gives the pool that runs it.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit(spec: &JobSpec) -> Result<String, Rejection> {
    id::check("id", &spec.id)?;
    let invalid = |name: &str, value: i64, reason: String| {
        Err(Rejection::InvalidProperty { name: name.to_owned(), value: value.to_string(), reason })
    };
    let priority = i64::from(spec.priority);
    if !(limits::JOB_PRIORITY_MIN..=limits::JOB_PRIORITY_MAX).contains(&priority) {
        let range = (limits::JOB_PRIORITY_MIN, limits::JOB_PRIORITY_MAX);
        return invalid(
            "priority",
            priority,
            format!("It must lie within {} and {}", range.0, range.1),
        );
    }
    if spec.max_parallel_tasks != -1 && spec.max_parallel_tasks < 1 {
        let reason = "It must be greater than 0, or -1 for no limit".to_owned();
        return invalid("maxParallelTasks", i64::from(spec.max_parallel_tasks), reason);
    }
    if spec.constraints.max_task_retry_count < -1 {
        let reason = "It must not be negative, or -1 for no limit".to_owned();
        let value = i64::from(spec.constraints.max_task_retry_count);
        return invalid("constraints.maxTaskRetryCount", value, reason);
    }
    preparation::admit(spec)?;
    match &spec.pool_info.pool_id {
        Some(pool_id) => Ok(pool_id.clone()),
        None => Err(Rejection::MissingProperty { name: "poolInfo.poolId".to_owned() }),
    }
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
    use super::{Job, JobFact, JobLife, JobSpec, OwnEnd, TaskTotals, admits_tasks, own_end, step};
    use crate::span::Span;
    use crate::time::Timestamp;

    fn check(facts: &[JobFact], expected: &str) {
        let mut job = Job {
            key: 1,
            account: "acct".to_owned(),
            id: "j".to_owned(),
            document: "{}".to_owned(),
            schedule_key: None,
            life: JobLife::new("p".to_owned(), Timestamp(0)),
        };
        let mut said = Vec::new();
        for (second, fact) in (1..).zip(facts) {
            match step(&job, fact.clone(), Timestamp(second)) {
                Ok(life) => {
                    said.push(format!("{:?}", life.state));
                    job.life = life;
                }
                Err(rejection) => said.push(rejection.to_string()),
            }
        }
        said.push(match admits_tasks(&job) {
            Ok(()) => "open".to_owned(),
            Err(rejection) => rejection.to_string(),
        });
        assert_eq!(said.join(", "), expected);
    }

    #[test]
    fn jobs_that_end_by_themselves() {
        let mut job = Job {
            key: 1,
            account: "acct".to_owned(),
            id: "j".to_owned(),
            document: "{}".to_owned(),
            schedule_key: None,
            life: JobLife::new("p".to_owned(), Timestamp(0)),
        };
        let spec = |json: &str| serde_json::from_str::<JobSpec>(json).expect("a specification");
        let plain = spec(r#"{"id":"j","poolInfo":{"poolId":"p"}}"#);
        let ending = spec(
            r#"{"id":"j","poolInfo":{"poolId":"p"},"onAllTasksComplete":"terminatejob",
                "constraints":{"maxWallClockTime":"PT1S"}}"#,
        );
        let (soon, late) = (Timestamp(1), Timestamp(0).plus(Span::seconds(1)));
        let tasks = |all, open| TaskTotals { all, open };
        assert_eq!(own_end(&job, &plain, tasks(3, 0), late), OwnEnd::Later(None));
        assert_eq!(own_end(&job, &ending, tasks(3, 3), soon), OwnEnd::Later(Some(late)));
        assert_eq!(own_end(&job, &ending, tasks(3, 0), soon), OwnEnd::Now("AllTasksCompleted"));
        let over = OwnEnd::Now("MaxWallClockTimeExpiry");
        assert_eq!(own_end(&job, &ending, tasks(3, 3), late), over);
        assert_eq!(own_end(&job, &ending, tasks(0, 0), soon), OwnEnd::Later(Some(late)));
        let mut endless = ending.clone();
        endless.constraints.max_wall_clock_time = None;
        let waited = Timestamp(0).plus(Span::seconds(crate::limits::EMPTY_JOB_WAITS_SECONDS));
        assert_eq!(own_end(&job, &endless, tasks(0, 0), late), OwnEnd::Later(Some(waited)));
        assert_eq!(own_end(&job, &endless, tasks(0, 0), waited), OwnEnd::Now("AllTasksCompleted"));
        job.life = step(&job, JobFact::Terminated("x".to_owned()), soon).expect("it may end");
        assert_eq!(
            own_end(&job, &ending, tasks(3, 0), late),
            OwnEnd::Later(None),
            "it ends already"
        );
    }

    #[test]
    fn lives_of_jobs() {
        use JobFact as F;
        let end = || F::Terminated("UserTerminate".to_owned());
        check(&[], "open");
        check(
            &[end(), end(), F::Stopped, end()],
            "Terminating, job `j` is being terminated, Completed, job `j` is completed, \
             job `j` is completed",
        );
        check(
            &[F::Deleted, end(), F::Deleted],
            "Deleting, job `j` is being deleted, job `j` is being deleted, \
             job `j` is being deleted",
        );
    }
}
