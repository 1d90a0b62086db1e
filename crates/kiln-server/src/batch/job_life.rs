//! Steps in the life of a job that operations, rules and reconcilers share. Each only writes
//! down where the job stands; what follows from it for tasks and nodes is the reconciler's.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{self, Job, JobFact, JobLife, JobSpec, JobState};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};

use super::auto_pool;
use super::error::OpError;
use crate::kept;

/// Ends a job for this reason, if it can be ended where it stands.
pub(crate) fn terminate(
    tx: &mut Tx<'_>,
    job: &Job,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let fact = JobFact::Terminated { reason: reason.to_owned(), is_forced: false };
    take_if_allowed(tx, job, fact, now)
}

/// Lets `fact` happen to a job as a rule wants it, if the job allows it where it stands.
pub(crate) fn take_if_allowed(
    tx: &mut Tx<'_>,
    job: &Job,
    fact: JobFact,
    now: Timestamp,
) -> Result<(), StoreError> {
    match take(tx, job, fact, now) {
        Ok(_) => Ok(()),
        // It has gone on to an end that leaves no room for what the rule wanted.
        Err(failed) => failed.into_rejection().map(drop),
    }
}

/// Lets `fact` happen to a job, and keeps what becomes of it.
///
/// # Errors
/// When the job does not allow it where it stands.
pub(super) fn take(
    tx: &mut Tx<'_>,
    job: &Job,
    fact: JobFact,
    now: Timestamp,
) -> Result<JobLife, OpError> {
    let life = job::step(job, fact, now)?;
    keep(tx, job, &life, now)?;
    Ok(life)
}

/// Keeps what has become of a job; dispatch and the reconciler hear of it.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    job: &Job,
    life: &JobLife,
    now: Timestamp,
) -> Result<(), StoreError> {
    if *life == job.life {
        return Ok(());
    }
    tx.update_job(job.key, life)?;
    let spec = kept::job_spec(job)?;
    if life.state == JobState::Completed && job.life.state != JobState::Completed {
        auto_pool::release(tx, job, &spec, now)?;
    }
    tx.announce(change(&Job { life: life.clone(), ..job.clone() }, &spec));
    tx.announce(Change::JobEnd { job_key: job.key });
    // The next job of a schedule may wait for the end of this one.
    if let Some(schedule_key) = job.schedule_key {
        tx.announce(Change::JobSchedule { schedule_key });
    }
    Ok(())
}

/// How a job takes part in scheduling; one that has ended does not.
pub(crate) fn change(job: &Job, spec: &JobSpec) -> Change {
    if job.life.state == JobState::Completed {
        return Change::JobGone { job_key: job.key };
    }
    Change::Job {
        job_key: job.key,
        account: job.account.clone(),
        pool_id: job.life.pool_id.clone(),
        priority: spec.priority,
        is_open: job.life.is_open(),
        parallel_tasks_max: u32::try_from(spec.max_parallel_tasks).ok(),
        allows_preemption: spec.allow_task_preemption,
    }
}
