//! Job schedule life: which job it makes next, and what ends it.

use serde::{Deserialize, Serialize};

use super::recurrence::{Due, Recurrence};
use crate::id;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// What the rules read of a job schedule's specification, beside the specification of its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobScheduleSpec {
    /// Name within the account.
    pub id: String,
    /// When its jobs are made.
    pub schedule: Recurrence,
}

/// Where a job schedule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobScheduleState {
    /// It makes jobs when they are due.
    Active,
    /// It makes no job any more.
    Completed,
    /// It makes no jobs until it is enabled.
    Disabled,
    /// Its job is being ended.
    Terminating,
    /// It and its jobs are being removed.
    Deleting,
}

/// A job schedule of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSchedule {
    /// The store's key.
    pub key: i64,
    /// The Batch account.
    pub account: String,
    /// Name within the account, as the client spelled it.
    pub id: String,
    /// Its specification: JSON in the shape of the newest api-version.
    pub document: String,
    /// What has become of it.
    pub life: JobScheduleLife,
}

/// What has become of a job schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobScheduleLife {
    /// Where it stands; written by [`step`] alone.
    pub state: JobScheduleState,
    /// Since when.
    pub state_at: Timestamp,
    /// Where it stood before, and since when.
    pub previous: Option<(JobScheduleState, Timestamp)>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed: its entity tag.
    pub modified_at: Timestamp,
    /// When it completed.
    pub ended_at: Option<Timestamp>,
    /// Jobs it ever made: numbers the next one.
    pub jobs_made: u32,
    /// The job it made last.
    pub recent: Option<RecentJob>,
    /// The pool that was made for all its jobs.
    #[serde(default)]
    pub auto_pool_id: Option<String>,
    /// Whether its jobs end without waiting for nodes, once it ends.
    #[serde(default)]
    pub is_forced: bool,
}

/// The job that a schedule made last; all earlier ones have completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentJob {
    /// The store's key of the job.
    pub key: i64,
    /// Its id.
    pub id: String,
    /// The due time that it used.
    pub due_at: Timestamp,
}

/// What can happen to a job schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobScheduleFact {
    /// A client changes its specification.
    Changed,
    /// A client switches it off.
    Disabled,
    /// A client switches it on.
    Enabled,
    /// It made a job.
    Made {
        /// The job.
        job: RecentJob,
        /// The pool of this job and of those to come.
        auto_pool_id: Option<String>,
    },
    /// The due time that its last job used is to be taken for this one.
    Rewound(Timestamp),
    /// A client ends it.
    Terminated {
        /// Whether its job is not to wait for nodes.
        is_forced: bool,
    },
    /// It has no more job to make, and none that runs.
    Finished,
    /// A client removes it.
    Deleted {
        /// Whether its jobs are not to wait for nodes.
        is_forced: bool,
    },
}

/// What a job schedule is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make a job, for this due time.
    Make(Timestamp),
    /// Take this for the due time that was used last: the clock was set back behind it.
    Rewind(Timestamp),
    /// Nothing before this time, or before something happens to it or to its job.
    Wait(Option<Timestamp>),
    /// Complete.
    Finish,
    /// Remove its jobs, then itself.
    Remove,
}

impl JobScheduleLife {
    /// The life of a job schedule that was just added.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: JobScheduleState::Active,
            state_at: now,
            previous: None,
            created_at: now,
            modified_at: now,
            ended_at: None,
            jobs_made: 0,
            recent: None,
            auto_pool_id: None,
            is_forced: false,
        }
    }

    /// When its next job is due, if it goes on as it is.
    pub fn next_run_at(&self, recurrence: &Recurrence, now: Timestamp) -> Option<Timestamp> {
        match (self.state, self.due(recurrence, now)) {
            (JobScheduleState::Active | JobScheduleState::Disabled, Due::At(at)) => Some(at),
            (_, Due::At(_) | Due::NotBefore(_) | Due::Never) => None,
        }
    }

    fn due(&self, recurrence: &Recurrence, now: Timestamp) -> Due {
        recurrence.due(self.created_at, self.recent.as_ref().map(|job| job.due_at), now)
    }

    fn moved(mut self, state: JobScheduleState, now: Timestamp) -> Self {
        self.previous = Some((self.state, self.state_at));
        self.state = state;
        self.state_at = now;
        self.modified_at = now;
        self
    }
}

/// The id of the `number`th job of a schedule. The colon keeps it apart from what clients name.
pub fn job_id(schedule_id: &str, number: u32) -> String {
    format!("{schedule_id}:job-{number}")
}

/// Whether a job schedule of this specification may be added.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit(spec: &JobScheduleSpec) -> Result<(), Rejection> {
    id::check("id", &spec.id)?;
    spec.schedule.admit()
}

/// What a job schedule is to do now; `is_running` says whether its last job has not completed.
/// So there is at most one such job at any time.
pub fn next(
    life: &JobScheduleLife,
    recurrence: &Recurrence,
    is_running: bool,
    now: Timestamp,
) -> Next {
    use JobScheduleState as S;
    if life.state == S::Active
        && let Some(recent) = &life.recent
        && let Some(at) = recurrence.rewound(life.created_at, recent.due_at, now)
    {
        return Next::Rewind(at);
    }
    match (life.state, is_running) {
        (S::Active, true) => Next::Wait(None),
        (S::Active, false) => match life.due(recurrence, now) {
            Due::At(at) if at <= now => Next::Make(at),
            Due::At(at) => Next::Wait(Some(at)),
            Due::NotBefore(end) if end <= now => Next::Finish,
            Due::NotBefore(end) => Next::Wait(Some(end)),
            Due::Never => Next::Finish,
        },
        (S::Terminating, false) => Next::Finish,
        (S::Deleting, _) => Next::Remove,
        (S::Terminating, true) | (S::Completed | S::Disabled, _) => Next::Wait(None),
    }
}

/// What becomes of a job schedule when `fact` happens; the only place that writes its state.
///
/// # Errors
/// When the job schedule does not allow it where it stands; nothing changes then.
pub fn step(
    schedule: &JobSchedule,
    fact: JobScheduleFact,
    now: Timestamp,
) -> Result<JobScheduleLife, Rejection> {
    use {JobScheduleFact as F, JobScheduleState as S};
    let life = schedule.life.clone();
    match (life.state, fact) {
        (S::Active | S::Disabled, F::Changed) => Ok(JobScheduleLife { modified_at: now, ..life }),
        (S::Active, F::Disabled) => Ok(life.moved(S::Disabled, now)),
        (S::Disabled, F::Enabled) => Ok(life.moved(S::Active, now)),
        (S::Active, F::Enabled) => Ok(life),
        (S::Active, F::Made { job, auto_pool_id }) => Ok(JobScheduleLife {
            jobs_made: life.jobs_made.saturating_add(1),
            recent: Some(job),
            auto_pool_id,
            ..life
        }),
        (S::Active, F::Rewound(due_at)) => {
            let recent = life.recent.map(|job| RecentJob { due_at, ..job });
            Ok(JobScheduleLife { recent, ..life })
        }
        (S::Active | S::Disabled, F::Terminated { is_forced }) => {
            Ok(JobScheduleLife { is_forced, ..life.moved(S::Terminating, now) })
        }
        (S::Active | S::Terminating, F::Finished) => {
            Ok(JobScheduleLife { ended_at: Some(now), ..life.moved(S::Completed, now) })
        }
        (S::Active | S::Completed | S::Disabled | S::Terminating, F::Deleted { is_forced }) => {
            Ok(JobScheduleLife { is_forced, ..life.moved(S::Deleting, now) })
        }
        // Asked for once more, and now it is not to wait.
        (S::Terminating, F::Terminated { is_forced: true })
        | (S::Deleting, F::Deleted { is_forced: true })
            if !life.is_forced =>
        {
            Ok(JobScheduleLife { is_forced: true, modified_at: now, ..life })
        }
        // Seen too late: it makes no job where it stands, and is not at its end.
        (
            S::Completed | S::Disabled | S::Terminating | S::Deleting,
            F::Made { .. } | F::Rewound(_),
        )
        | (S::Completed | S::Disabled | S::Deleting, F::Finished) => Ok(life),
        (S::Disabled, F::Disabled) => {
            Err(Rejection::JobScheduleDisabled { schedule: schedule.id.clone() })
        }
        (S::Completed, F::Changed | F::Disabled | F::Enabled | F::Terminated { .. }) => {
            Err(Rejection::JobScheduleCompleted { schedule: schedule.id.clone() })
        }
        (S::Terminating, F::Changed | F::Disabled | F::Enabled | F::Terminated { .. }) => {
            Err(Rejection::JobScheduleBeingTerminated { schedule: schedule.id.clone() })
        }
        (
            S::Deleting,
            F::Changed | F::Disabled | F::Enabled | F::Terminated { .. } | F::Deleted { .. },
        ) => Err(Rejection::JobScheduleBeingDeleted { schedule: schedule.id.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        JobSchedule, JobScheduleFact as F, JobScheduleLife, Next, RecentJob, Recurrence, job_id,
        next, step,
    };
    use crate::span::Span;
    use crate::time::Timestamp;

    fn schedule() -> JobSchedule {
        JobSchedule {
            key: 1,
            account: "acct".to_owned(),
            id: "s".to_owned(),
            document: "{}".to_owned(),
            life: JobScheduleLife::new(at(0)),
        }
    }

    /// Minutes after the creation of the schedule.
    fn at(minutes: i64) -> Timestamp {
        Timestamp(0).plus(Span::minutes(minutes))
    }

    fn made(minute: i64) -> F {
        let job = RecentJob { key: 1, id: job_id("s", 1), due_at: at(minute) };
        F::Made { job, auto_pool_id: None }
    }

    fn ends(is_forced: bool) -> F {
        F::Terminated { is_forced }
    }

    fn goes(is_forced: bool) -> F {
        F::Deleted { is_forced }
    }

    fn after(facts: &[F]) -> (JobSchedule, String) {
        let mut schedule = schedule();
        let mut said = Vec::new();
        for (minute, fact) in (1..).zip(facts) {
            match step(&schedule, fact.clone(), at(minute)) {
                Ok(life) => {
                    let modified = life.modified_at.0 / Span::minutes(1).ticks();
                    said.push(format!("{:?} @{modified}", life.state));
                    schedule.life = life;
                }
                Err(rejection) => said.push(rejection.to_string()),
            }
        }
        (schedule, said.join(", "))
    }

    #[track_caller]
    fn check(facts: &[F], expected: &str) {
        assert_eq!(after(facts).1, expected);
    }

    #[test]
    fn lives_of_job_schedules() {
        check(
            &[F::Disabled, F::Disabled, F::Enabled, F::Enabled, made(0), F::Changed, F::Finished],
            "Disabled @1, job schedule `s` is disabled, Active @3, Active @3, Active @3, \
             Active @6, Completed @7",
        );
        let refused = "job schedule `s` is completed";
        check(
            &[F::Finished, F::Changed, F::Disabled, F::Enabled, ends(false), goes(false)],
            &format!("Completed @1, {refused}, {refused}, {refused}, {refused}, Deleting @6"),
        );
        let refused = "job schedule `s` is being terminated";
        check(
            &[ends(false), F::Changed, F::Disabled, F::Enabled, ends(false), F::Finished],
            &format!("Terminating @1, {refused}, {refused}, {refused}, {refused}, Completed @6"),
        );
        let refused = "job schedule `s` is being deleted";
        check(
            &[goes(false), F::Changed, F::Disabled, F::Enabled, ends(false), goes(false)],
            &format!("Deleting @1, {refused}, {refused}, {refused}, {refused}, {refused}"),
        );
        check(
            &[F::Disabled, F::Changed, F::Finished, made(0), ends(false), made(0), goes(false)],
            "Disabled @1, Disabled @2, Disabled @2, Disabled @2, Terminating @5, Terminating @5, \
             Deleting @7",
        );
    }

    #[test]
    fn an_end_can_be_forced_once_it_takes_too_long() {
        check(
            &[ends(false), ends(true), ends(true), goes(false), goes(true), goes(true)],
            "Terminating @1, Terminating @2, job schedule `s` is being terminated, Deleting @4, \
             Deleting @5, job schedule `s` is being deleted",
        );
    }

    #[test]
    fn making_a_job_changes_no_tag() {
        let (schedule, _) = after(&[made(0), F::Disabled]);
        assert_eq!(schedule.life.jobs_made, 1);
        assert_eq!(schedule.life.modified_at, at(2));
        assert_eq!(job_id("s", schedule.life.jobs_made), "s:job-1");
    }

    #[test]
    fn what_a_schedule_is_to_do() {
        let once = Recurrence::default();
        let hourly = Recurrence { recurrence_interval: Some(Span::minutes(60)), ..once };
        let ending = Recurrence { do_not_run_after: Some(at(90)), ..hourly };
        for (facts, recurrence, is_running, minute, expected) in [
            (vec![], once, false, 5, Next::Make(at(0))),
            (vec![made(0)], once, true, 5, Next::Wait(None)),
            (vec![made(0)], once, false, 5, Next::Finish),
            (vec![made(0)], hourly, false, 5, Next::Wait(Some(at(60)))),
            // Due, but one job at a time.
            (vec![made(0)], hourly, true, 65, Next::Wait(None)),
            (vec![made(0)], hourly, false, 65, Next::Make(at(60))),
            (vec![made(0), made(60)], ending, false, 70, Next::Wait(Some(at(90)))),
            (vec![made(0), made(60)], ending, true, 95, Next::Wait(None)),
            (vec![made(0), made(60)], ending, false, 95, Next::Finish),
            (vec![made(600)], hourly, false, 65, Next::Rewind(at(60))),
            (vec![made(600), F::Rewound(at(60))], hourly, false, 65, Next::Wait(Some(at(120)))),
            (vec![F::Disabled], hourly, false, 65, Next::Wait(None)),
            (vec![F::Disabled, F::Enabled], hourly, false, 65, Next::Make(at(60))),
            (vec![made(0), ends(false)], hourly, true, 65, Next::Wait(None)),
            (vec![made(0), ends(false)], hourly, false, 65, Next::Finish),
            (vec![F::Finished], hourly, false, 65, Next::Wait(None)),
            (vec![goes(false)], hourly, true, 65, Next::Remove),
        ] {
            let life = after(&facts).0.life;
            let found = next(&life, &recurrence, is_running, at(minute));
            assert_eq!(found, expected, "{facts:?} {is_running} at minute {minute}");
        }
    }

    #[test]
    fn the_next_run_is_told_only_of_schedules_that_may_run() {
        let hourly =
            Recurrence { recurrence_interval: Some(Span::minutes(60)), ..Recurrence::default() };
        for (facts, minute, expected) in [
            (vec![], 0, Some(at(0))),
            (vec![made(0)], 1, Some(at(60))),
            // Due since then, and waiting for the end of the last job.
            (vec![made(0)], 70, Some(at(60))),
            (vec![made(0), F::Disabled], 70, Some(at(60))),
            (vec![made(0), ends(false)], 70, None),
            (vec![made(0), F::Finished], 70, None),
            (vec![made(0), goes(false)], 70, None),
        ] {
            let life = after(&facts).0.life;
            assert_eq!(life.next_run_at(&hourly, at(minute)), expected, "{facts:?}");
        }
        let life = after(&[made(0)]).0.life;
        assert_eq!(life.next_run_at(&Recurrence::default(), at(70)), None);
    }
}
