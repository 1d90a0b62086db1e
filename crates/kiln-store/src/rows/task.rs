//! Tasks of jobs, and how many are in which state.

use std::ops::Bound;

use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use kiln_domain::batch::ties::Ties;
use kiln_domain::batch::usage::Tally;
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{JobUsage, StoreError, Tx, View};

/// What is missing is looked up only for tasks that depend on others.
const N_UNMET: &str = "CASE WHEN ties >= 4
    THEN (SELECT n_unmet FROM dependency_unmet AS unmet
          WHERE unmet.job_key = task.job_key AND unmet.child_id = task.id)
    ELSE 0 END";
const COLUMNS: &str = "job_key, id, sequence, slots, needs, spec, life, ties";

/// A state of tasks, told apart by what an index can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Active => 0,
            Self::Preparing => 1,
            Self::Running => 2,
            Self::Succeeded => 3,
            Self::Failed => 4,
        }
    }

    /// Where tasks in this state are found, in the order of their ids.
    fn source(self) -> &'static str {
        match self {
            Self::Active => "task INDEXED BY task_waiting WHERE state = 0",
            Self::Preparing | Self::Running => {
                "task INDEXED BY task_placed WHERE node_id IS NOT NULL"
            }
            Self::Succeeded | Self::Failed => "task INDEXED BY task_ended WHERE state >= 3",
        }
    }

    fn is_open(self) -> bool {
        self.number() < 3
    }

    /// The one of this number.
    pub(super) fn of_number(number: i64) -> Self {
        match number {
            0 => Self::Active,
            1 => Self::Preparing,
            2 => Self::Running,
            3 => Self::Succeeded,
            _ => Self::Failed,
        }
    }
}

/// What the scheduler must know of a task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingTask {
    /// Its id.
    pub id: String,
    /// Its place in the order of its job.
    pub sequence: i64,
    /// What it needs of a pool.
    pub needs: TaskNeeds,
    /// Whether it was on a node already.
    pub ran_before: bool,
    /// Whether it may start as far as other tasks go.
    pub is_ready: bool,
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

/// The node that a task is on.
fn node_of(life: &TaskLife) -> Option<&str> {
    let place = life.place.as_ref().filter(|_| life.is_on_nodes());
    place.map(|place| place.node_id.as_str())
}

/// Needs are written only where they are more than a number of slots.
fn needs_of(needs: Option<Json<TaskNeeds>>, slots: u32) -> TaskNeeds {
    needs.map_or_else(|| TaskNeeds::slots(slots), |Json(needs)| needs)
}

fn from_row(row: &Row<'_>) -> Result<Task, rusqlite::Error> {
    let Json(life) = row.get(6)?;
    let needs = needs_of(row.get(4)?, row.get(3)?);
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
        if let Some(task) = self.known.and_then(|known| known.tasks.get(job_key, id)) {
            return Ok(Some(task));
        }
        let sql = format!("SELECT {COLUMNS}, {N_UNMET} FROM task WHERE job_key = ?1 AND id = ?2");
        let task = self.statement(&sql)?.query_row(params![job_key, id], from_row).optional()?;
        if let (Some(known), Some(task)) = (self.known, &task) {
            known.tasks.insert(task);
        }
        Ok(task)
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
                "SELECT {COLUMNS}, {N_UNMET} FROM task
                 WHERE job_key = ?1 AND id {begins} ?2 AND id <= ?3 ORDER BY id LIMIT ?4"
            );
            let mut statement = self.statement(&sql)?;
            let tasks = statement.query_map(params![job_key, first, last, limit_rows], from_row)?;
            return Ok(tasks.collect::<Result<_, _>>()?);
        }
        let mut found: Vec<Task> = Vec::new();
        for bucket in range.buckets {
            let source = bucket.source();
            let sql = format!(
                "SELECT {COLUMNS}, {N_UNMET} FROM {source}
                 AND job_key = ?1 AND state = ?5 AND id {begins} ?2 AND id <= ?3
                 ORDER BY id LIMIT ?4"
            );
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
            "SELECT {COLUMNS}, {N_UNMET} FROM task INDEXED BY task_open
             WHERE job_key = ?1 AND is_open = 1 AND sequence > ?2 ORDER BY sequence LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![job_key, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
    }

    /// What of a job waits, in sequence order: at most `limit` tasks whose sequence comes after
    /// `after`. Of most of them neither the specification nor the life is read.
    pub fn waiting_tasks_after(
        &self,
        job_key: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<WaitingTask>, StoreError> {
        let sql = format!(
            "SELECT id, sequence, slots, needs, CASE WHEN needs IS NULL THEN NULL ELSE life END,
                    {N_UNMET}
             FROM task INDEXED BY task_open
             WHERE job_key = ?1 AND is_open = 1 AND state = 0 AND sequence > ?2
             ORDER BY sequence LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let tasks = statement.query_map(params![job_key, after, limit], |row| {
            let life: Option<Json<TaskLife>> = row.get(4)?;
            Ok(WaitingTask {
                id: row.get(0)?,
                sequence: row.get(1)?,
                needs: needs_of(row.get(3)?, row.get(2)?),
                ran_before: life.is_some_and(|Json(life)| life.attempt > 0),
                is_ready: row.get::<_, u32>(5)? == 0,
            })
        })?;
        Ok(tasks.collect::<Result<_, _>>()?)
    }

    /// Tasks of a job that are on a node and have not completed, at most `limit`.
    pub fn running_tasks(&self, job_key: i64, limit: usize) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {N_UNMET} FROM task INDEXED BY task_placed
             WHERE job_key = ?1 AND node_id IS NOT NULL LIMIT ?2"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement.query_map(params![job_key, limit], from_row)?.collect::<Result<_, _>>()?)
    }

    /// All tasks that are on nodes.
    pub fn tasks_on_nodes(&self) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {N_UNMET} FROM task INDEXED BY task_on_node
             WHERE node_id IS NOT NULL"
        );
        let mut statement = self.statement(&sql)?;
        Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
    }

    /// Tasks that are on a node and have not completed.
    pub fn tasks_of_node(&self, node_id: &str) -> Result<Vec<Task>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {N_UNMET} FROM task INDEXED BY task_on_node
             WHERE node_id = ?1 AND node_id IS NOT NULL"
        );
        let mut statement = self.statement(&sql)?;
        Ok(statement.query_map(params![node_id], from_row)?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps a new task, which waits, and numbers it with the next sequence of its job; one of
    /// the same id in the job is a duplicate.
    pub fn insert_task(&mut self, task: &mut Task) -> Result<(), StoreError> {
        task.sequence = self.next_sequence(task.job_key)?;
        self.insert_task_row(task)?;
        if let Some(known) = self.known {
            known.tasks.insert(task);
        }
        let counted = self.counted();
        counted.number(task.job_key, task.sequence);
        counted.count(task.job_key, Bucket::Active, 1, task.needs.slots);
        Ok(())
    }

    fn insert_task_row(&mut self, task: &Task) -> Result<(), StoreError> {
        let sql = "INSERT INTO task (job_key, id, sequence, state, is_open, node_id, slots, needs,
                               spec, life, ties)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let plain = TaskNeeds::slots(task.needs.slots);
        self.statement(sql)?.execute(params![
            task.job_key,
            task.id,
            task.sequence,
            Bucket::of(&task.life).number(),
            Bucket::of(&task.life).is_open(),
            node_of(&task.life),
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
        let (before, after) = (Bucket::of(&task.life), Bucket::of(life));
        // An index is written with each column that is named here, whether it changes or not.
        let (job_key, id, life_text) = (task.job_key, &task.id, Json(life));
        if before.is_open() != after.is_open() {
            let sql = "UPDATE task SET life = ?3, state = ?4, node_id = ?5, is_open = ?6
                       WHERE job_key = ?1 AND id = ?2";
            let (node_id, is_open) = (node_of(life), after.is_open());
            let values = params![job_key, id, life_text, after.number(), node_id, is_open];
            self.statement(sql)?.execute(values)?;
        } else if before != after || node_of(&task.life) != node_of(life) {
            let sql = "UPDATE task SET life = ?3, state = ?4, node_id = ?5
                       WHERE job_key = ?1 AND id = ?2";
            let values = params![job_key, id, life_text, after.number(), node_of(life)];
            self.statement(sql)?.execute(values)?;
        } else {
            let sql = "UPDATE task SET life = ?3 WHERE job_key = ?1 AND id = ?2";
            self.statement(sql)?.execute(params![job_key, id, life_text])?;
        }
        if let Some(known) = self.known {
            known.tasks.update(task, life);
        }
        self.keep_instances(task, Some(life))?;
        let added = Tally::between(&task.life, life);
        if !added.is_nothing() {
            let updated_at =
                life.usage.map_or(life.state_at, |it| it.counted_at.max(life.state_at));
            self.note_usage(task.job_key, JobUsage { tally: added, updated_at });
        }
        if before != after {
            let counted = self.counted();
            counted.count(task.job_key, before, -1, task.needs.slots);
            counted.count(task.job_key, after, 1, task.needs.slots);
        }
        Ok(())
    }

    /// Keeps another specification of a task.
    pub fn update_task_spec(&mut self, task: &Task, document: &str) -> Result<(), StoreError> {
        let sql = "UPDATE task SET spec = ?3 WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![task.job_key, task.id, document])?;
        self.forget_task(task);
        Ok(())
    }

    /// Removes a task.
    pub fn delete_task(&mut self, task: &Task) -> Result<(), StoreError> {
        self.keep_instances(task, None)?;
        let sql = "DELETE FROM task WHERE job_key = ?1 AND id = ?2";
        self.statement(sql)?.execute(params![task.job_key, task.id])?;
        self.forget_task(task);
        if task.ties.has_dependencies {
            self.delete_dependencies(task.job_key, &task.id)?;
        }
        if task.ties.may_have_dependents {
            self.forget_dependency_met(task.job_key, &task.id)?;
        }
        self.counted().count(task.job_key, Bucket::of(&task.life), -1, task.needs.slots);
        Ok(())
    }

    fn forget_task(&self, task: &Task) {
        if let Some(known) = self.known {
            known.tasks.forget(task.job_key, &task.id);
        }
    }
}
