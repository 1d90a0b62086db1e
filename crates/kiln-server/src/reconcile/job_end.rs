//! Brings jobs that end to their end: removes what a deleted one has.

use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{self, Job, JobFact, JobState};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use tracing::error;

use crate::clock;
use crate::server::Server;

/// Tasks that are removed in one commit at the most.
const REMOVED_TASKS_MAX: usize = 500;

/// Looks at jobs until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        for job_key in server.signals.jobs().take().await {
            let looked = server.store.write(move |tx| look(tx, job_key, clock::now())).await;
            match looked {
                Ok(is_done) => {
                    if !is_done {
                        server.signals.jobs().mark(job_key);
                    }
                }
                Err(cause) => {
                    error!(error = %crate::chain(&cause), job_key, "a job could not be ended");
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.jobs().mark(job_key);
                }
            }
        }
    }
}

fn look(tx: &mut Tx<'_>, job_key: i64, now: Timestamp) -> Result<bool, StoreError> {
    match tx.job_by_key(job_key)? {
        Some(job) if job.life.state == JobState::Deleting => remove(tx, &job),
        Some(job) if job.life.state == JobState::Terminating => {
            complete(tx, &job, now)?;
            Ok(true)
        }
        Some(_) | None => Ok(true),
    }
}

/// Removes a deleted job with some of its tasks; false when some are left.
pub fn remove(tx: &mut Tx<'_>, job: &Job) -> Result<bool, StoreError> {
    let tasks = tx.tasks_after(job.key, "", REMOVED_TASKS_MAX)?;
    for task in &tasks {
        tx.delete_task(task)?;
    }
    if tasks.len() == REMOVED_TASKS_MAX {
        return Ok(false);
    }
    tx.delete_job(job.key)?;
    tx.announce(Change::JobGone { job_key: job.key });
    Ok(true)
}

/// Completes a job that is being terminated once nothing of it runs.
pub fn complete(tx: &mut Tx<'_>, job: &Job, now: Timestamp) -> Result<(), StoreError> {
    if tx.task_counts(job.key)?.running.tasks > 0 {
        return Ok(());
    }
    if let Ok(life) = job::step(job, JobFact::Stopped, now) {
        tx.update_job(job.key, &life)?;
    }
    Ok(())
}
