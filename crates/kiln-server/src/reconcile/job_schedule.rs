//! Makes the jobs of job schedules when they are due, and brings schedules to their ends.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use kiln_domain::batch::auto_pool::PoolLifetime;
use kiln_domain::batch::job::{Job, JobFact, JobState};
use kiln_domain::batch::job_schedule::{
    self, JobSchedule, JobScheduleFact, Next, RecentJob, job_id,
};
use kiln_domain::batch::pool::PoolState;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::deadlines::Deadlines;
use crate::batch::{NewJob, insert_job, release_with_schedule, step_job};
use crate::config::Quotas;
use crate::server::Server;
use crate::{clock, kept};

/// Jobs of a deleted schedule that are removed at once at the most.
const REMOVED_JOBS_MAX: usize = 50;

/// Schedules that are worked on at the same time; their commits are shared.
const SCHEDULES_AT_ONCE: usize = 8;

/// Looks at job schedules until it is dropped.
pub async fn run(server: Arc<Server>) {
    let mut deadlines = Deadlines::default();
    loop {
        let keys = tokio::select! {
            biased;
            () = deadlines.next() => deadlines.take_due(clock::now()),
            keys = server.signals.schedules().take() => keys,
        };
        let looking = stream::iter(keys).map(|key| {
            let server = Arc::clone(&server);
            async move { (key, settle(&server, key).await) }
        });
        let mut looked = looking.buffer_unordered(SCHEDULES_AT_ONCE);
        while let Some((key, found)) = looked.next().await {
            match found {
                Ok(at) => deadlines.set(key, at),
                Err(cause) => {
                    error!(
                        error = %crate::chain(&cause),
                        schedule_key = key,
                        "a job schedule could not be looked after"
                    );
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.schedules().mark(key);
                }
            }
        }
    }
}

/// Does what a job schedule is to do now; gives when it is to be looked at again.
async fn settle(server: &Server, key: i64) -> Result<Option<Timestamp>, StoreError> {
    // Most looks find nothing to do, and cost no commit.
    let looked = server.store.read(|view| look(view, key, clock::now()))?;
    if let Some((_, Next::Wait(at))) = looked {
        return Ok(at);
    }
    if looked.is_some() {
        let (unique, quotas) = (clock::new_id(), server.config.quotas);
        server.store.write(move |tx| act(tx, key, clock::now(), unique, quotas)).await?;
        server.signals.schedules().mark(key);
    }
    Ok(None)
}

/// A job schedule, and what it is to do; `None` when it is gone.
fn look(
    view: &View<'_>,
    key: i64,
    now: Timestamp,
) -> Result<Option<(JobSchedule, Next)>, StoreError> {
    let Some(schedule) = view.job_schedule_by_key(key)? else { return Ok(None) };
    let spec = kept::job_schedule_spec(&schedule)?;
    let is_running = kept::running_job(view, &schedule)?.is_some();
    let mut next = job_schedule::next(&schedule.life, &spec.schedule, is_running, now);
    if next == Next::Remove && waits_for_jobs(view, &schedule)? {
        next = Next::Wait(None);
    }
    Ok(Some((schedule, next)))
}

/// Whether jobs of a deleted schedule are going already; each tells when it is gone.
fn waits_for_jobs(view: &View<'_>, schedule: &JobSchedule) -> Result<bool, StoreError> {
    let jobs = view.jobs_of_schedule_after(schedule.key, "", REMOVED_JOBS_MAX)?;
    let is_going = |job: &Job| {
        job.life.state == JobState::Deleting && job.life.is_forced >= schedule.life.is_forced
    };
    Ok(!jobs.is_empty() && jobs.iter().all(is_going))
}

/// Does what a job schedule is to do, as it stands in this operation.
fn act(
    tx: &mut Tx<'_>,
    key: i64,
    now: Timestamp,
    unique: Uuid,
    quotas: Quotas,
) -> Result<(), StoreError> {
    let Some((schedule, next)) = look(tx, key, now)? else { return Ok(()) };
    match next {
        Next::Wait(_) => Ok(()),
        Next::Make(due_at) => make_job(tx, &schedule, due_at, now, unique, quotas),
        Next::Rewind(at) => {
            warn!(schedule = schedule.id, "the clock was set back behind the last job");
            keep(tx, &schedule, JobScheduleFact::Rewound(at), now)
        }
        Next::Finish => {
            info!(schedule = schedule.id, "job schedule completed");
            release_with_schedule(tx, &schedule, now)?;
            keep(tx, &schedule, JobScheduleFact::Finished, now)
        }
        Next::Remove => remove(tx, &schedule, now),
    }
}

fn make_job(
    tx: &mut Tx<'_>,
    schedule: &JobSchedule,
    due_at: Timestamp,
    now: Timestamp,
    unique: Uuid,
    quotas: Quotas,
) -> Result<(), StoreError> {
    let auto = kept::auto_pool_of_schedule(schedule)?;
    let shares_pool = auto.is_some_and(|it| it.pool_lifetime_option == PoolLifetime::JobSchedule);
    let shared_pool = if shares_pool { living_pool(tx, schedule)? } else { None };
    let id = job_id(&schedule.id, schedule.life.jobs_made.saturating_add(1));
    let of_schedule = kept::document(&schedule.document, "job schedule specification")?;
    let document = kept::document_of_job(&of_schedule, &id);
    let new = NewJob::of_schedule(document, schedule.key, shared_pool, &unique.to_string())?;
    let job = insert_job(tx, &schedule.account, new, quotas, now)?;
    info!(schedule = schedule.id, job = job.id, "job made");
    let auto_pool_id = if shares_pool && job.life.scheduling_error.is_none() {
        Some(job.life.pool_id)
    } else {
        schedule.life.auto_pool_id.clone()
    };
    let job = RecentJob { key: job.key, id, due_at };
    keep(tx, schedule, JobScheduleFact::Made { job, auto_pool_id }, now)
}

/// The pool that was made for the jobs of a schedule, unless it is gone or going.
fn living_pool(view: &View<'_>, schedule: &JobSchedule) -> Result<Option<String>, StoreError> {
    let Some(pool_id) = &schedule.life.auto_pool_id else { return Ok(None) };
    let pool = view.pool(&schedule.account, pool_id)?;
    Ok(pool.filter(|pool| pool.life.state == PoolState::Active).map(|pool| pool.id))
}

/// Begins to remove jobs of a deleted schedule; the schedule goes once none is left.
fn remove(tx: &mut Tx<'_>, schedule: &JobSchedule, now: Timestamp) -> Result<(), StoreError> {
    let jobs = tx.jobs_of_schedule_after(schedule.key, "", REMOVED_JOBS_MAX)?;
    if jobs.is_empty() {
        release_with_schedule(tx, schedule, now)?;
        tx.delete_job_schedule(schedule.key)?;
        info!(schedule = schedule.id, "job schedule deleted");
    }
    let is_forced = schedule.life.is_forced;
    for job in jobs {
        step_job(tx, &job, JobFact::Deleted { is_forced }, now)?;
    }
    Ok(())
}

fn keep(
    tx: &mut Tx<'_>,
    schedule: &JobSchedule,
    fact: JobScheduleFact,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Ok(life) = job_schedule::step(schedule, fact, now) {
        tx.update_job_schedule(schedule.key, &life)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::job::{Job, JobFact, JobState};
    use kiln_domain::batch::job_schedule::{
        JobSchedule, JobScheduleFact, JobScheduleLife, JobScheduleState, Next, step,
    };
    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;
    use kiln_store::{Store, StoreError};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{act, look};
    use crate::batch::step_job;
    use crate::config::Quotas;

    /// A store with one schedule, on a clock that the test sets.
    struct World {
        store: Store,
        _directory: tempfile::TempDir,
        key: i64,
    }

    /// Minutes after the creation of the schedule.
    fn at(minutes: i64) -> Timestamp {
        Timestamp(0).plus(Span::minutes(minutes))
    }

    impl World {
        async fn new(schedule: Value, pool_info: Value) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let store = Store::open(directory.path(), Box::new(drop)).expect("a store");
            let document = json!({
                "id": "s", "schedule": schedule, "jobSpecification": { "poolInfo": pool_info },
            });
            let schedule = JobSchedule {
                key: 0,
                account: "a".to_owned(),
                id: "s".to_owned(),
                document: document.to_string(),
                life: JobScheduleLife::new(at(0)),
            };
            let key = store.write(move |tx| tx.insert_job_schedule(&schedule)).await;
            let key = key.expect("an empty store");
            Self { store, _directory: directory, key }
        }

        /// Lets the reconciler work at this minute; gives the job that runs then, and the minute
        /// at which it looks again.
        async fn work(&self, minute: i64) -> (Option<String>, Option<i64>) {
            let again = self.settle(minute).await;
            (self.running().map(|job| job.id), again)
        }

        async fn settle(&self, minute: i64) -> Option<i64> {
            loop {
                let looked = self.store.read(|view| look(view, self.key, at(minute)));
                match looked.expect("a store that works") {
                    None => return None,
                    Some((_, Next::Wait(again))) => {
                        return again.map(|it| it.0 / Span::minutes(1).ticks());
                    }
                    Some(_) => {
                        let key = self.key;
                        let unique = Uuid::from_u128(minute.unsigned_abs().into());
                        let quotas = Quotas::default();
                        let acted = self
                            .store
                            .write(move |tx| act(tx, key, at(minute), unique, quotas))
                            .await;
                        acted.expect("a store that works");
                    }
                }
            }
        }

        /// Works at each of these minutes, in which the running job ends first if `ends` names
        /// it: says `job@minute` for those that were made.
        async fn through(&self, minutes: std::ops::Range<i64>, ends: &[(i64, &str)]) -> String {
            let mut made = Vec::new();
            for minute in minutes {
                let before = self.running().map(|job| job.id);
                if let Some(job) = before.as_ref()
                    && ends.contains(&(minute, job))
                {
                    self.end().await;
                }
                if let (Some(job), _) = self.work(minute).await
                    && before.as_ref() != Some(&job)
                {
                    made.push(format!("{job}@{minute}"));
                }
            }
            made.join(" ")
        }

        fn jobs(&self) -> Vec<Job> {
            let read = self.store.read(|view| view.jobs_of_schedule_after(self.key, "", 1_000));
            read.expect("a store that works")
        }

        fn running(&self) -> Option<Job> {
            let mut running = self.jobs();
            running.retain(|job| job.life.state != JobState::Completed);
            assert!(running.len() <= 1, "{running:#?}");
            running.pop()
        }

        /// Ends the job that runs.
        async fn end(&self) {
            let job = self.running().expect("a job runs");
            let ended = self.store.write(move |tx| {
                let fact = JobFact::Terminated { reason: "over".to_owned(), is_forced: false };
                step_job(tx, &job, fact, at(0))?;
                let job = tx.job_by_key(job.key)?.ok_or(StoreError::Closed)?;
                step_job(tx, &job, JobFact::Settled, at(0))
            });
            ended.await.expect("it may end");
        }

        async fn take(&self, fact: JobScheduleFact) {
            let key = self.key;
            let taken = self.store.write(move |tx| {
                let schedule = tx.job_schedule_by_key(key)?.ok_or(StoreError::Closed)?;
                let life = step(&schedule, fact, at(0)).map_err(|_no| StoreError::Closed)?;
                tx.update_job_schedule(key, &life)
            });
            taken.await.expect("it is allowed");
        }

        fn state(&self) -> Option<JobScheduleState> {
            let read = self.store.read(|view| view.job_schedule_by_key(self.key));
            read.expect("a store that works").map(|schedule| schedule.life.state)
        }
    }

    fn named() -> Value {
        json!({ "poolId": "p" })
    }

    #[tokio::test]
    async fn a_day_of_an_hourly_schedule() {
        let hourly = json!({ "recurrenceInterval": "PT1H", "startWindow": "PT10M" });
        let world = World::new(hourly, named()).await;
        let ends = [(30, "s:job-1"), (135, "s:job-2"), (240, "s:job-3"), (250, "s:job-4")];
        // The job of 1:00 runs until 2:15, so that of 2:00 is lost; that of 3:00 ends just when
        // the next one is due.
        let made = world.through(0..260, &ends).await;
        assert_eq!(made, "s:job-1@0 s:job-2@60 s:job-3@180 s:job-4@240");
        // Down from 4:20 to 6:05: that of 5:00 is lost, that of 6:00 is not.
        assert_eq!(world.through(365..370, &[]).await, "s:job-5@365");
        world.end().await;
        assert_eq!(world.work(371).await, (None, Some(420)));
        // Down again, until the window of 8:00 is over.
        assert_eq!(world.work(491).await, (None, Some(540)));
        assert_eq!(world.through(491..560, &[]).await, "s:job-6@540");
    }

    #[tokio::test]
    async fn no_job_is_repeated_when_the_clock_is_set_back() {
        let hourly = json!({ "recurrenceInterval": "PT1H" });
        let world = World::new(hourly, named()).await;
        assert_eq!(world.through(0..62, &[(30, "s:job-1")]).await, "s:job-1@0 s:job-2@60");
        world.end().await;
        assert_eq!(world.through(55..121, &[]).await, "s:job-3@120");
        world.end().await;
        // It showed the next month for a moment; then it is right again.
        assert_eq!(world.work(50_000).await, (Some("s:job-4".to_owned()), None));
        world.end().await;
        assert_eq!(world.work(125).await, (None, Some(180)));
        assert_eq!(world.work(180).await, (Some("s:job-5".to_owned()), None));
    }

    #[tokio::test]
    async fn a_job_whose_pool_can_not_be_made_is_over_at_once() {
        // What an earlier version of Kiln may have taken.
        let auto = json!({
            "autoPoolIdPrefix": "x", "poolLifetimeOption": "job",
            "pool": { "vmSize": "small", "taskSlotsPerNode": 1_000 },
        });
        let pool_info = json!({ "autoPoolSpecification": auto });
        let world = World::new(json!({ "recurrenceInterval": "PT1H" }), pool_info).await;
        assert_eq!(world.work(0).await, (None, Some(60)));
        let job = world.jobs().pop().expect("a job was made");
        assert_eq!(job.life.state, JobState::Completed);
        let error = job.life.scheduling_error.expect("it says why");
        assert_eq!(error.code, "InvalidAutoPoolSettings");
        assert!(error.message.contains("taskSlotsPerNode"), "{}", error.message);
        assert_eq!(world.work(60).await, (None, Some(120)));
        assert_eq!(world.jobs().len(), 2);
    }

    #[tokio::test]
    async fn a_schedule_that_goes_takes_its_jobs_in_portions() {
        let world = World::new(json!({ "recurrenceInterval": "PT1M" }), named()).await;
        for minute in 0..60 {
            assert!(world.work(minute).await.0.is_some());
            world.end().await;
        }
        world.take(JobScheduleFact::Deleted { is_forced: false }).await;
        let going =
            |jobs: &[Job]| jobs.iter().filter(|job| job.life.state == JobState::Deleting).count();
        for expected in [60, 10] {
            world.settle(60).await;
            let jobs = world.jobs();
            assert_eq!((jobs.len(), going(&jobs)), (expected, expected.min(50)));
            let gone = world.store.write(move |tx| {
                for job in jobs.iter().filter(|job| job.life.state == JobState::Deleting) {
                    tx.delete_job(job.key)?;
                }
                Ok::<_, StoreError>(())
            });
            gone.await.expect("they have no tasks");
        }
        assert_eq!(world.work(60).await, (None, None));
        assert_eq!(world.state(), None);
    }
}
