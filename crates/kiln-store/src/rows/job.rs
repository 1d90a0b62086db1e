//! Jobs.

use kiln_domain::batch::job::{Job, JobLife, JobState};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "key, account, id, spec, schedule_key, life";

fn from_row(row: &Row<'_>) -> Result<Job, rusqlite::Error> {
    let Json(life) = row.get(5)?;
    Ok(Job {
        key: row.get(0)?,
        account: row.get(1)?,
        id: row.get(2)?,
        document: row.get(3)?,
        schedule_key: row.get(4)?,
        life,
    })
}

impl View<'_> {
    /// A job by its id, which compares without case.
    pub fn job(&self, account: &str, id: &str) -> Result<Option<Job>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE account = ?1 AND id = ?2");
        Ok(self.statement(&sql)?.query_row(params![account, id], from_row).optional()?)
    }

    /// A job by its key.
    pub fn job_by_key(&self, key: i64) -> Result<Option<Job>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE key = ?1");
        Ok(self.statement(&sql)?.query_row(params![key], from_row).optional()?)
    }

    /// Jobs of an account in id order: at most `limit` whose id comes after `after`.
    pub fn jobs_after(
        &self,
        account: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![account, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
    }

    /// Jobs that a schedule made, in id order: at most `limit` whose id comes after `after`.
    pub fn jobs_of_schedule_after(
        &self,
        schedule_key: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE schedule_key = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![schedule_key, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
    }

    /// The jobs of all accounts that have not completed, by key.
    pub fn open_jobs(&self) -> Result<Vec<Job>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM job INDEXED BY job_open WHERE is_over = 0 ORDER BY key");
        let mut statement = self.statement(&sql)?;
        Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
    }
}

impl View<'_> {
    /// How many jobs and job schedules of an account have not completed.
    pub fn active_jobs_and_schedules(&self, account: &str) -> Result<u64, StoreError> {
        let sql = "SELECT n FROM active_count WHERE account = ?1";
        let found = self.statement(sql)?.query_row(params![account], |row| row.get(0));
        Ok(found.optional()?.unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Keeps a new job and gives its key, whatever `job` has as one; another of the same id is
    /// a duplicate.
    pub fn insert_job(&mut self, job: &Job) -> Result<i64, StoreError> {
        let Job { key: _, account, id, document, schedule_key, life } = job;
        let sql = "INSERT INTO job (account, id, spec, schedule_key, life) \
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        Ok(self.statement(sql)?.insert(params![account, id, document, schedule_key, Json(life)])?)
    }

    /// Keeps what has become of a job.
    pub fn update_job(&mut self, key: i64, life: &JobLife) -> Result<(), StoreError> {
        let sql = "UPDATE job SET life = ?2, is_over = ?3 WHERE key = ?1";
        let is_over = life.state == JobState::Completed;
        self.statement(sql)?.execute(params![key, Json(life), is_over])?;
        Ok(())
    }

    /// Keeps what a job is to be.
    pub fn update_job_spec(&mut self, key: i64, document: &str) -> Result<(), StoreError> {
        let sql = "UPDATE job SET spec = ?2 WHERE key = ?1";
        self.statement(sql)?.execute(params![key, document])?;
        Ok(())
    }

    /// Removes a job, whose tasks must be gone.
    pub fn delete_job(&mut self, key: i64) -> Result<(), StoreError> {
        self.statement("DELETE FROM preparation WHERE job_key = ?1")?.execute(params![key])?;
        self.retire_usage(key)?;
        self.delete_turns(key)?;
        self.delete_counts(key)?;
        self.statement("DELETE FROM job WHERE key = ?1")?.execute(params![key])?;
        Ok(())
    }
}
