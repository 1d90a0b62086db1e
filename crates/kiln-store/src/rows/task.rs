//! Tasks of jobs, and how many are in which state.

use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "job_key, id, sequence, slots, spec, life";

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

/// The column `state`: rises along a task's life, completed is 3.
fn state_number(state: TaskState) -> i64 {
    match state {
        TaskState::Active => 0,
        TaskState::Preparing => 1,
        TaskState::Running => 2,
        TaskState::Completed => 3,
    }
}

/// The column `bucket` of the counts.
fn bucket(life: &TaskLife) -> i64 {
    match life.state {
        TaskState::Active => 0,
        TaskState::Preparing | TaskState::Running => 1,
        TaskState::Completed if life.failure.is_none() => 2,
        TaskState::Completed => 3,
    }
}

fn from_row(row: &Row<'_>) -> Result<Task, rusqlite::Error> {
    let Json(life) = row.get(5)?;
    Ok(Task {
        job_key: row.get(0)?,
        id: row.get(1)?,
        sequence: row.get(2)?,
        slots: row.get(3)?,
        document: row.get(4)?,
        life,
    })
}

impl View<'_> {
    /// A task by its id, which compares without case.
    pub fn task(&self, job_key: i64, id: &str) -> Result<Option<Task>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM task WHERE job_key = ?1 AND id = ?2");
        Ok(self.statement(&sql)?.query_row(params![job_key, id], from_row).optional()?)
    }

    /// Tasks of a job in id order: at most `limit` whose id comes after `after`.
    pub fn tasks_after(
        &self,
        job_key: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM task WHERE job_key = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![job_key, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
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
        let mut rows = statement.query(params![job_key])?;
        let mut counts = TaskCounts::default();
        while let Some(row) = rows.next()? {
            let count = Count { tasks: row.get(1)?, slots: row.get(2)? };
            match row.get::<_, i64>(0)? {
                0 => counts.active = count,
                1 => counts.running = count,
                2 => counts.succeeded = count,
                _ => counts.failed = count,
            }
        }
        Ok(counts)
    }
}

impl Tx<'_> {
    /// Keeps a new task; one of the same id in the job is a duplicate.
    pub fn insert_task(&mut self, task: &Task) -> Result<(), StoreError> {
        let sql = "INSERT INTO task (job_key, id, sequence, state, node_id, slots, spec, life)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.statement(sql)?.execute(params![
            task.job_key,
            task.id,
            task.sequence,
            state_number(task.life.state),
            task.life.place.as_ref().map(|place| &place.node_id),
            task.slots,
            task.document,
            Json(&task.life),
        ])?;
        self.count_task(task.job_key, bucket(&task.life), 1, task.slots)
    }

    /// Keeps what has become of a task; `task.life` is how it was kept before.
    pub fn update_task(&mut self, task: &Task, life: &TaskLife) -> Result<(), StoreError> {
        let sql = "UPDATE task SET state = ?3, node_id = ?4, life = ?5
                   WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![
            task.job_key,
            task.id,
            state_number(life.state),
            life.place.as_ref().map(|place| &place.node_id),
            Json(life),
        ])?;
        let (before, after) = (bucket(&task.life), bucket(life));
        if before != after {
            self.count_task(task.job_key, before, -1, task.slots)?;
            self.count_task(task.job_key, after, 1, task.slots)?;
        }
        Ok(())
    }

    /// Removes a task.
    pub fn delete_task(&mut self, task: &Task) -> Result<(), StoreError> {
        let sql = "DELETE FROM task WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![task.job_key, task.id])?;
        self.count_task(task.job_key, bucket(&task.life), -1, task.slots)
    }

    fn count_task(
        &mut self,
        job_key: i64,
        bucket: i64,
        tasks: i64,
        slots: u32,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO task_count (job_key, bucket, tasks, slots) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (job_key, bucket)
                   DO UPDATE SET tasks = tasks + ?3, slots = slots + ?4";
        let slots = tasks * i64::from(slots);
        self.statement(sql)?.execute(params![job_key, bucket, tasks, slots])?;
        Ok(())
    }
}
