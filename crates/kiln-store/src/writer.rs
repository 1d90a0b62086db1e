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
use crate::rows::known::Known;
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

/// A moment of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Its operations ran, and it is on its way to the disk: what ends now loses it.
    Flushing,
    /// It is on the disk, and nobody knows.
    Durable,
}

/// A writer without a thread, for a simulation: it works while [`ByHand::run`] is polled.
/// Dropped in the middle of a commit, it leaves what a crash of the machine would.
pub struct ByHand {
    pen: Pen,
    waiting: mpsc::Receiver<Job>,
    ears: Ears,
}

impl ByHand {
    /// Writes as the thread does until the store is dropped. At each moment of a commit it
    /// waits for `disk`, which may refuse a commit that is on its way.
    pub async fn run<F>(mut self, mut disk: impl FnMut(Moment) -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        while let Some(first) = self.waiting.recv().await {
            let mut shared = Shared::run(&self.pen, gather(first, &mut self.waiting));
            if let Err(refused) = disk(Moment::Flushing).await {
                shared.result = shared.result.and(Err(refused));
            }
            shared.commit(&self.pen, &mut self.ears);
            // What is durable can not be refused any more.
            drop(disk(Moment::Durable).await);
            shared.tell(&mut self.ears);
        }
    }
}

impl std::fmt::Debug for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByHand").finish_non_exhaustive()
    }
}

/// The writer's thread, which ends when this is dropped.
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, ears: Ears, flusher: Option<Flusher>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let pen = Pen { connection, known: Known::default() };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&pen, waiting, ears, flusher.as_ref()))
            .expect("a process can start one more thread");
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.jobs.as_ref().map_or(0, |jobs| jobs.max_capacity().saturating_sub(jobs.capacity()))
    }

    /// A writer whose operations another one runs: who polls the second.
    pub(crate) fn by_hand(connection: Connection, ears: Ears) -> (Self, ByHand) {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let pen = Pen { connection, known: Known::default() };
        (Self { jobs: Some(jobs), thread: None }, ByHand { pen, waiting, ears })
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

fn run(pen: &Pen, mut waiting: mpsc::Receiver<Job>, mut ears: Ears, flusher: Option<&Flusher>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut shared = Shared::run(pen, gather(first, &mut waiting));
        shared.commit(pen, &mut ears);
        shared.tell(&mut ears);
        if let Some(flusher) = flusher {
            flusher.note();
        }
    }
}

/// The operations that share a commit: this one, and those that wait already.
fn gather(first: Job, waiting: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut jobs = vec![first];
    while jobs.len() < SHARED_MAX
        && let Ok(next) = waiting.try_recv()
    {
        jobs.push(next);
    }
    jobs
}

/// What is written with.
struct Pen {
    connection: Connection,
    known: Known,
}

/// Operations that share a commit, and ran.
struct Shared {
    answers: Vec<Answer>,
    announced: Vec<Change>,
    result: Result<(), String>,
    began_at: Instant,
    ran_for: Duration,
}

impl Shared {
    /// Runs the operations inside a transaction, which stays open.
    fn run(pen: &Pen, jobs: Vec<Job>) -> Self {
        let began_at = tick();
        let (mut answers, mut announced) = (Vec::new(), Vec::new());
        let result = pen
            .connection
            .execute_batch("BEGIN IMMEDIATE")
            .and_then(|()| {
                let mut is_empty = true;
                for job in jobs {
                    let run = if is_empty { run_first } else { run_one };
                    let Done { is_kept, answer } = run(pen, job, &mut announced)?;
                    is_empty &= !is_kept;
                    answers.push(answer);
                }
                Ok(())
            })
            .map_err(|cause| cause.to_string());
        Self { answers, announced, result, began_at, ran_for: began_at.elapsed() }
    }

    /// Makes what they did durable, or undoes it.
    fn commit(&mut self, pen: &Pen, ears: &mut Ears) {
        if self.result.is_ok() {
            let committed = pen.connection.execute_batch("COMMIT");
            self.result = committed.map_err(|cause| cause.to_string());
        }
        (ears.watcher)(Committed {
            n_operations: u32::try_from(self.answers.len()).unwrap_or(u32::MAX),
            ran_for: self.ran_for,
            flushed_for: self.began_at.elapsed().saturating_sub(self.ran_for),
            is_kept: self.result.is_ok(),
        });
        let Err(cause) = &self.result else { return };
        error!(%cause, "a commit failed; none of its operations happened");
        pen.known.forget_all();
        if !pen.connection.is_autocommit()
            && let Err(cause) = pen.connection.execute_batch("ROLLBACK")
        {
            error!(%cause, "a failed commit could not be rolled back");
        }
    }

    /// Says what happened: first to the observer, then to those who asked.
    fn tell(self, ears: &mut Ears) {
        if self.result.is_ok() && !self.announced.is_empty() {
            (ears.observer)(self.announced);
        }
        for answer in self.answers {
            answer(self.result.clone());
        }
    }
}

/// A moment, to measure time from.
#[expect(clippy::disallowed_methods, reason = "the writer alone measures what it does")]
fn tick() -> Instant {
    Instant::now()
}

/// Runs an operation before which the transaction holds nothing: it needs no savepoint, for which
/// SQLite would keep a copy of each page that it changes.
fn run_first(pen: &Pen, job: Job, announced: &mut Vec<Change>) -> Result<Done, rusqlite::Error> {
    let done = run_inside(pen, job, announced);
    if !done.is_kept {
        pen.connection.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?;
    }
    Ok(done)
}

/// Runs an operation after others, which stay when it is undone.
fn run_one(pen: &Pen, job: Job, announced: &mut Vec<Change>) -> Result<Done, rusqlite::Error> {
    let step = |sql| pen.connection.prepare_cached(sql)?.execute([]);
    step("SAVEPOINT op")?;
    let done = run_inside(pen, job, announced);
    if !done.is_kept {
        step("ROLLBACK TO op")?;
    }
    step("RELEASE op")?;
    Ok(done)
}

fn run_inside(Pen { connection, known }: &Pen, job: Job, announced: &mut Vec<Change>) -> Done {
    let mut tx = Tx::knowing(connection, known);
    let done = (job.run)(&mut tx);
    if done.is_kept {
        announced.extend(tx.into_announced());
    } else {
        known.forget_all();
    }
    done
}
