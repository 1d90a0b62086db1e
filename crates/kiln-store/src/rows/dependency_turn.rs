//! The end of a task may concern all others of its job: what follows from it is counted some at a
//! time.
//!
//! A *pass* goes over the tasks that wait for a task, over the ranges with a number, or over the
//! tasks that wait for a range, and changes a count of each. What an operation leaves of its
//! passes is kept, and goes on in later ones, first things first. Tasks and ranges that come
//! meanwhile are counted by what is so then, and remember which passes do not concern them.

use std::collections::VecDeque;

use rusqlite::{OptionalExtension, Row, params};

use super::dependency::{LEVELS, Turn};
use crate::{StoreError, Tx, View};

/// What has come of counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// The tasks that wait for nothing since then, or wait again.
    pub children: Vec<String>,
    /// Whether all is counted.
    pub is_over: bool,
}

/// Whose counts a pass changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Those of the tasks that wait for this task.
    Parent(String),
    /// Those of the ranges with this number.
    Number(i32),
    /// Those of the tasks that wait for this range.
    Range(i64),
}

/// A pass, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// Its key, once it is kept.
    key: Option<i64>,
    of: Of,
    turn: Turn,
    /// The last task it went over.
    after_child: String,
    /// The level of blocks it goes over.
    level: u32,
    /// The last range of this level it went over.
    after_range: i64,
}

impl Pass {
    pub(super) fn new(of: Of, turn: Turn) -> Self {
        Self { key: None, of, turn, after_child: String::new(), level: 0, after_range: i64::MIN }
    }

    /// What came with or after this turn is no concern of it.
    fn number(&self) -> i64 {
        self.key.unwrap_or(i64::MAX)
    }
}

/// Operations of one pass in one operation of the writer.
struct Work {
    /// Counts that may still be changed.
    left: usize,
    turned: Vec<String>,
    /// Ranges that turned: those that wait for them are yet to be counted.
    ranges: Vec<i64>,
}

const COLUMNS: &str = "key, step, parent_id, number, range_key, after_child, level, after_range";

fn from_row(row: &Row<'_>) -> Result<Pass, rusqlite::Error> {
    let turn = if row.get::<_, i64>(1)? < 0 { Turn::Met } else { Turn::Unmet };
    let (parent, number): (Option<String>, Option<i32>) = (row.get(2)?, row.get(3)?);
    let of = match (parent, number) {
        (Some(parent_id), _) => Of::Parent(parent_id),
        (None, Some(number)) => Of::Number(number),
        (None, None) => Of::Range(row.get(4)?),
    };
    let (after_child, level, after_range) = (row.get(5)?, row.get(6)?, row.get(7)?);
    Ok(Pass { key: Some(row.get(0)?), of, turn, after_child, level, after_range })
}

impl View<'_> {
    /// The jobs in which something is still to be counted.
    pub fn jobs_with_turns(&self) -> Result<Vec<i64>, StoreError> {
        self.numbers("SELECT DISTINCT job_key FROM dependency_turn", params![])
    }

    /// Whether some tasks of a job seem to wait for nothing that wait again.
    pub fn is_turning_back(&self, job_key: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM dependency_turn WHERE job_key = ?1 AND step > 0 LIMIT 1";
        Ok(self.statement(sql)?.exists(params![job_key])?)
    }

    /// The last pass that is kept of a job; 0 if there is none.
    pub(super) fn last_turn(&self, job_key: i64) -> Result<i64, StoreError> {
        let sql = "SELECT key FROM dependency_turn WHERE job_key = ?1 ORDER BY key DESC LIMIT 1";
        let key = self.statement(sql)?.query_row(params![job_key], |row| row.get(0)).optional()?;
        Ok(key.unwrap_or(0))
    }

    fn first_pass(&self, job_key: i64) -> Result<Option<Pass>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM dependency_turn WHERE job_key = ?1 ORDER BY key LIMIT 1"
        );
        Ok(self.statement(&sql)?.query_row(params![job_key], from_row).optional()?)
    }
}

impl Tx<'_> {
    /// Goes on with what is still to be counted in a job, at most `limit` counts at once.
    pub fn go_on_with_turns(&mut self, job_key: i64, limit: usize) -> Result<Turned, StoreError> {
        self.turn(job_key, VecDeque::new(), limit)
    }

    /// Goes through what is kept of a job and what is `new`, in that order.
    pub(super) fn turn(
        &mut self,
        job_key: i64,
        mut new: VecDeque<Pass>,
        limit: usize,
    ) -> Result<Turned, StoreError> {
        let mut work = Work { left: limit, turned: Vec::new(), ranges: Vec::new() };
        let mut first = self.first_pass(job_key)?;
        let is_kept = first.is_some();
        if is_kept {
            self.keep_passes(job_key, &mut new)?;
        }
        let is_over = loop {
            let next = if is_kept { first.take() } else { new.pop_front() };
            let Some(mut pass) = next else { break true };
            if work.left == 0 {
                if pass.key.is_none() {
                    new.push_front(pass);
                    self.keep_passes(job_key, &mut new)?;
                }
                break false;
            }
            let is_done = self.go_over(job_key, &mut pass, &mut work)?;
            let of_ranges = work.ranges.drain(..).map(|key| Pass::new(Of::Range(key), pass.turn));
            new.extend(of_ranges);
            match pass.key {
                None if is_done => {}
                None => new.push_front(pass),
                Some(key) => {
                    self.keep_passes(job_key, &mut new)?;
                    self.update_pass(key, &pass, is_done)?;
                    first = self.first_pass(job_key)?;
                }
            }
        };
        Ok(Turned { children: work.turned, is_over })
    }

    /// Goes on with a pass; gives whether it is done.
    fn go_over(
        &mut self,
        job_key: i64,
        pass: &mut Pass,
        work: &mut Work,
    ) -> Result<bool, StoreError> {
        let limit = i64::try_from(work.left).unwrap_or(i64::MAX);
        let children = match &pass.of {
            Of::Parent(parent_id) => {
                let sql = "SELECT child_id FROM dependency
                           WHERE job_key = ?1 AND parent_id = ?2 AND child_id > ?3
                           ORDER BY child_id LIMIT ?4";
                self.texts(sql, params![job_key, parent_id, pass.after_child, limit])?
            }
            Of::Range(range_key) => {
                let sql = "SELECT child_id FROM dependency_on_range
                           WHERE range_key = ?1 AND child_id > ?2 ORDER BY child_id LIMIT ?3";
                self.texts(sql, params![range_key, pass.after_child, limit])?
            }
            Of::Number(number) => return self.turn_ranges(job_key, *number, pass, work),
        };
        let is_done = children.len() < work.left;
        work.left -= children.len();
        if let Some(last) = children.last() {
            pass.after_child.clone_from(last);
        }
        self.turn_children(job_key, children, pass, work)?;
        Ok(is_done)
    }

    /// Counts for each of the tasks that one thing less, or more, is missing; notes those for
    /// which that makes the difference.
    fn turn_children(
        &mut self,
        job_key: i64,
        children: Vec<String>,
        pass: &Pass,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE dependency_unmet SET n_unmet = n_unmet + ?3
                   WHERE job_key = ?1 AND child_id = ?2 AND since_turn < ?4 RETURNING n_unmet";
        let mut statement = self.statement(sql)?;
        for child_id in children {
            let values = params![job_key, child_id, pass.turn.step(), pass.number()];
            let n_unmet = statement.query_row(values, |row| row.get(0)).optional()?;
            if n_unmet.is_some_and(|n_unmet| pass.turn.turns(n_unmet)) {
                work.turned.push(child_id);
            }
        }
        Ok(())
    }

    /// Counts for the ranges with this number that one number less, or more, is missing; notes
    /// those for which that makes the difference.
    fn turn_ranges(
        &mut self,
        job_key: i64,
        number: i32,
        pass: &mut Pass,
        work: &mut Work,
    ) -> Result<bool, StoreError> {
        while pass.level < LEVELS {
            let sql = "SELECT range_key FROM dependency_block
                       WHERE job_key = ?1 AND level = ?2 AND block = ?3 AND range_key > ?4
                       ORDER BY range_key LIMIT ?5";
            let index = i64::from(number) >> pass.level;
            let limit = i64::try_from(work.left).unwrap_or(i64::MAX);
            let values = params![job_key, pass.level, index, pass.after_range, limit];
            let keys = self.numbers(sql, values)?;
            for range_key in &keys {
                let sql = "UPDATE dependency_range SET missing = missing + ?2
                           WHERE key = ?1 AND since_turn < ?3 RETURNING missing";
                let values = params![range_key, pass.turn.step(), pass.number()];
                let missing =
                    self.statement(sql)?.query_row(values, |row| row.get(0)).optional()?;
                if missing.is_some_and(|missing| pass.turn.turns(missing)) {
                    work.ranges.push(*range_key);
                }
            }
            work.left -= keys.len();
            if let (Some(last), true) = (keys.last(), work.left == 0) {
                pass.after_range = *last;
                return Ok(false);
            }
            (pass.level, pass.after_range) = (pass.level + 1, i64::MIN);
        }
        Ok(true)
    }

    /// Keeps passes, which go on after all that are kept.
    fn keep_passes(&mut self, job_key: i64, passes: &mut VecDeque<Pass>) -> Result<(), StoreError> {
        for Pass { of, turn, after_child, level, after_range, .. } in passes.drain(..) {
            let (parent_id, number, range_key) = match of {
                Of::Parent(parent_id) => (Some(parent_id), None, None),
                Of::Number(number) => (None, Some(number), None),
                Of::Range(range_key) => (None, None, Some(range_key)),
            };
            let sql = "INSERT INTO dependency_turn (job_key, step, parent_id, number, range_key,
                                                    after_child, level, after_range)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let step = turn.step();
            self.statement(sql)?.execute(params![
                job_key,
                step,
                parent_id,
                number,
                range_key,
                after_child,
                level,
                after_range
            ])?;
        }
        Ok(())
    }

    fn update_pass(&mut self, key: i64, pass: &Pass, is_done: bool) -> Result<(), StoreError> {
        if is_done {
            let sql = "DELETE FROM dependency_turn WHERE key = ?1";
            self.statement(sql)?.execute(params![key])?;
        } else {
            let sql = "UPDATE dependency_turn SET after_child = ?2, level = ?3, after_range = ?4
                       WHERE key = ?1";
            let values = params![key, pass.after_child, pass.level, pass.after_range];
            self.statement(sql)?.execute(values)?;
        }
        Ok(())
    }

    /// Forgets what is still to be counted in a job.
    pub(crate) fn delete_turns(&mut self, job_key: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM dependency_turn WHERE job_key = ?1";
        self.statement(sql)?.execute(params![job_key])?;
        Ok(())
    }
}
