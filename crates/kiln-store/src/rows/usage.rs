//! Sums that become statistics: over the tasks of a job, over the jobs of a schedule or account.
//!
//! [`Tx::update_task`](crate::Tx::update_task) notes what a task adds; what one operation noted
//! is written once for each job when the operation ends. The sums of a job that is removed go to
//! its schedule and account.

use std::sync::LazyLock;

use kiln_domain::batch::usage::Tally;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Params, Row, ToSql, params};

use super::summing::added;
use crate::{StoreError, Tx, View};

/// The sums of a job, or of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobUsage {
    /// The sums.
    pub tally: Tally,
    /// When they last changed.
    pub updated_at: Timestamp,
}

/// The columns of sums, in the order of [`from_row`].
const SUMS: &str = "updated_at, user_cpu, kernel_cpu, wall_clock, wait, read_ops, write_ops, \
                    read_bytes, write_bytes, succeeded, failed, retries";
/// What becomes of them when a row is there already.
static ADD: LazyLock<String> = LazyLock::new(|| added(SUMS));

/// A table of sums, and the column that says whose.
struct Table(&'static str, &'static str);

const OF_JOBS: Table = Table("job_usage", "job_key");
const OF_SCHEDULES: Table = Table("schedule_usage", "schedule_key");
const OF_ACCOUNTS: Table = Table("account_usage", "account");

fn from_row(row: &Row<'_>) -> Result<JobUsage, rusqlite::Error> {
    let span = |idx| row.get(idx).map(Span::from_ticks);
    Ok(JobUsage {
        updated_at: Timestamp(row.get(0)?),
        tally: Tally {
            user_cpu: span(1)?,
            kernel_cpu: span(2)?,
            wall_clock: span(3)?,
            wait: span(4)?,
            read_ops: row.get(5)?,
            write_ops: row.get(6)?,
            read_bytes: row.get(7)?,
            write_bytes: row.get(8)?,
            succeeded: row.get(9)?,
            failed: row.get(10)?,
            retries: row.get(11)?,
        },
    })
}

impl JobUsage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tally: self.tally.plus(other.tally),
            updated_at: self.updated_at.max(other.updated_at),
        }
    }
}

impl View<'_> {
    /// The sums of a job, once one of its tasks added something.
    pub fn usage_of_job(&self, job_key: i64) -> Result<Option<JobUsage>, StoreError> {
        self.usage(&OF_JOBS, job_key)
    }

    /// The sums of all jobs that a schedule ever made, if any of them has some.
    pub fn usage_of_schedule(&self, schedule_key: i64) -> Result<Option<JobUsage>, StoreError> {
        let gone = self.usage(&OF_SCHEDULES, schedule_key)?;
        let sql = format!(
            "SELECT {SUMS} FROM job JOIN job_usage ON job_usage.job_key = job.key
             WHERE job.schedule_key = ?1 AND job.schedule_key IS NOT NULL"
        );
        self.sum_up(gone, &sql, params![schedule_key])
    }

    /// The sums of all jobs that an account ever had, if any of them has some.
    pub fn usage_of_jobs(&self, account: &str) -> Result<Option<JobUsage>, StoreError> {
        let gone = self.usage(&OF_ACCOUNTS, account)?;
        let sql = format!(
            "SELECT {SUMS} FROM job JOIN job_usage ON job_usage.job_key = job.key
             WHERE job.account = ?1"
        );
        self.sum_up(gone, &sql, params![account])
    }

    fn usage(&self, table: &Table, key: impl ToSql) -> Result<Option<JobUsage>, StoreError> {
        let Table(table, column) = table;
        let sql = format!("SELECT {SUMS} FROM {table} WHERE {column} = ?1");
        Ok(self.statement(&sql)?.query_row(params![key], from_row).optional()?)
    }

    fn sum_up(
        &self,
        first: Option<JobUsage>,
        sql: &str,
        of: impl Params,
    ) -> Result<Option<JobUsage>, StoreError> {
        let mut sum = first;
        for usage in self.statement(sql)?.query_map(of, from_row)? {
            let usage = usage?;
            sum = Some(sum.map_or(usage, |sum| sum.plus(usage)));
        }
        Ok(sum)
    }
}

impl Tx<'_> {
    /// Writes what the operation noted.
    pub(crate) fn keep_usage(&mut self) -> Result<(), StoreError> {
        for (job_key, usage) in self.take_usage() {
            self.add_usage(&OF_JOBS, job_key, &usage)?;
        }
        Ok(())
    }

    /// Lets the sums of a job that is about to go pass over to its schedule and its account.
    pub(super) fn retire_usage(&mut self, job_key: i64) -> Result<(), StoreError> {
        self.keep_usage()?;
        let (Some(usage), Some(job)) = (self.usage_of_job(job_key)?, self.job_by_key(job_key)?)
        else {
            return Ok(());
        };
        if let Some(schedule_key) = job.schedule_key {
            self.add_usage(&OF_SCHEDULES, schedule_key, &usage)?;
        }
        self.add_usage(&OF_ACCOUNTS, job.account, &usage)?;
        self.statement("DELETE FROM job_usage WHERE job_key = ?1")?.execute(params![job_key])?;
        Ok(())
    }

    fn add_usage(
        &mut self,
        table: &Table,
        key: impl ToSql,
        usage: &JobUsage,
    ) -> Result<(), StoreError> {
        let Table(table, column) = table;
        let JobUsage { tally, updated_at } = usage;
        let add = ADD.as_str();
        let sql = format!(
            "INSERT INTO {table} ({column}, {SUMS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT ({column}) DO UPDATE SET {add}"
        );
        self.statement(&sql)?.execute(params![
            key,
            updated_at.0,
            tally.user_cpu.ticks(),
            tally.kernel_cpu.ticks(),
            tally.wall_clock.ticks(),
            tally.wait.ticks(),
            tally.read_ops,
            tally.write_ops,
            tally.read_bytes,
            tally.write_bytes,
            tally.succeeded,
            tally.failed,
            tally.retries,
        ])?;
        Ok(())
    }
}
