//! The writer: runs waiting operations one after another inside one transaction, each in a
//! savepoint of its own, commits once, then answers all of them.
//!
//! Throughput comes from here: the flush of the disk is shared, never skipped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kiln_domain::batch::change::Change;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::flusher::Flusher;
use crate::rows::node::KnownNodes;
use crate::store::{Committed, Observer, Watcher};
use crate::{StoreError, Tx};

/// Operations that wait for the writer at the most; more wait for a place.
const WAITING_MAX: usize = 4096;
/// Operations that share one commit at the most.
const SHARED_MAX: usize = 1024;

/// Sends the answer of an operation once it is known whether the commit happened.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// An operation and the way to answer it.
pub(crate) struct Job {
    run: Box<dyn FnOnce(&mut Tx<'_>) -> Done + Send>,
}

/// An operation that ran.
struct Done {
    is_kept: bool,
    answer: Answer,
}

impl Job {
    pub(crate) fn new<T, E>(
        op: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        answer: oneshot::Sender<Result<T, E>>,
    ) -> Self
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self {
            run: Box::new(move |tx| {
                // A panic in an operation is a bug of it alone: its savepoint is undone and
                // the asker finds the answer missing; its neighbors go on.
                let whole = || {
                    let value = op(tx)?;
                    tx.keep_usage()?;
                    tx.keep_counts()?;
                    Ok(value)
                };
                let result = match catch_unwind(AssertUnwindSafe(whole)) {
                    Ok(result) => result,
                    Err(_panic) => {
                        error!("bug: a store operation panicked; it was undone");
                        return Done { is_kept: false, answer: Box::new(move |_| drop(answer)) };
                    }
                };
                Done {
                    is_kept: result.is_ok(),
                    answer: Box::new(move |commit| {
                        let result = match (result, commit) {
                            (Ok(_), Err(cause)) => Err(StoreError::Commit(cause).into()),
                            (result, _) => result,
                        };
                        // The asker may have gone; then nobody waits for the answer.
                        drop(answer.send(result));
                    }),
                }
            }),
        }
    }
}

/// Who is told of commits.
pub(crate) struct Ears {
    pub(crate) observer: Observer,
    pub(crate) watcher: Watcher,
}

/// The writer's thread, which ends when this is dropped.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, ears: Ears, flusher: Option<Flusher>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&connection, waiting, ears, flusher.as_ref()))
            .expect("a process can start one more thread");
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.jobs.as_ref().map_or(0, |jobs| jobs.max_capacity().saturating_sub(jobs.capacity()))
    }

    pub(crate) async fn submit(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).await.map_err(|_closed| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("bug: the store's writer panicked");
        }
    }
}

fn run(
    connection: &Connection,
    mut waiting: mpsc::Receiver<Job>,
    mut ears: Ears,
    flusher: Option<&Flusher>,
) {
    let mut jobs = Vec::with_capacity(SHARED_MAX);
    let nodes = KnownNodes::default();
    while let Some(first) = waiting.blocking_recv() {
        jobs.push(first);
        while jobs.len() < SHARED_MAX
            && let Ok(next) = waiting.try_recv()
        {
            jobs.push(next);
        }
        run_together((connection, &nodes), jobs.drain(..), &mut ears);
        if let Some(flusher) = flusher {
            flusher.note();
        }
    }
}

fn run_together(
    (connection, nodes): (&Connection, &KnownNodes),
    jobs: impl Iterator<Item = Job>,
    ears: &mut Ears,
) {
    let mut answers: Vec<Answer> = Vec::new();
    let mut announced = Vec::new();
    let began_at = tick();
    let mut ran_for = Duration::ZERO;
    let result = connection
        .execute_batch("BEGIN IMMEDIATE")
        .and_then(|()| {
            for job in jobs {
                answers.push(run_one((connection, nodes), job, &mut announced)?);
            }
            ran_for = began_at.elapsed();
            connection.execute_batch("COMMIT")
        })
        .map_err(|cause| cause.to_string());
    (ears.watcher)(Committed {
        n_operations: u32::try_from(answers.len()).unwrap_or(u32::MAX),
        ran_for,
        flushed_for: began_at.elapsed().saturating_sub(ran_for),
        is_kept: result.is_ok(),
    });
    if let Err(cause) = &result {
        error!(%cause, "a commit failed; none of its operations happened");
        nodes.forget_all();
        if !connection.is_autocommit()
            && let Err(cause) = connection.execute_batch("ROLLBACK")
        {
            error!(%cause, "a failed commit could not be rolled back");
        }
    } else if !announced.is_empty() {
        (ears.observer)(announced);
    }
    for answer in answers {
        answer(result.clone());
    }
}

/// A moment, to measure time from.
#[expect(clippy::disallowed_methods, reason = "the writer alone measures what it does")]
fn tick() -> Instant {
    Instant::now()
}

fn run_one(
    (connection, nodes): (&Connection, &KnownNodes),
    job: Job,
    announced: &mut Vec<Change>,
) -> Result<Answer, rusqlite::Error> {
    connection.prepare_cached("SAVEPOINT op")?.execute([])?;
    let mut tx = Tx::knowing(connection, nodes);
    let done = (job.run)(&mut tx);
    if done.is_kept {
        announced.extend(tx.into_announced());
    } else {
        nodes.forget_all();
        connection.prepare_cached("ROLLBACK TO op")?.execute([])?;
    }
    connection.prepare_cached("RELEASE op")?.execute([])?;
    Ok(done.answer)
}
