//! What tasks wait for: kept so that the end of a task costs by what waits for it.

use std::collections::VecDeque;

use kiln_domain::batch::dependencies::{Dependencies, IdRange, number_of};
use rusqlite::{OptionalExtension, params};

use super::dependency_turn::{Of, Pass, Turned};
use crate::{StoreError, Tx, View};

/// Levels of blocks that ranges are cut into: numbers have 31 bits.
pub(super) const LEVELS: u32 = 32;

/// Numbers that begin at `index << level`, `1 << level` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    level: u32,
    index: i64,
}

/// Cuts a range into blocks, at most two of each level.
fn blocks(range: IdRange) -> Vec<Block> {
    let (mut from, mut to) = (i64::from(range.start), i64::from(range.end) + 1);
    let mut blocks = Vec::new();
    for level in 0..LEVELS {
        if from < to && from & 1 == 1 {
            blocks.push(Block { level, index: from });
            from += 1;
        }
        if from < to && to & 1 == 1 {
            to -= 1;
            blocks.push(Block { level, index: to });
        }
        (from, to) = (from >> 1, to >> 1);
    }
    blocks
}

/// Whether what was waited for need not be any more, or has to be again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Met,
    Unmet,
}

impl Turn {
    /// What is added to a count of what is missing.
    pub(super) fn step(self) -> i64 {
        match self {
            Self::Met => -1,
            Self::Unmet => 1,
        }
    }

    /// Whether a count that was changed by this turn says that nothing, or something, is
    /// missing since then.
    pub(super) fn turns(self, missing: i64) -> bool {
        match self {
            Self::Met => missing == 0,
            Self::Unmet => missing == 1,
        }
    }
}

/// What a task still waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// Tasks by their ids, in the form in which ids are compared.
    pub ids: Vec<String>,
    /// Ranges of numbers, and how many of each are missing.
    pub ranges: Vec<(IdRange, i64)>,
}

impl View<'_> {
    pub(super) fn texts(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<String>, StoreError> {
        let mut statement = self.statement(sql)?;
        Ok(statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// What a task still waits for, at most `limit` of each kind, and how many there are.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unmet_dependencies(
        &self,
        job_key: i64,
        child_id: &str,
        limit: usize,
    ) -> Result<Unmet, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT parent_id FROM dependency AS d WHERE job_key = ?1 AND child_id = ?2
                   AND NOT EXISTS (SELECT 1 FROM dependency_met AS m
                                   WHERE m.job_key = d.job_key AND m.parent_id = d.parent_id)
                   ORDER BY parent_id LIMIT ?3";
        let ids = self.texts(sql, params![job_key, child_id, limit])?;
        let sql = "SELECT first, last, missing FROM dependency_range WHERE missing > 0 AND key IN
                   (SELECT range_key FROM dependency_on_range WHERE job_key = ?1 AND child_id = ?2)
                   LIMIT ?3";
        let mut statement = self.statement(sql)?;
        let range = |row: &rusqlite::Row<'_>| {
            let (start, end, n_missing) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((IdRange { start, end }, n_missing))
        };
        let ranges = statement.query_map(params![job_key, child_id, limit], range)?;
        Ok(Unmet { ids, ranges: ranges.collect::<Result<_, _>>()? })
    }

    /// The first numbers of a range, `limit` at the most, whose tasks are still waited for.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unmet_numbers(
        &self,
        job_key: i64,
        range: IdRange,
        limit: usize,
    ) -> Result<Vec<i32>, StoreError> {
        let sql = "SELECT DISTINCT number FROM dependency_met
                   WHERE job_key = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number";
        let mut statement = self.statement(sql)?;
        let mut met = statement.query(params![job_key, range.start, range.end])?;
        let (mut unmet, mut next) = (Vec::new(), i64::from(range.start));
        loop {
            let number: Option<i64> = met.next()?.map(|row| row.get(0)).transpose()?;
            let until = number.unwrap_or_else(|| i64::from(range.end) + 1);
            let room = limit.saturating_sub(unmet.len());
            unmet.extend((next..until).take(room).filter_map(|it| i32::try_from(it).ok()));
            match number {
                Some(number) if unmet.len() < limit => next = number + 1,
                Some(_) | None => return Ok(unmet),
            }
        }
    }

    pub(super) fn numbers(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.statement(sql)?;
        Ok(statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps what a new task waits for; gives how many of these are not met.
    pub fn insert_dependencies(
        &mut self,
        job_key: i64,
        child_id: &str,
        dependencies: &Dependencies,
    ) -> Result<u32, StoreError> {
        let mut n_unmet = 0;
        let since_turn = self.last_turn(job_key)?;
        for parent_id in &dependencies.ids {
            let sql = "INSERT INTO dependency (job_key, parent_id, child_id) VALUES (?1, ?2, ?3)";
            self.statement(sql)?.execute(params![job_key, parent_id, child_id])?;
            let sql = "SELECT 1 FROM dependency_met WHERE job_key = ?1 AND parent_id = ?2";
            let is_met = self.statement(sql)?.exists(params![job_key, parent_id])?;
            n_unmet += u32::from(!is_met);
        }
        for range in &dependencies.ranges {
            let (range_key, missing) = self.share_range(job_key, *range, since_turn)?;
            let sql = "INSERT INTO dependency_on_range (range_key, job_key, child_id)
                       VALUES (?1, ?2, ?3)";
            self.statement(sql)?.execute(params![range_key, job_key, child_id])?;
            n_unmet += u32::from(missing > 0);
        }
        let sql = "INSERT INTO dependency_unmet (job_key, child_id, n_unmet, since_turn)
                   VALUES (?1, ?2, ?3, ?4)";
        self.statement(sql)?.execute(params![job_key, child_id, n_unmet, since_turn])?;
        Ok(n_unmet)
    }

    /// Keeps that a task need not be waited for any more, or has to be again. Counts of what is
    /// missing follow, at most `limit` of them at once.
    pub fn set_dependency_met(
        &mut self,
        job_key: i64,
        parent_id: &str,
        is_met: bool,
        limit: usize,
    ) -> Result<Turned, StoreError> {
        let turn = if is_met { Turn::Met } else { Turn::Unmet };
        let number = number_of(parent_id);
        let changed = match turn {
            Turn::Met => {
                let sql = "INSERT INTO dependency_met (job_key, parent_id, number)
                           VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                self.statement(sql)?.execute(params![job_key, parent_id, number])?
            }
            Turn::Unmet => self.forget_dependency_met(job_key, parent_id)?,
        };
        if changed == 0 {
            return self.go_on_with_turns(job_key, limit);
        }
        let mut passes = VecDeque::from([Pass::new(Of::Parent(parent_id.to_owned()), turn)]);
        if let Some(number) = number
            && self.turns_number(job_key, number, turn)?
        {
            passes.push_back(Pass::new(Of::Number(number), turn));
        }
        self.turn(job_key, passes, limit)
    }

    /// Forgets that a task need not be waited for; gives whether that was so, as a number.
    pub(crate) fn forget_dependency_met(
        &mut self,
        job_key: i64,
        parent_id: &str,
    ) -> Result<usize, StoreError> {
        let sql = "DELETE FROM dependency_met WHERE job_key = ?1 AND parent_id = ?2";
        Ok(self.statement(sql)?.execute(params![job_key, parent_id])?)
    }

    /// Forgets what a task waited for.
    pub(crate) fn delete_dependencies(
        &mut self,
        job_key: i64,
        task_id: &str,
    ) -> Result<(), StoreError> {
        let of_task = params![job_key, task_id];
        for sql in [
            "DELETE FROM dependency WHERE job_key = ?1 AND child_id = ?2",
            "DELETE FROM dependency_unmet WHERE job_key = ?1 AND child_id = ?2",
        ] {
            self.statement(sql)?.execute(of_task)?;
        }
        let sql = "SELECT range_key FROM dependency_on_range WHERE job_key = ?1 AND child_id = ?2";
        for range_key in self.numbers(sql, of_task)? {
            let sql = "DELETE FROM dependency_on_range WHERE range_key = ?1 AND child_id = ?2";
            self.statement(sql)?.execute(params![range_key, task_id])?;
            self.delete_unshared_range(range_key)?;
        }
        Ok(())
    }

    /// Whether it makes a difference for ranges that a task with this number as id turned: of
    /// `7` and `007` the first that is met counts, and the last that is not.
    fn turns_number(&self, job_key: i64, number: i32, turn: Turn) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM dependency_range WHERE job_key = ?1 LIMIT 1";
        if !self.statement(sql)?.exists(params![job_key])? {
            return Ok(false);
        }
        let sql = "SELECT COUNT(*) FROM dependency_met WHERE job_key = ?1 AND number = ?2";
        let n_met: i64 =
            self.statement(sql)?.query_row(params![job_key, number], |row| row.get(0))?;
        Ok(n_met == i64::from(turn == Turn::Met))
    }

    /// The key of a range, kept if it is new, and how many of its numbers are not met.
    fn share_range(
        &mut self,
        job_key: i64,
        range: IdRange,
        since_turn: i64,
    ) -> Result<(i64, i64), StoreError> {
        let ends = params![job_key, range.start, range.end];
        let sql = "SELECT key, missing FROM dependency_range
                   WHERE job_key = ?1 AND first = ?2 AND last = ?3";
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        if let Some(found) = self.statement(sql)?.query_row(ends, pair).optional()? {
            return Ok(found);
        }
        // Counted once for all tasks that wait for this range.
        let sql = "SELECT COUNT(DISTINCT number) FROM dependency_met
                   WHERE job_key = ?1 AND number BETWEEN ?2 AND ?3";
        let n_met: i64 = self.statement(sql)?.query_row(ends, |row| row.get(0))?;
        let missing = i64::from(range.end) - i64::from(range.start) + 1 - n_met;
        let sql = "INSERT INTO dependency_range (job_key, first, last, missing, since_turn)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![job_key, range.start, range.end, missing, since_turn];
        let range_key = self.statement(sql)?.insert(values)?;
        for block in blocks(range) {
            let sql = "INSERT INTO dependency_block (job_key, level, block, range_key)
                       VALUES (?1, ?2, ?3, ?4)";
            self.statement(sql)?.execute(params![job_key, block.level, block.index, range_key])?;
        }
        Ok((range_key, missing))
    }

    fn delete_unshared_range(&mut self, range_key: i64) -> Result<(), StoreError> {
        let sql = "SELECT 1 FROM dependency_on_range WHERE range_key = ?1 LIMIT 1";
        if self.statement(sql)?.exists(params![range_key])? {
            return Ok(());
        }
        let sql = "DELETE FROM dependency_range WHERE key = ?1 RETURNING job_key, first, last";
        let (job_key, start, end): (i64, i32, i32) = self
            .statement(sql)?
            .query_row(params![range_key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for block in blocks(IdRange { start, end }) {
            let sql = "DELETE FROM dependency_block
                       WHERE job_key = ?1 AND level = ?2 AND block = ?3 AND range_key = ?4";
            self.statement(sql)?.execute(params![job_key, block.level, block.index, range_key])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{IdRange, blocks};

    /// Each number of a range lies in one of its blocks, and no other number does.
    fn check(start: i32, end: i32, others: &[i32]) {
        let blocks = blocks(IdRange { start, end });
        let n_blocks = |number: &i32| {
            blocks.iter().filter(|it| i64::from(*number) >> it.level == it.index).count()
        };
        let near = start.saturating_sub(9)..=start.saturating_add(600);
        for number in near.chain(others.iter().copied()).filter(|it| *it >= 0) {
            let is_inside = (start..=end).contains(&number);
            assert_eq!(n_blocks(&number), usize::from(is_inside), "{number} of {start}..{end}");
        }
    }

    #[test]
    fn a_number_is_in_one_block_of_a_range() {
        for start in 0..40 {
            for end in start..start + 70 {
                check(start, end, &[]);
            }
        }
        check(0, i32::MAX, &[i32::MAX, i32::MAX - 1, 1 << 30]);
        check(1, i32::MAX, &[0, i32::MAX, 1 << 30, (1 << 30) - 1]);
        check(i32::MAX, i32::MAX, &[0, i32::MAX - 1]);
        assert_eq!(blocks(IdRange { start: 0, end: i32::MAX }).len(), 1);
    }
}
