//! Makes the jobs of job schedules when they are due, and brings schedules to their ends.

use std::sync::Arc;

use kiln_domain::batch::job::{Job, JobFact, JobState};
use kiln_domain::batch::job_schedule::{
    self, JobSchedule, JobScheduleFact, Next, RecentJob, job_id,
};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};
use tracing::{error, info};

use super::deadlines::Deadlines;
use crate::batch::{NewJob, insert_job, step_job};
use crate::server::Server;
use crate::{clock, kept};

/// Jobs of a deleted schedule that are removed at once at the most.
const REMOVED_JOBS_MAX: usize = 50;

/// Looks at job schedules until it is dropped.
pub async fn run(server: Arc<Server>) {
    let mut deadlines = Deadlines::default();
    loop {
        let keys = tokio::select! {
            keys = server.signals.schedules().take() => keys,
            () = deadlines.next() => deadlines.take_due(clock::now()),
        };
        for key in keys {
            match settle(&server, key).await {
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
        server.store.write(move |tx| act(tx, key, clock::now())).await?;
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
fn act(tx: &mut Tx<'_>, key: i64, now: Timestamp) -> Result<(), StoreError> {
    let Some((schedule, next)) = look(tx, key, now)? else { return Ok(()) };
    match next {
        Next::Wait(_) => Ok(()),
        Next::Make(due_at) => make_job(tx, &schedule, due_at, now),
        Next::Finish => {
            info!(schedule = schedule.id, "job schedule completed");
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
) -> Result<(), StoreError> {
    let id = job_id(&schedule.id, schedule.life.jobs_made.saturating_add(1));
    let of_schedule = kept::document(&schedule.document, "job schedule specification")?;
    let document = kept::document_of_job(&of_schedule, &id);
    let new = NewJob::of_schedule(document, schedule.key)?;
    let job = insert_job(tx, &schedule.account, new, now)?;
    info!(schedule = schedule.id, job = job.id, "job made");
    let recent = RecentJob { key: job.key, id, due_at };
    keep(tx, schedule, JobScheduleFact::Made(recent), now)
}

/// Begins to remove jobs of a deleted schedule; the schedule goes once none is left.
fn remove(tx: &mut Tx<'_>, schedule: &JobSchedule, now: Timestamp) -> Result<(), StoreError> {
    let jobs = tx.jobs_of_schedule_after(schedule.key, "", REMOVED_JOBS_MAX)?;
    if jobs.is_empty() {
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
