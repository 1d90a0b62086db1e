//! Brings jobs to their ends: those whose time or tasks are over, those that were terminated,
//! and removes what a deleted one has.

use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{self, Job, JobFact, JobState, OwnEnd, TaskTotals};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, TaskRange, Tx, View};
use tracing::error;

use super::deadlines::Deadlines;
use crate::batch::{Outbox, terminate_job};
use crate::server::Server;
use crate::{clock, kept};

/// Tasks that are removed in one commit at the most.
const REMOVED_TASKS_MAX: usize = 500;

/// What a look at a job found.
enum Looked {
    /// Nothing is to be done, unless its time runs out.
    Open(Option<Timestamp>),
    /// There is something to change.
    Due,
}

/// Looks at jobs until it is dropped.
pub async fn run(server: Arc<Server>) {
    let mut deadlines = Deadlines::default();
    loop {
        let keys = tokio::select! {
            keys = server.signals.jobs().take() => keys,
            () = deadlines.next() => deadlines.take_due(clock::now()),
        };
        for job_key in keys {
            match settle(&server, job_key).await {
                Ok(Looked::Open(at)) => deadlines.set(job_key, at),
                Ok(Looked::Due) => server.signals.jobs().mark(job_key),
                Err(cause) => {
                    error!(error = %crate::chain(&cause), job_key, "a job could not be ended");
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.jobs().mark(job_key);
                }
            }
        }
    }
}

/// Looks at a job; changes it only when there is something to change, so that the end of an
/// ordinary task costs no commit of its own.
async fn settle(server: &Server, job_key: i64) -> Result<Looked, StoreError> {
    let looked = server.store.read(|view| look(view, job_key, clock::now()))?;
    if let Looked::Open(_) = looked {
        return Ok(looked);
    }
    let (is_done, outbox) = server.store.write(move |tx| change(tx, job_key, clock::now())).await?;
    outbox.send(server);
    if is_done {
        return server.store.read(|view| look(view, job_key, clock::now()));
    }
    Ok(Looked::Due)
}

fn look(view: &View<'_>, job_key: i64, now: Timestamp) -> Result<Looked, StoreError> {
    let Some(job) = view.job_by_key(job_key)? else { return Ok(Looked::Open(None)) };
    match job.life.state {
        JobState::Deleting => Ok(Looked::Due),
        JobState::Terminating => {
            let is_idle = view.task_counts(job_key)?.running.tasks == 0;
            Ok(if is_idle { Looked::Due } else { Looked::Open(None) })
        }
        JobState::Active => match end_of(view, &job, now)? {
            OwnEnd::Now(_) => Ok(Looked::Due),
            OwnEnd::Later(at) => Ok(Looked::Open(at)),
        },
        JobState::Disabling | JobState::Disabled | JobState::Enabling | JobState::Completed => {
            Ok(Looked::Open(None))
        }
    }
}

/// Whether an open job ends by itself now.
fn end_of(view: &View<'_>, job: &Job, now: Timestamp) -> Result<OwnEnd, StoreError> {
    let spec = kept::job_spec(job)?;
    let counts = view.task_counts(job.key)?;
    let open = counts.active.tasks + counts.running.tasks;
    let all = open + counts.succeeded.tasks + counts.failed.tasks;
    Ok(job::own_end(job, &spec, TaskTotals { all, open }, now))
}

/// Does what is due; false when more is left to do.
fn change(tx: &mut Tx<'_>, job_key: i64, now: Timestamp) -> Result<(bool, Outbox), StoreError> {
    let mut outbox = Outbox::default();
    let Some(job) = tx.job_by_key(job_key)? else { return Ok((true, outbox)) };
    let is_done = match job.life.state {
        JobState::Deleting => remove(tx, &job)?,
        JobState::Terminating => {
            complete(tx, &job, now)?;
            true
        }
        JobState::Active => {
            if let OwnEnd::Now(reason) = end_of(tx, &job, now)? {
                terminate_job(tx, job, reason.to_owned(), now, &mut outbox)?;
            }
            true
        }
        JobState::Disabling | JobState::Disabled | JobState::Enabling | JobState::Completed => true,
    };
    Ok((is_done, outbox))
}

/// Removes a deleted job with some of its tasks; false when some are left.
pub fn remove(tx: &mut Tx<'_>, job: &Job) -> Result<bool, StoreError> {
    let tasks = tx.tasks_in(job.key, &TaskRange::ALL, REMOVED_TASKS_MAX)?;
    for task in &tasks {
        tx.delete_task(task)?;
    }
    if tasks.len() == REMOVED_TASKS_MAX {
        return Ok(false);
    }
    tx.delete_job(job.key)?;
    tx.announce(Change::JobGone { job_key: job.key });
    tell_schedule(tx, job);
    Ok(true)
}

/// Completes a job that is being terminated once nothing of it runs.
pub fn complete(tx: &mut Tx<'_>, job: &Job, now: Timestamp) -> Result<(), StoreError> {
    if tx.task_counts(job.key)?.running.tasks > 0 {
        return Ok(());
    }
    if let Ok(life) = job::step(job, JobFact::Stopped, now) {
        tx.update_job(job.key, &life)?;
        tell_schedule(tx, job);
    }
    Ok(())
}

/// The next job of a schedule may wait for the end of this one.
fn tell_schedule(tx: &mut Tx<'_>, job: &Job) {
    if let Some(schedule_key) = job.schedule_key {
        tx.announce(Change::JobSchedule { schedule_key });
    }
}
