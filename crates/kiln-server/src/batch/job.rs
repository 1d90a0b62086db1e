//! Jobs: add, get, list, terminate, delete, counts of tasks.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{self, Job, JobFact, JobLife, JobSpec, JobState};
use kiln_domain::batch::task::{self, TaskFact};
use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_store::{Count, StoreError, Tx, View};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::job::{tree, url, whole_directory};
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, metadata};
use kiln_wire::node::ToAgent;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::conditions::Conditions;
use super::error::OpError;
use super::outbox::{Outbox, keep_ended};
use super::page::Page;
use super::spec;
use super::unoffered;
use crate::{kept, reconcile};

/// A job that is about to be added.
pub(crate) struct NewJob {
    /// What the rules read of `document`.
    pub(crate) spec: JobSpec,
    /// Its specification in the newest shape, with its id and every default.
    pub(crate) document: Value,
    /// The pool that runs it.
    pub(crate) pool_id: String,
    /// The job schedule that makes it.
    pub(crate) schedule_key: Option<i64>,
}

/// The reason of a termination for which the client gives none.
const TERMINATED_BY_USER: &str = "UserTerminate";

/// `POST /jobs`.
pub(super) async fn add(call: &Call) -> Result<Answer, Refusal> {
    let document = call.lift(Shape::JobAdd)?;
    unoffered::check_job(&document)?;
    let spec: JobSpec = spec::read(&document, "job specification")?;
    let pool_id = job::admit(&spec)?;
    let new = NewJob { spec, document, pool_id, schedule_key: None };
    let (account, job_id, now) = (call.account.clone(), new.spec.id.clone(), call.now);
    let job = call
        .server
        .store
        .write(move |tx| {
            refuse_existing(tx, &account, &new.spec.id)?;
            Ok::<_, OpError>(insert(tx, &account, new, now)?)
        })
        .await?;
    Ok(Answer::created(url(&call.base_url, &job_id), job.life.modified_at))
}

/// `GET /jobs`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    Page::of(call, Shape::Job, Some(List::Jobs))?.collect(metadata::JOBS, |after, limit| {
        let jobs = call.server.store.read(|view| view.jobs_after(&call.account, after, limit));
        let jobs = jobs.map_err(OpError::Store)?;
        Ok(jobs.into_iter().map(|job| (job.id.clone(), tree(&job, &call.base_url))).collect())
    })
}

/// `GET /jobs/J`.
pub(super) fn get(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let job = call.server.store.read(|view| find(view, &call.account, job_id))?;
    Conditions::of(call)?.check(job.life.modified_at)?;
    let tree = tree(&job, &call.base_url);
    let answer = Page::of(call, Shape::Job, None)?.single(metadata::JOBS, tree)?;
    Ok(answer.revision(job.life.modified_at))
}

/// `GET /jobs/J/taskcounts`.
pub(super) fn task_counts(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let counts = call.server.store.read(|view| {
        let job = find(view, &call.account, job_id)?;
        Ok::<_, OpError>(view.task_counts(job.key)?)
    })?;
    let numbers = |of: fn(&Count) -> i64| {
        let (succeeded, failed) = (of(&counts.succeeded), of(&counts.failed));
        json!({
            "active": of(&counts.active),
            "running": of(&counts.running),
            "completed": succeeded + failed,
            "succeeded": succeeded,
            "failed": failed,
        })
    };
    let tree = json!({
        "taskCounts": numbers(|count| count.tasks),
        "taskSlotCounts": numbers(|count| count.slots),
    });
    Page::of(call, Shape::TaskCounts, None)?.single(metadata::task_counts(call.version), tree)
}

/// `POST /jobs/J/terminate`.
pub(super) async fn terminate(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::JobTerminate)?;
    let reason = body.get("terminateReason").and_then(Value::as_str).unwrap_or(TERMINATED_BY_USER);
    let reason = reason.to_owned();
    let conditions = Conditions::of(call)?;
    let (account, job_id, now) = (call.account.clone(), job_id.to_owned(), call.now);
    let (modified_at, outbox) = call
        .server
        .store
        .write(move |tx| {
            let job = find(tx, &account, &job_id)?;
            conditions.check(job.life.modified_at)?;
            job::step(&job, JobFact::Terminated(reason.clone()), now)?;
            let mut outbox = Outbox::default();
            end(tx, job, reason, now, &mut outbox)?;
            Ok::<_, OpError>((now, outbox))
        })
        .await?;
    outbox.send(&call.server);
    Ok(Answer::done(202, call, modified_at))
}

/// `DELETE /jobs/J`.
pub(super) async fn delete(call: &Call, job_id: &str) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, job_id, now) = (call.account.clone(), job_id.to_owned(), call.now);
    let outbox = call
        .server
        .store
        .write(move |tx| {
            let job = find(tx, &account, &job_id)?;
            conditions.check(job.life.modified_at)?;
            let mut outbox = Outbox::default();
            remove(tx, job, now, &mut outbox)?;
            Ok::<_, OpError>(outbox)
        })
        .await?;
    outbox.send(&call.server);
    Ok(Answer::new(202))
}

/// The job of that id.
pub(super) fn find(view: &View<'_>, account: &str, job_id: &str) -> Result<Job, OpError> {
    let not_found = || Rejection::JobNotFound { job: job_id.to_owned() };
    Ok(view.job(account, job_id)?.ok_or_else(not_found)?)
}

/// How a job takes part in scheduling.
pub(crate) fn change(job: &Job, spec: &JobSpec) -> Change {
    Change::Job {
        job_key: job.key,
        account: job.account.clone(),
        pool_id: job.life.pool_id.clone(),
        priority: spec.priority,
        is_open: job.life.is_open(),
        parallel_tasks_max: u32::try_from(spec.max_parallel_tasks).ok(),
    }
}

/// Adds a job whose id is free: the one way in which a job comes to be.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    account: &str,
    new: NewJob,
    now: Timestamp,
) -> Result<Job, StoreError> {
    let NewJob { spec, document, pool_id, schedule_key } = new;
    let job = Job {
        key: 0,
        account: account.to_owned(),
        id: spec.id.clone(),
        document: document.to_string(),
        schedule_key,
        life: JobLife::new(pool_id, now),
    };
    let job = Job { key: tx.insert_job(&job)?, ..job };
    tx.announce(change(&job, &spec));
    // Its time may run out, or it may have to end as soon as it has no tasks.
    tx.announce(Change::JobEnd { job_key: job.key });
    Ok(job)
}

/// Begins to remove a job with all it has.
///
/// # Errors
/// When it is being removed already.
pub(crate) fn remove(
    tx: &mut Tx<'_>,
    job: Job,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), OpError> {
    let life = job::step(&job, JobFact::Deleted, now)?;
    let job = close(tx, job, life)?;
    end_tasks(tx, &job, now, outbox)?;
    forget_files(tx, &job, outbox)?;
    if !reconcile::remove_job(tx, &job)? {
        tx.announce(Change::JobEnd { job_key: job.key });
    }
    Ok(())
}

/// Ends a job with its running tasks, if it can be ended where it stands.
pub(crate) fn end(
    tx: &mut Tx<'_>,
    job: Job,
    reason: String,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let Ok(life) = job::step(&job, JobFact::Terminated(reason), now) else { return Ok(()) };
    let job = close(tx, job, life)?;
    end_tasks(tx, &job, now, outbox)?;
    reconcile::complete_job(tx, &job, now)
}

fn end_tasks(
    tx: &mut Tx<'_>,
    job: &Job,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    for task in tx.running_tasks(job.key)? {
        // One that has just ended by itself needs no other end.
        if let Ok(life) = task::step(&task, TaskFact::Terminated, now) {
            keep_ended(tx, &task, &life, now, outbox)?;
        }
    }
    Ok(())
}

/// Keeps a life in which no task of the job may start any more.
fn close(tx: &mut Tx<'_>, job: Job, life: JobLife) -> Result<Job, StoreError> {
    tx.update_job(job.key, &life)?;
    let spec = kept::job_spec(&job)?;
    let job = Job { life, ..job };
    tx.announce(change(&job, &spec));
    Ok(job)
}

/// The nodes of the job's pool remove what they keep of it.
fn forget_files(tx: &mut Tx<'_>, job: &Job, outbox: &mut Outbox) -> Result<(), OpError> {
    let Some(pool) = tx.pool(&job.account, &job.life.pool_id)? else { return Ok(()) };
    for node in tx.nodes_of_pool(pool.key)? {
        let path = whole_directory(&job.id);
        outbox.add(&node.id, ToAgent::RemoveDirectory { path });
    }
    Ok(())
}

fn refuse_existing(view: &View<'_>, account: &str, job_id: &str) -> Result<(), OpError> {
    match view.job(account, job_id)? {
        None => Ok(()),
        Some(job) if job.life.state == JobState::Deleting => {
            Err(Rejection::JobBeingDeleted { job: job.id }.into())
        }
        Some(job) => Err(Rejection::JobExists { job: job.id }.into()),
    }
}
