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
use kiln_domain::limits::TASK_LIFETIME_DAYS;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, TaskRange, Tx, View};
use tracing::error;

use super::deadlines::Deadlines;
use crate::batch::{
    Outbox, forget_job, release_auto_pool, step_job, stop_if_allowed, stop_tasks, terminate_job,
};
use crate::preparation::{Steps, Unreleased, unreleased};
use crate::server::Server;
use crate::{clock, kept};

/// Running tasks that are stopped in one commit at the most.
const STOPPED_TASKS_MAX: usize = 250;
/// Nodes whose release is begun in one commit at the most.
const RELEASED_NODES_MAX: usize = 250;
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
            biased;
            () = deadlines.next() => deadlines.take_due(clock::now()),
            keys = server.signals.jobs().take() => keys,
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
    /// Its oldest tasks are to be given up.
    Expire,
    /// Some of its running tasks are to be stopped.
    Stop(TaskFact),
    /// Some of its nodes are to be released.
    Release,
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
        OwnEnd::Later(at) => at,
    };
    let expiry = expiry(view, job, open, now)?;
    if expiry.is_some_and(|at| at <= now) {
        return Ok(Step::Expire);
    }
    let rest = Step::Rest(rest.into_iter().chain(expiry).min());
    let unreleased = unreleased(view, job, &spec)?;
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
        (JobState::Terminating | JobState::Deleting, _) if unreleased == Unreleased::Due => {
            Step::Release
        }
        (JobState::Terminating | JobState::Deleting, _) if unreleased == Unreleased::UnderWay => {
            rest
        }
        // Ending is over once no task runs and nothing is left to release on any node.
        (JobState::Disabling | JobState::Terminating, _) => Step::Settle,
        (JobState::Deleting, _) => {
            let is_small = usize::try_from(all).is_ok_and(|all| all <= REMOVED_TASKS_MAX);
            if is_small { Step::Remove } else { Step::Shrink }
        }
    })
}

/// When the oldest of the open tasks of a job is given up, or a time before that. Tasks are
/// numbered as they are added, so the first open one is the oldest; none is older than the job.
/// A job without one is looked at no later than the next it gets is given up.
fn expiry(
    view: &View<'_>,
    job: &Job,
    open: i64,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    if !job.life.is_lasting() {
        return Ok(None);
    }
    if open == 0 {
        return Ok(Some(now.plus(Span::days(TASK_LIFETIME_DAYS))));
    }
    let earliest = job.life.created_at.plus(Span::days(TASK_LIFETIME_DAYS));
    if earliest > now {
        return Ok(Some(earliest));
    }
    let oldest = view.open_tasks_after(job.key, 0, 1)?;
    Ok(oldest.first().map(|task| task.life.expires_at()))
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
            Step::End(_)
            | Step::Expire
            | Step::Stop(_)
            | Step::Release
            | Step::Settle
            | Step::Shrink => Looked::Due,
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
            Step::Expire => {
                for task in tx.open_tasks_after(job.key, 0, STOPPED_TASKS_MAX)? {
                    if task.life.expires_at() <= now {
                        stop_if_allowed(tx, &task, TaskFact::Expired, now, &mut outbox)?;
                    }
                }
                break Looked::Due;
            }
            Step::Stop(fact) => {
                stop_tasks(tx, &job, &fact, STOPPED_TASKS_MAX, now, &mut outbox)?;
                break Looked::Due;
            }
            Step::Release => {
                Steps::new(tx, now, &mut outbox).release(&job, RELEASED_NODES_MAX)?;
                break Looked::Due;
            }
            Step::Shrink => {
                remove_tasks(tx, &job)?;
                break Looked::Due;
            }
            Step::Remove => {
                remove_tasks(tx, &job)?;
                release_auto_pool(tx, &job, &kept::job_spec(&job)?, now)?;
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

#[cfg(test)]
mod tests {
    use kiln_domain::batch::job::{self, Job, JobFact, JobLife};
    use kiln_domain::batch::needs::TaskNeeds;
    use kiln_domain::batch::task::{Place, Task, TaskFact, TaskLife, step};
    use kiln_domain::batch::ties::Ties;
    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;
    use kiln_store::{Store, StoreError, Tx};

    use super::{Looked, REMOVED_TASKS_MAX, STOPPED_TASKS_MAX, change};

    const NOW: Timestamp = Timestamp(7);

    fn task(job_key: i64, id: String, added_at: Timestamp) -> Task {
        Task {
            job_key,
            id,
            sequence: 0,
            needs: TaskNeeds::slots(1),
            ties: Ties::default(),
            n_unmet: 0,
            document: "{}".to_owned(),
            life: TaskLife::new(0, added_at),
        }
    }

    /// Adds a job in which `running` tasks run and `waiting` more wait, and lets `fact` happen.
    fn add(tx: &mut Tx<'_>, running: usize, waiting: usize, fact: JobFact) -> i64 {
        let mut job = Job {
            key: 0,
            account: "acct".to_owned(),
            id: "j".to_owned(),
            document: r#"{"id":"j","poolInfo":{"poolId":"p"}}"#.to_owned(),
            schedule_key: None,
            life: JobLife::new("p".to_owned(), NOW),
        };
        job.life = job::step(&job, fact, NOW).expect("an active job takes all of them");
        job.key = tx.insert_job(&job).expect("a new job");
        for number in 0..running + waiting {
            let mut task = task(job.key, format!("t{number}"), NOW);
            tx.insert_task(&mut task).expect("a new task");
            if number < running {
                let place = Place { pool_id: "p".to_owned(), node_id: "n".to_owned() };
                let life = step(&task, TaskFact::Assigned(place), NOW);
                let life = life.expect("a waiting task is placed");
                tx.update_task(&task, &life).expect("a kept task");
            }
        }
        job.key
    }

    /// Running and all tasks of a job after each commit, until there is nothing more to do; each
    /// commit is made by a server that was just started.
    async fn check(running: usize, waiting: usize, fact: JobFact, expected: &[(usize, usize)]) {
        let data = tempfile::tempdir().expect("a directory");
        let open = || Store::open(data.path(), Box::new(drop)).expect("a store");
        let adding = move |tx: &mut Tx<'_>| Ok::<_, StoreError>(add(tx, running, waiting, fact));
        let key = open().write(adding).await.expect("a job");
        let mut seen = Vec::new();
        loop {
            let changed = open()
                .write(move |tx| {
                    let (looked, _) = change(tx, key, NOW)?;
                    let counts = tx.task_counts(key)?;
                    let running = counts.running.tasks;
                    let ended = counts.succeeded.tasks + counts.failed.tasks;
                    Ok::<_, StoreError>((looked, running, counts.active.tasks + running + ended))
                })
                .await;
            let (looked, running, all) = changed.expect("a commit");
            seen.push((usize::try_from(running).unwrap_or(0), usize::try_from(all).unwrap_or(0)));
            if let Looked::Open(_) = looked {
                break;
            }
        }
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn a_large_job_is_removed_some_tasks_at_a_time() {
        let fact = JobFact::Deleted { is_forced: false };
        let many = 2 * REMOVED_TASKS_MAX;
        let expected = [(0, REMOVED_TASKS_MAX + 10), (0, 10), (0, 0)];
        check(0, many + 10, fact, &expected).await;
    }

    #[tokio::test]
    async fn a_busy_job_is_ended_some_tasks_at_a_time() {
        let fact = JobFact::Terminated { reason: "enough".to_owned(), is_forced: false };
        let (few, all) = (STOPPED_TASKS_MAX, 2 * STOPPED_TASKS_MAX + 15);
        check(2 * few + 5, 10, fact, &[(few + 5, all), (5, all), (0, all), (0, all)]).await;
    }

    #[tokio::test]
    async fn a_task_is_given_up_after_180_days() {
        let data = tempfile::tempdir().expect("a directory");
        let store = Store::open(data.path(), Box::new(drop)).expect("a store");
        let (running, waiting) = (1, STOPPED_TASKS_MAX);
        let adding = move |tx: &mut Tx<'_>| {
            let key = add(tx, running, waiting, JobFact::Settled);
            let young = task(key, "young".to_owned(), Timestamp(7).plus(Span::days(1)));
            tx.insert_task(&mut { young })?;
            Ok::<_, StoreError>(key)
        };
        let key = store.write(adding).await.expect("a job");
        let looked_at = |day: i64, ticks: i64| {
            let now = Timestamp(7 + ticks).plus(Span::days(day));
            store.write(move |tx| {
                let (looked, _) = change(tx, key, now)?;
                let counts = tx.task_counts(key)?;
                let open = counts.active.tasks + counts.running.tasks;
                Ok::<_, StoreError>((looked, open, counts.failed.tasks))
            })
        };
        let all = i64::try_from(running + waiting).expect("few");
        let (looked, open, _) = looked_at(180, -1).await.expect("a look");
        let at = Timestamp(7).plus(Span::days(180));
        assert!(matches!(looked, Looked::Open(Some(due)) if due == at));
        assert_eq!(open, all + 1);
        let (looked, open, _) = looked_at(180, 0).await.expect("a look");
        assert!(matches!(looked, Looked::Due) && open == 2, "{open}");
        looked_at(180, 0).await.expect("a look");
        let (looked, open, failed) = looked_at(180, 0).await.expect("a look");
        assert!(matches!(looked, Looked::Open(Some(due)) if due == at.plus(Span::days(1))));
        assert_eq!((open, failed), (1, all));
        let ended = store.read(|view| view.task(key, "t0")).expect("read").expect("a task");
        let failure = ended.life.failure.expect("a failure");
        assert_eq!((failure.code.as_str(), ended.life.modified_at), ("TaskEnded", NOW));
    }
}
