//! How many tasks of a job are in which state; kept, not counted.
//!
//! What one operation changes is noted, and written once for each job and state when the
//! operation ends: an operation that adds a hundred tasks writes one row. Whoever asks meanwhile
//! is told of both.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Rows, params};

use super::task::Bucket;
use crate::{StoreError, Tx, View};

/// How many tasks of a job are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Tasks that wait.
    pub active: Count,
    /// Tasks on a node.
    pub running: Count,
    /// Completed without failure.
    pub succeeded: Count,
    /// Completed with a failure.
    pub failed: Count,
}

/// A number of tasks, and their slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tasks.
    pub tasks: i64,
    /// Slots of these tasks.
    pub slots: i64,
}

impl TaskCounts {
    fn add(&mut self, bucket: Bucket, count: Count) {
        let place = match bucket {
            Bucket::Active => &mut self.active,
            Bucket::Preparing | Bucket::Running => &mut self.running,
            Bucket::Succeeded => &mut self.succeeded,
            Bucket::Failed => &mut self.failed,
        };
        place.add(count);
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.slots += other.slots;
    }
}

/// What an operation changed of the counts and is not written yet.
#[derive(Debug, Default)]
pub(crate) struct NotedCounts {
    changes: BTreeMap<(i64, Bucket), Count>,
    /// The sequence of the latest task of each job that got a new one.
    sequences: BTreeMap<i64, i64>,
}

impl NotedCounts {
    /// Notes that a task came to a state of its job, or left it.
    pub(super) fn count(&mut self, job_key: i64, bucket: Bucket, tasks: i64, slots: u32) {
        let change = self.changes.entry((job_key, bucket)).or_default();
        change.add(Count { tasks, slots: tasks * i64::from(slots) });
    }

    /// Notes that a task of a job got this sequence.
    pub(super) fn number(&mut self, job_key: i64, sequence: i64) {
        self.sequences.insert(job_key, sequence);
    }
}

impl View<'_> {
    /// How many tasks of a job are in which state.
    pub fn task_counts(&self, job_key: i64) -> Result<TaskCounts, StoreError> {
        let sql = "SELECT bucket, tasks, slots FROM task_count WHERE job_key = ?1";
        let mut statement = self.statement(sql)?;
        let mut counts = sum_up(statement.query(params![job_key])?)?;
        for bucket in Bucket::ALL {
            if let Some(change) = self.counted.changes.get(&(job_key, bucket)) {
                counts.add(bucket, *change);
            }
        }
        Ok(counts)
    }

    /// How many tasks of all jobs are in which state, as far as that is written.
    pub fn all_task_counts(&self) -> Result<TaskCounts, StoreError> {
        let sql = "SELECT bucket, SUM(tasks), SUM(slots) FROM task_count GROUP BY bucket";
        let mut statement = self.statement(sql)?;
        sum_up(statement.query([])?)
    }

    /// The sequence of the next task of a job: it numbers the tasks that were ever added, those
    /// that are gone too.
    pub(super) fn next_sequence(&self, job_key: i64) -> Result<i64, StoreError> {
        if let Some(latest) = self.counted.sequences.get(&job_key) {
            return Ok(latest + 1);
        }
        let sql = "SELECT last_sequence FROM task_count WHERE job_key = ?1 AND bucket = ?2";
        let values = params![job_key, Bucket::Active.number()];
        let latest = self.statement(sql)?.query_row(values, |row| row.get::<_, i64>(0));
        Ok(latest.optional()?.unwrap_or(0) + 1)
    }
}

/// Sums up rows of buckets.
fn sum_up(mut rows: Rows<'_>) -> Result<TaskCounts, StoreError> {
    let mut counts = TaskCounts::default();
    while let Some(row) = rows.next()? {
        let count = Count { tasks: row.get(1)?, slots: row.get(2)? };
        counts.add(Bucket::of_number(row.get(0)?), count);
    }
    Ok(counts)
}

impl Tx<'_> {
    /// Writes what the operation noted.
    pub(crate) fn keep_counts(&mut self) -> Result<(), StoreError> {
        let NotedCounts { mut changes, sequences } = std::mem::take(self.counted());
        for job_key in sequences.keys() {
            changes.entry((*job_key, Bucket::Active)).or_default();
        }
        let sql = "INSERT INTO task_count (job_key, bucket, tasks, slots, last_sequence)
                   VALUES (?1, ?2, ?3, ?4, ifnull(?5, 0))
                   ON CONFLICT (job_key, bucket)
                   DO UPDATE SET tasks = tasks + ?3, slots = slots + ?4,
                                 last_sequence = ifnull(?5, last_sequence)";
        for ((job_key, bucket), Count { tasks, slots }) in changes {
            let latest = sequences.get(&job_key).filter(|_| bucket == Bucket::Active);
            let values = params![job_key, bucket.number(), tasks, slots, latest];
            self.statement(sql)?.execute(values)?;
        }
        Ok(())
    }

    /// Removes the counts of a job, whose tasks are gone.
    pub(super) fn delete_counts(&mut self, job_key: i64) -> Result<(), StoreError> {
        let counted = self.counted();
        counted.changes.retain(|(of, _), _| *of != job_key);
        counted.sequences.remove(&job_key);
        self.statement("DELETE FROM task_count WHERE job_key = ?1")?.execute(params![job_key])?;
        Ok(())
    }
}
