//! What ends a job by itself.

use super::job::{Job, JobSpec, OnAllTasksComplete};
use crate::limits;
use crate::span::Span;
use crate::time::Timestamp;

/// Whether a job ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnEnd {
    /// Now, for this reason.
    Now(&'static str),
    /// Not now; what time alone brings about is due then.
    Later(Option<Timestamp>),
}

/// How far the tasks of a job are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// All tasks.
    pub all: i64,
    /// Those that have not completed.
    pub open: i64,
    /// Whether it has a manager that has completed and ends it with that.
    pub is_managed_to_end: bool,
}

/// Whether a job ends by itself now, and when to ask again.
pub fn own_end(job: &Job, spec: &JobSpec, tasks: Progress, now: Timestamp) -> OwnEnd {
    if !job.life.is_lasting() {
        return OwnEnd::Later(None);
    }
    let limit = spec.constraints.max_wall_clock_time.filter(|limit| *limit < Span::MAX);
    let deadline = limit.map(|limit| job.life.created_at.plus(limit));
    if deadline.is_some_and(|at| at <= now) {
        return OwnEnd::Now("MaxWallClockTimeExpiry");
    }
    if tasks.is_managed_to_end {
        return OwnEnd::Now("JMComplete");
    }
    let ends_with_tasks = spec.on_all_tasks_complete == OnAllTasksComplete::TerminateJob;
    // A job that rests may be waiting for its client to reactivate tasks or to add some.
    if !ends_with_tasks || tasks.open > 0 || !job.life.is_open() {
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

#[cfg(test)]
mod tests {
    use super::{OwnEnd, Progress, own_end};
    use crate::batch::job::{DisableTasks, Job, JobFact, JobLife, JobSpec, step};
    use crate::span::Span;
    use crate::time::Timestamp;

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
        let tasks = |all, open| Progress { all, open, is_managed_to_end: false };
        let managed = Progress { is_managed_to_end: true, ..tasks(3, 1) };
        assert_eq!(own_end(&job, &plain, tasks(3, 0), late), OwnEnd::Later(None));
        assert_eq!(own_end(&job, &ending, tasks(3, 3), soon), OwnEnd::Later(Some(late)));
        assert_eq!(own_end(&job, &ending, tasks(3, 0), soon), OwnEnd::Now("AllTasksCompleted"));
        assert_eq!(own_end(&job, &plain, managed, soon), OwnEnd::Now("JMComplete"));
        let over = OwnEnd::Now("MaxWallClockTimeExpiry");
        assert_eq!(own_end(&job, &ending, tasks(3, 3), late), over);
        assert_eq!(own_end(&job, &ending, tasks(0, 0), soon), OwnEnd::Later(Some(late)));
        let mut endless = ending.clone();
        endless.constraints.max_wall_clock_time = None;
        let waited = Timestamp(0).plus(Span::seconds(crate::limits::EMPTY_JOB_WAITS_SECONDS));
        assert_eq!(own_end(&job, &endless, tasks(0, 0), late), OwnEnd::Later(Some(waited)));
        assert_eq!(own_end(&job, &endless, tasks(0, 0), waited), OwnEnd::Now("AllTasksCompleted"));
        let disabled = JobFact::Disabled(DisableTasks::Requeue);
        job.life = step(&job, disabled, soon).expect("it may rest");
        assert_eq!(own_end(&job, &endless, tasks(3, 0), waited), OwnEnd::Later(None), "it rests");
        assert_eq!(own_end(&job, &ending, tasks(3, 3), late), over, "its time passes all the same");
        let end = JobFact::Terminated { reason: "enough".to_owned(), is_forced: false };
        job.life = step(&job, end, soon).expect("it may end");
        assert_eq!(
            own_end(&job, &ending, tasks(3, 0), late),
            OwnEnd::Later(None),
            "it ends already"
        );
    }
}
