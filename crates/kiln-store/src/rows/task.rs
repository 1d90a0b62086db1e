//! Tasks of jobs, and how many are in which state.

use std::ops::Bound;

use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use kiln_domain::batch::ties::Ties;
use kiln_domain::batch::usage::Tally;
use rusqlite::{OptionalExtension, Row, Rows, params};

use super::life::Json;
use crate::{JobUsage, StoreError, Tx, View};

/// What is missing is looked up only for tasks that depend on others.
const COLUMNS: &str = "job_key, id, sequence, slots, needs, spec, life, ties,
    CASE WHEN ties >= 4
    THEN (SELECT n_unmet FROM dependency_unmet AS unmet
          WHERE unmet.job_key = task.job_key AND unmet.child_id = task.id)
    ELSE 0 END";

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

/// A state of tasks, told apart by what an index can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Waits for a node.
    Active,
    /// Waits on its node for the job's preparation task.
    Preparing,
    /// Runs.
    Running,
    /// Completed without failure.
    Succeeded,
    /// Completed with a failure.
    Failed,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Preparing, Self::Running, Self::Succeeded, Self::Failed];

    fn of(life: &TaskLife) -> Self {
        match life.state {
            TaskState::Active => Self::Active,
            TaskState::Preparing => Self::Preparing,
            TaskState::Running => Self::Running,
            TaskState::Completed if life.failure.is_none() => Self::Succeeded,
            TaskState::Completed => Self::Failed,
        }
    }

    /// The columns `state` and `bucket`; from 3 on a task has completed.
    fn number(self) -> i64 {
        match self {
            Self::Active => 0,
            Self::Preparing => 1,
            Self::Running => 2,
            Self::Succeeded => 3,
            Self::Failed => 4,
        }
    }
}

/// Some tasks of a job, in the order of their ids, which compare without case.
#[derive(Clone, Copy, Debug)]
pub struct TaskRange<'a> {
    /// Where the ids begin.
    pub from: Bound<&'a str>,
    /// The last id, if it is not the last there is.
    pub last: Option<&'a str>,
    /// The states they are in.
    pub buckets: &'a [Bucket],
}

impl TaskRange<'_> {
    /// All tasks.
    pub const ALL: Self = Self { from: Bound::Unbounded, last: None, buckets: &Bucket::ALL };
}

/// Comes after every id.
const AFTER_ALL_IDS: &str = "\u{10FFFF}";

/// The column `ties`: others may depend on it; its end may act on its job; it depends on others.
const TIES: [i64; 3] = [1, 2, 4];

fn ties_number(ties: Ties) -> i64 {
    let Ties { may_have_dependents, may_act_on_job, has_dependencies } = ties;
    let are = [may_have_dependents, may_act_on_job, has_dependencies];
    TIES.iter().zip(are).map(|(bit, is)| bit * i64::from(is)).sum()
}

fn ties_of(number: i64) -> Ties {
    let [may_have_dependents, may_act_on_job, has_dependencies] = TIES.map(|bit| number & bit > 0);
    Ties { may_have_dependents, may_act_on_job, has_dependencies }
}

fn from_row(row: &Row<'_>) -> Result<Task, rusqlite::Error> {
    let Json(life) = row.get(6)?;
    // Written only where they are more than a number of slots.
    let needs: Option<Json<TaskNeeds>> = row.get(4)?;
    let needs = match needs {
        Some(Json(needs)) => needs,
        None => TaskNeeds::slots(row.get(3)?),
    };
    Ok(Task {
        job_key: row.get(0)?,
        id: row.get(1)?,
        sequence: row.get(2)?,
        needs,
        ties: ties_of(row.get(7)?),
        n_unmet: row.get(8)?,
        document: row.get(5)?,
        life,
    })
}

impl View<'_> {
    /// A task by its id, which compares without case.
    pub fn task(&self, job_key: i64, id: &str) -> Result<Option<Task>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM task WHERE job_key = ?1 AND id = ?2");
        Ok(self.statement(&sql)?.query_row(params![job_key, id], from_row).optional()?)
    }

    /// Tasks of a job in id order, the first `limit` of a range.
    pub fn tasks_in(
        &self,
        job_key: i64,
        range: &TaskRange<'_>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let (begins, first) = match range.from {
            Bound::Included(id) => (">=", id),
            Bound::Excluded(id) => (">", id),
            Bound::Unbounded => (">=", ""),
        };
        let last = range.last.unwrap_or(AFTER_ALL_IDS);
        let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
        if range.buckets.len() == Bucket::ALL.len() {
            let sql = format!(
                "SELECT {COLUMNS} FROM task
                 WHERE job_key = ?1 AND id {begins} ?2 AND id <= ?3 ORDER BY id LIMIT ?4"
            );
            let mut statement = self.statement(&sql)?;
            let tasks = statement.query_map(params![job_key, first, last, limit_rows], from_row)?;
            return Ok(tasks.collect::<Result<_, _>>()?);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM task INDEXED BY task_in_state
             WHERE job_key = ?1 AND state = ?5 AND id {begins} ?2 AND id <= ?3
             ORDER BY id LIMIT ?4"
        );
        let mut found: Vec<Task> = Vec::new();
        for bucket in range.buckets {
            let mut statement = self.statement(&sql)?;
            let values = params![job_key, first, last, limit_rows, bucket.number()];
            for task in statement.query_map(values, from_row)? {
                found.push(task?);
            }
        }
        // Each state came in order; together they are put in order again.
        found.sort_by_cached_key(|task| task.id.to_ascii_lowercase());
        found.truncate(limit);
        Ok(found)
    }

    /// Tasks of a job that have not completed, in sequence order: at most `limit` whose
    /// sequence comes after `after`.
    pub fn open_tasks_after(
        &self,
        job_key: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM task INDEXED BY task_open
             WHERE job_key = ?1 AND state < 3 AND sequence > ?2 ORDER BY sequence LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![job_key, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
    }

    /// Tasks of a job that are on a node and have not completed, at most `limit`.
    pub fn running_tasks(&self, job_key: i64, limit: usize) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM task INDEXED BY task_running
             WHERE job_key = ?1 AND node_id IS NOT NULL AND state < 3 LIMIT ?2"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement.query_map(params![job_key, limit], from_row)?.collect::<Result<_, _>>()?)
    }

    /// Tasks that are on a node and have not completed.
    pub fn tasks_of_node(&self, node_id: &str) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM task INDEXED BY task_of_node
             WHERE node_id = ?1 AND node_id IS NOT NULL AND state < 3"
        );
        let mut statement = self.statement(&sql)?;
        Ok(statement.query_map(params![node_id], from_row)?.collect::<Result<_, _>>()?)
    }

    /// How many tasks of a job are in which state.
    pub fn task_counts(&self, job_key: i64) -> Result<TaskCounts, StoreError> {
        let sql = "SELECT bucket, tasks, slots FROM task_count WHERE job_key = ?1";
        let mut statement = self.statement(sql)?;
        sum_up(statement.query(params![job_key])?)
    }

    /// How many tasks of all jobs are in which state.
    pub fn all_task_counts(&self) -> Result<TaskCounts, StoreError> {
        let sql = "SELECT bucket, SUM(tasks), SUM(slots) FROM task_count GROUP BY bucket";
        let mut statement = self.statement(sql)?;
        sum_up(statement.query([])?)
    }
}

/// Sums up rows of buckets.
fn sum_up(mut rows: Rows<'_>) -> Result<TaskCounts, StoreError> {
    let mut counts = TaskCounts::default();
    while let Some(row) = rows.next()? {
        let count = Count { tasks: row.get(1)?, slots: row.get(2)? };
        let place = match row.get::<_, i64>(0)? {
            0 => &mut counts.active,
            1 | 2 => &mut counts.running,
            3 => &mut counts.succeeded,
            _ => &mut counts.failed,
        };
        place.tasks += count.tasks;
        place.slots += count.slots;
    }
    Ok(counts)
}

impl Tx<'_> {
    /// Keeps a new task, which waits, and numbers it with the next sequence of its job; one of
    /// the same id in the job is a duplicate.
    pub fn insert_task(&mut self, task: &mut Task) -> Result<(), StoreError> {
        task.sequence = self.count_new_task(task.job_key, task.needs.slots)?;
        let inserted = self.insert_task_row(task);
        if inserted.is_err() {
            self.count_task(task.job_key, Bucket::Active, -1, task.needs.slots)?;
        }
        inserted
    }

    fn insert_task_row(&mut self, task: &Task) -> Result<(), StoreError> {
        let sql = "INSERT INTO task (job_key, id, sequence, state, node_id, slots, needs, spec,
                               life, ties)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let plain = TaskNeeds::slots(task.needs.slots);
        self.statement(sql)?.execute(params![
            task.job_key,
            task.id,
            task.sequence,
            Bucket::of(&task.life).number(),
            task.life.place.as_ref().map(|place| &place.node_id),
            task.needs.slots,
            (task.needs != plain).then_some(Json(&task.needs)),
            task.document,
            Json(&task.life),
            ties_number(task.ties),
        ])?;
        Ok(())
    }

    /// Keeps what has become of a task; `task.life` is how it was kept before.
    pub fn update_task(&mut self, task: &Task, life: &TaskLife) -> Result<(), StoreError> {
        let sql = "UPDATE task SET state = ?3, node_id = ?4, life = ?5
                   WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![
            task.job_key,
            task.id,
            Bucket::of(life).number(),
            life.place.as_ref().map(|place| &place.node_id),
            Json(life),
        ])?;
        self.keep_instances(task, Some(life))?;
        let added = Tally::between(&task.life, life);
        if !added.is_nothing() {
            let updated_at =
                life.usage.map_or(life.state_at, |it| it.counted_at.max(life.state_at));
            self.note_usage(task.job_key, JobUsage { tally: added, updated_at });
        }
        let (before, after) = (Bucket::of(&task.life), Bucket::of(life));
        if before != after {
            self.count_task(task.job_key, before, -1, task.needs.slots)?;
            self.count_task(task.job_key, after, 1, task.needs.slots)?;
        }
        Ok(())
    }

    /// Keeps another specification of a task.
    pub fn update_task_spec(&mut self, task: &Task, document: &str) -> Result<(), StoreError> {
        let sql = "UPDATE task SET spec = ?3 WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![task.job_key, task.id, document])?;
        Ok(())
    }

    /// Removes a task.
    pub fn delete_task(&mut self, task: &Task) -> Result<(), StoreError> {
        self.keep_instances(task, None)?;
        let sql = "DELETE FROM task WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![task.job_key, task.id])?;
        if task.ties.has_dependencies {
            self.delete_dependencies(task.job_key, &task.id)?;
        }
        if task.ties.may_have_dependents {
            self.forget_dependency_met(task.job_key, &task.id)?;
        }
        self.count_task(task.job_key, Bucket::of(&task.life), -1, task.needs.slots)
    }

    fn count_new_task(&mut self, job_key: i64, slots: u32) -> Result<i64, StoreError> {
        let sql = "INSERT INTO task_count (job_key, bucket, tasks, slots, last_sequence)
                   VALUES (?1, ?2, 1, ?3, 1)
                   ON CONFLICT (job_key, bucket)
                   DO UPDATE SET tasks = tasks + 1, slots = slots + ?3,
                                 last_sequence = last_sequence + 1
                   RETURNING last_sequence";
        let values = params![job_key, Bucket::Active.number(), slots];
        Ok(self.statement(sql)?.query_row(values, |row| row.get(0))?)
    }

    fn count_task(
        &mut self,
        job_key: i64,
        bucket: Bucket,
        tasks: i64,
        slots: u32,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO task_count (job_key, bucket, tasks, slots) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (job_key, bucket)
                   DO UPDATE SET tasks = tasks + ?3, slots = slots + ?4";
        let slots = tasks * i64::from(slots);
        self.statement(sql)?.execute(params![job_key, bucket.number(), tasks, slots])?;
        Ok(())
    }
}
