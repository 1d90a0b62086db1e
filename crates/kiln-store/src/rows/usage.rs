//! Sums that become statistics: of a job's tasks, and of the jobs of an account.
//!
//! [`Tx::update_task`](crate::Tx::update_task) notes what a task adds; what one operation noted
//! is written once for each job when the operation ends.

use kiln_domain::batch::usage::Tally;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

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
const ADD: &str = "updated_at = max(updated_at, excluded.updated_at),
                   user_cpu = user_cpu + excluded.user_cpu,
                   kernel_cpu = kernel_cpu + excluded.kernel_cpu,
                   wall_clock = wall_clock + excluded.wall_clock,
                   wait = wait + excluded.wait,
                   read_ops = read_ops + excluded.read_ops,
                   write_ops = write_ops + excluded.write_ops,
                   read_bytes = read_bytes + excluded.read_bytes,
                   write_bytes = write_bytes + excluded.write_bytes,
                   succeeded = succeeded + excluded.succeeded,
                   failed = failed + excluded.failed,
                   retries = retries + excluded.retries";

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
    pub fn job_usage(&self, job_key: i64) -> Result<Option<JobUsage>, StoreError> {
        let sql = format!("SELECT {SUMS} FROM job_usage WHERE job_key = ?1");
        Ok(self.statement(&sql)?.query_row(params![job_key], from_row).optional()?)
    }

    /// The sums of all jobs that an account ever had, if any of them had something.
    pub fn account_job_usage(&self, account: &str) -> Result<Option<JobUsage>, StoreError> {
        let sql = format!("SELECT {SUMS} FROM past_job_usage WHERE account = ?1");
        let mut sum = self.statement(&sql)?.query_row(params![account], from_row).optional()?;
        let sql = format!(
            "SELECT {SUMS} FROM job JOIN job_usage ON job_usage.job_key = job.key
             WHERE job.account = ?1"
        );
        let mut statement = self.statement(&sql)?;
        for usage in statement.query_map(params![account], from_row)? {
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
            self.add_job_usage(job_key, &usage)?;
        }
        Ok(())
    }

    fn add_job_usage(&mut self, job_key: i64, usage: &JobUsage) -> Result<(), StoreError> {
        let JobUsage { tally, updated_at } = usage;
        let sql = format!(
            "INSERT INTO job_usage (job_key, {SUMS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (job_key) DO UPDATE SET {ADD}"
        );
        self.statement(&sql)?.execute(params![
            job_key,
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

    /// Lets the sums of a job that goes pass over to its account.
    pub(super) fn retire_job_usage(&mut self, job_key: i64) -> Result<(), StoreError> {
        self.keep_usage()?;
        let sql = format!(
            "INSERT INTO past_job_usage (account, {SUMS})
             SELECT job.account, {SUMS} FROM job_usage JOIN job ON job.key = job_key
             WHERE job_key = ?1
             ON CONFLICT (account) DO UPDATE SET {ADD}"
        );
        self.statement(&sql)?.execute(params![job_key])?;
        self.statement("DELETE FROM job_usage WHERE job_key = ?1")?.execute(params![job_key])?;
        Ok(())
    }
}
