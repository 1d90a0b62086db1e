//! Nodes of jobs with a preparation task.

use kiln_domain::batch::preparation::{Preparation, State};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "job_key, node_id, life";

/// The column `state`, by which the indexes choose.
fn state_number(state: State) -> i64 {
    match state {
        State::Due => 0,
        State::Preparing => 1,
        State::Prepared => 2,
        State::Failed => 3,
        State::Releasing => 4,
        State::Done => 5,
    }
}

fn from_row(row: &Row<'_>) -> Result<Preparation, rusqlite::Error> {
    let Json(life) = row.get(2)?;
    Ok(Preparation { job_key: row.get(0)?, node_id: row.get(1)?, life })
}

impl View<'_> {
    /// How a node stands to a job.
    pub fn preparation(
        &self,
        job_key: i64,
        node_id: &str,
    ) -> Result<Option<Preparation>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM preparation WHERE job_key = ?1 AND node_id = ?2");
        Ok(self.statement(&sql)?.query_row(params![job_key, node_id], from_row).optional()?)
    }

    /// Nodes of a job, in the order of their ids: at most `limit` whose id comes after `after`.
    pub fn preparations_after(
        &self,
        job_key: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Preparation>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM preparation
             WHERE job_key = ?1 AND node_id > ?2 ORDER BY node_id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![job_key, after, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Nodes to which the end of a job did not come yet, at most `limit` of them.
    pub fn lasting_preparations(
        &self,
        job_key: i64,
        limit: usize,
    ) -> Result<Vec<Preparation>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM preparation INDEXED BY preparation_lasting
             WHERE job_key = ?1 AND state < 4 ORDER BY node_id LIMIT ?2"
        );
        self.some_of_job(&sql, job_key, limit)
    }

    /// Nodes that run the release task of a job, at most `limit` of them.
    pub fn releasing_preparations(
        &self,
        job_key: i64,
        limit: usize,
    ) -> Result<Vec<Preparation>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM preparation INDEXED BY preparation_releasing
             WHERE job_key = ?1 AND state = 4 ORDER BY node_id LIMIT ?2"
        );
        self.some_of_job(&sql, job_key, limit)
    }

    fn some_of_job(
        &self,
        sql: &str,
        job_key: i64,
        limit: usize,
    ) -> Result<Vec<Preparation>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![job_key, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How a node stands to the jobs that are not over there.
    pub fn preparations_of_node(&self, node_id: &str) -> Result<Vec<Preparation>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM preparation INDEXED BY preparation_of_node
             WHERE node_id = ?1 AND state < 5 ORDER BY job_key"
        );
        let mut statement = self.statement(&sql)?;
        Ok(statement.query_map(params![node_id], from_row)?.collect::<Result<_, _>>()?)
    }

    /// The nodes that take no tasks of a job.
    pub fn excluded_nodes(&self, job_key: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT node_id FROM preparation INDEXED BY preparation_failed
                   WHERE job_key = ?1 AND state = 3 ORDER BY node_id";
        let mut statement = self.statement(sql)?;
        Ok(statement.query_map(params![job_key], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps what has become of a node of a job, whether it was known before or not.
    pub fn put_preparation(&mut self, preparation: &Preparation) -> Result<(), StoreError> {
        let sql = "INSERT INTO preparation (job_key, node_id, state, life)
                   VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (job_key, node_id) DO UPDATE SET state = ?3, life = ?4";
        let Preparation { job_key, node_id, life } = preparation;
        let values = params![job_key, node_id, state_number(life.state), Json(life)];
        self.statement(sql)?.execute(values)?;
        Ok(())
    }
}
