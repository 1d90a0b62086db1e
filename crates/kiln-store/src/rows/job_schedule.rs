//! Job schedules.

use kiln_domain::batch::job_schedule::{JobSchedule, JobScheduleLife, JobScheduleState};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "key, account, id, spec, life";

fn from_row(row: &Row<'_>) -> Result<JobSchedule, rusqlite::Error> {
    let Json(life) = row.get(4)?;
    Ok(JobSchedule {
        key: row.get(0)?,
        account: row.get(1)?,
        id: row.get(2)?,
        document: row.get(3)?,
        life,
    })
}

impl View<'_> {
    /// A job schedule by its id, which compares without case.
    pub fn job_schedule(&self, account: &str, id: &str) -> Result<Option<JobSchedule>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM job_schedule WHERE account = ?1 AND id = ?2");
        Ok(self.statement(&sql)?.query_row(params![account, id], from_row).optional()?)
    }

    /// A job schedule by its key.
    pub fn job_schedule_by_key(&self, key: i64) -> Result<Option<JobSchedule>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM job_schedule WHERE key = ?1");
        Ok(self.statement(&sql)?.query_row(params![key], from_row).optional()?)
    }

    /// Job schedules of an account in id order: at most `limit` whose id comes after `after`.
    pub fn job_schedules_after(
        &self,
        account: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<JobSchedule>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job_schedule WHERE account = ?1 AND id > ?2 \
             ORDER BY id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![account, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
    }

    /// The keys of the job schedules of all accounts.
    pub fn all_job_schedule_keys(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.statement("SELECT key FROM job_schedule ORDER BY key")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps a new job schedule and gives its key, whatever `schedule` has as one; another of
    /// the same id is a duplicate.
    pub fn insert_job_schedule(&mut self, schedule: &JobSchedule) -> Result<i64, StoreError> {
        let JobSchedule { key: _, account, id, document, life } = schedule;
        let sql = "INSERT INTO job_schedule (account, id, spec, life) VALUES (?1, ?2, ?3, ?4)";
        Ok(self.statement(sql)?.insert(params![account, id, document, Json(life)])?)
    }

    /// Keeps what has become of a job schedule.
    pub fn update_job_schedule(
        &mut self,
        key: i64,
        life: &JobScheduleLife,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE job_schedule SET life = ?2, is_over = ?3 WHERE key = ?1";
        let is_over = life.state == JobScheduleState::Completed;
        self.statement(sql)?.execute(params![key, Json(life), is_over])?;
        Ok(())
    }

    /// Keeps the changed specification of a job schedule.
    pub fn update_job_schedule_spec(&mut self, key: i64, document: &str) -> Result<(), StoreError> {
        let sql = "UPDATE job_schedule SET spec = ?2 WHERE key = ?1";
        self.statement(sql)?.execute(params![key, document])?;
        Ok(())
    }

    /// Removes a job schedule, whose jobs must be gone.
    pub fn delete_job_schedule(&mut self, key: i64) -> Result<(), StoreError> {
        self.statement("DELETE FROM job_schedule WHERE key = ?1")?.execute(params![key])?;
        Ok(())
    }
}
