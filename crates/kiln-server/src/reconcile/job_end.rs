//! Brings jobs to where they are going: to rest, to work again, to their ends, and away with
//! all they have.
//!
//! A job may have a million tasks. Each commit deals with some of them and writes that down,
//! so that other operations come in between and a restart goes on where this one stopped.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{DisableTasks, Job, JobFact, JobState};
use kiln_domain::batch::job_end::{self, OwnEnd, Progress};
use kiln_domain::batch::task::TaskFact;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, TaskRange, Tx, View};
use tracing::error;

use super::deadlines::Deadlines;
use crate::batch::{Outbox, forget_job, step_job, stop_tasks, terminate_job};
use crate::server::Server;
use crate::{clock, kept};

/// Running tasks that are stopped in one commit at the most.
const STOPPED_TASKS_MAX: usize = 250;
/// Tasks that are removed in one commit at the most.
const REMOVED_TASKS_MAX: usize = 500;
/// Jobs that are worked on at the same time; their commits are shared.
const JOBS_AT_ONCE: usize = 8;

/// What a look at a job found.
enum Looked {
    /// Nothing is to be done, unless its time runs out.
    Open(Option<Timestamp>),
    /// There is something to change, or there may be more of it.
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
        let looking = stream::iter(keys).map(|key| {
            let server = Arc::clone(&server);
            async move { (key, settle(&server, key).await) }
        });
        let mut looked = looking.buffer_unordered(JOBS_AT_ONCE);
        while let Some((job_key, found)) = looked.next().await {
            match found {
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

/// What a job needs next.
enum Step {
    /// Nothing, unless its time runs out.
    Rest(Option<Timestamp>),
    /// To be ended for this reason.
    End(&'static str),
    /// Some of its running tasks are to be stopped.
    Stop(TaskFact),
    /// To be what it was about to become.
    Settle,
    /// Some of its tasks are to be removed, as many more are left.
    Shrink,
    /// To be removed with the rest of its tasks.
    Remove,
}

/// Decides what a job needs next; with [`change`] the only rule about the order of its ends.
fn next_step(view: &View<'_>, job: &Job, now: Timestamp) -> Result<Step, StoreError> {
    let counts = view.task_counts(job.key)?;
    let is_running = counts.running.tasks > 0;
    let open = counts.active.tasks + counts.running.tasks;
    let all = open + counts.succeeded.tasks + counts.failed.tasks;
    let spec = kept::job_spec(job)?;
    let is_managed_to_end = match &spec.job_manager_task {
        Some(it) => view.task(job.key, &it.id)?.is_some_and(|task| it.ends_job(&task)),
        None => false,
    };
    let tasks = Progress { all, open, is_managed_to_end };
    let rest = match job_end::own_end(job, &spec, tasks, now) {
        OwnEnd::Now(reason) => return Ok(Step::End(reason)),
        OwnEnd::Later(at) => Step::Rest(at),
    };
    Ok(match (job.life.state, job.life.disable_tasks) {
        (JobState::Active | JobState::Disabled | JobState::Completed, _) => rest,
        (JobState::Enabling, _) => Step::Settle,
        (JobState::Disabling, _) if !is_running => Step::Settle,
        (JobState::Disabling, Some(DisableTasks::Wait)) => rest,
        (JobState::Disabling, Some(DisableTasks::Requeue)) => Step::Stop(TaskFact::Requeued),
        (JobState::Disabling, Some(DisableTasks::Terminate) | None)
        | (JobState::Terminating | JobState::Deleting, _)
            if is_running =>
        {
            Step::Stop(TaskFact::Terminated)
        }
        // Ending is over once no task runs and nothing is left to release on any node.
        (JobState::Disabling | JobState::Terminating, _) => Step::Settle,
        (JobState::Deleting, _) => {
            let is_small = usize::try_from(all).is_ok_and(|all| all <= REMOVED_TASKS_MAX);
            if is_small { Step::Remove } else { Step::Shrink }
        }
    })
}

/// Looks at a job; changes it only when there is something to change, so that the end of an
/// ordinary task costs no commit of its own.
async fn settle(server: &Server, job_key: i64) -> Result<Looked, StoreError> {
    let looked = server.store.read(|view| {
        let Some(job) = view.job_by_key(job_key)? else { return Ok(Looked::Open(None)) };
        Ok::<_, StoreError>(match next_step(view, &job, clock::now())? {
            Step::Rest(at) => Looked::Open(at),
            Step::Remove => {
                // Its nodes hear of it before another job can have its name.
                forget_job(view, &job)?.send(server);
                Looked::Due
            }
            Step::End(_) | Step::Stop(_) | Step::Settle | Step::Shrink => Looked::Due,
        })
    })?;
    if let Looked::Open(_) = looked {
        return Ok(looked);
    }
    let (looked, outbox) = server.store.write(move |tx| change(tx, job_key, clock::now())).await?;
    outbox.send(server);
    Ok(looked)
}

/// Does what a job needs next, as far as one commit should.
fn change(tx: &mut Tx<'_>, job_key: i64, now: Timestamp) -> Result<(Looked, Outbox), StoreError> {
    let mut outbox = Outbox::default();
    let looked = loop {
        let Some(job) = tx.job_by_key(job_key)? else { break Looked::Open(None) };
        match next_step(tx, &job, now)? {
            Step::Rest(at) => break Looked::Open(at),
            Step::End(reason) => terminate_job(tx, &job, reason, now)?,
            Step::Settle => step_job(tx, &job, JobFact::Settled, now)?,
            Step::Stop(fact) => {
                stop_tasks(tx, &job, &fact, STOPPED_TASKS_MAX, now, &mut outbox)?;
                break Looked::Due;
            }
            Step::Shrink => {
                remove_tasks(tx, &job)?;
                break Looked::Due;
            }
            Step::Remove => {
                remove_tasks(tx, &job)?;
                tx.delete_job(job.key)?;
                tx.announce(Change::JobGone { job_key: job.key });
                if let Some(schedule_key) = job.schedule_key {
                    tx.announce(Change::JobSchedule { schedule_key });
                }
            }
        }
    };
    Ok((looked, outbox))
}

fn remove_tasks(tx: &mut Tx<'_>, job: &Job) -> Result<(), StoreError> {
    for task in tx.tasks_in(job.key, &TaskRange::ALL, REMOVED_TASKS_MAX)? {
        tx.delete_task(&task)?;
    }
    Ok(())
}
