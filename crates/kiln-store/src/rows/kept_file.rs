//! Files of tasks that are kept though their nodes are gone.

use kiln_domain::batch::task::Task;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use crate::{StoreError, Tx, View};

/// What one node left when it ended, of which it is not yet said what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptNode {
    /// Names its directory.
    pub key: i64,
    /// The Batch account of its tasks.
    pub account: String,
    /// The node.
    pub node_id: String,
}

/// The files of a task that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTask {
    /// The store's key of its job.
    pub job_key: i64,
    /// Its id.
    pub task_id: String,
    /// What of which node they lie in.
    pub node_key: i64,
    /// Tells the task from others of its name.
    pub sequence: i64,
    /// When it ended: tells its last run from earlier ones.
    pub ended_at: Timestamp,
    /// Where they lie below what the node left.
    pub path: String,
    /// Room that they take.
    pub bytes: u64,
    /// Until when they are kept.
    pub keep_until: Timestamp,
}

const COLUMNS: &str = "job_key, task_id, node_key, sequence, ended_at, path, bytes, keep_until";

fn from_row(row: &Row<'_>) -> Result<KeptTask, rusqlite::Error> {
    Ok(KeptTask {
        job_key: row.get(0)?,
        task_id: row.get(1)?,
        node_key: row.get(2)?,
        sequence: row.get(3)?,
        ended_at: Timestamp(row.get(4)?),
        path: row.get(5)?,
        bytes: row.get::<_, i64>(6)?.cast_unsigned(),
        keep_until: Timestamp(row.get(7)?),
    })
}

fn node_from_row(row: &Row<'_>) -> Result<KeptNode, rusqlite::Error> {
    Ok(KeptNode { key: row.get(0)?, account: row.get(1)?, node_id: row.get(2)? })
}

impl View<'_> {
    /// The files of a task as it ended, if they are kept.
    pub fn kept_task(&self, task: &Task) -> Result<Option<KeptTask>, StoreError> {
        let Some(ended_at) = task.life.ended_at else { return Ok(None) };
        let sql = format!(
            "SELECT {COLUMNS} FROM kept_task
             WHERE job_key = ?1 AND task_id = ?2 AND sequence = ?3 AND ended_at = ?4
             ORDER BY node_key DESC LIMIT 1"
        );
        let values = params![task.job_key, task.id, task.sequence, ended_at.0];
        Ok(self.statement(&sql)?.query_row(values, from_row).optional()?)
    }

    /// What nodes left of which it is not yet said what is kept.
    pub fn unsorted_kept_nodes(&self) -> Result<Vec<KeptNode>, StoreError> {
        self.kept_nodes("is_sorted = 0 AND node_id > ?1", "")
    }

    /// What a node left of which that is not yet said, the latest first.
    pub fn unsorted_kept_nodes_of(&self, node_id: &str) -> Result<Vec<KeptNode>, StoreError> {
        self.kept_nodes("is_sorted = 0 AND node_id = ?1 ORDER BY key DESC", node_id)
    }

    fn kept_nodes(&self, which: &str, node_id: &str) -> Result<Vec<KeptNode>, StoreError> {
        let sql = format!(
            "SELECT key, account, node_id FROM kept_node INDEXED BY kept_node_unsorted
             WHERE {which}"
        );
        let mut statement = self.statement(&sql)?;
        let nodes = statement.query_map(params![node_id], node_from_row)?;
        Ok(nodes.collect::<Result<_, _>>()?)
    }

    /// What a node left under this key, if that is not yet said of it.
    pub fn unsorted_kept_node(&self, key: i64) -> Result<Option<KeptNode>, StoreError> {
        let sql = "SELECT key, account, node_id FROM kept_node WHERE key = ?1 AND is_sorted = 0";
        Ok(self.statement(sql)?.query_row(params![key], node_from_row).optional()?)
    }

    /// Whether something is known of what a node left under this key.
    pub fn has_kept_node(&self, key: i64) -> Result<bool, StoreError> {
        Ok(self.statement("SELECT 1 FROM kept_node WHERE key = ?1")?.exists(params![key])?)
    }

    /// Kept files whose time is over, at most `limit`.
    pub fn due_kept_tasks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptTask>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM kept_task WHERE keep_until <= ?1 ORDER BY keep_until LIMIT ?2"
        );
        self.kept_tasks(&sql, now.0, limit)
    }

    /// The files of the tasks that ended first, at most `limit`.
    pub fn oldest_kept_tasks(&self, limit: usize) -> Result<Vec<KeptTask>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM kept_task WHERE ended_at >= ?1 ORDER BY ended_at LIMIT ?2"
        );
        self.kept_tasks(&sql, 0, limit)
    }

    fn kept_tasks(&self, sql: &str, from: i64, limit: usize) -> Result<Vec<KeptTask>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let tasks = statement.query_map(params![from, limit], from_row)?;
        Ok(tasks.collect::<Result<_, _>>()?)
    }

    /// When the time of kept files is over next.
    pub fn next_due_kept_task(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT keep_until FROM kept_task WHERE keep_until >= 0
                   ORDER BY keep_until LIMIT 1";
        let at = self.statement(sql)?.query_row(params![], |row| row.get(0)).optional()?;
        Ok(at.map(Timestamp))
    }

    /// Room that all kept files take.
    pub fn kept_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT bytes FROM kept_size WHERE one = 1";
        let bytes: i64 = self.statement(sql)?.query_row(params![], |row| row.get(0))?;
        Ok(bytes.cast_unsigned())
    }
}

impl Tx<'_> {
    /// Names what a node leaves when it ends.
    pub fn insert_kept_node(&mut self, account: &str, node_id: &str) -> Result<i64, StoreError> {
        let sql = "INSERT INTO kept_node (account, node_id) VALUES (?1, ?2) RETURNING key";
        let mut statement = self.statement(sql)?;
        Ok(statement.query_row(params![account, node_id], |row| row.get(0))?)
    }

    /// Keeps the files of a task; those of its earlier runs are due at once.
    pub fn insert_kept_task(&mut self, kept: &KeptTask) -> Result<(), StoreError> {
        let sql = "UPDATE kept_task SET keep_until = 0
                   WHERE job_key = ?1 AND task_id = ?2 AND node_key < ?3";
        self.statement(sql)?.execute(params![kept.job_key, kept.task_id, kept.node_key])?;
        self.delete_kept_task(kept)?;
        let sql =
            format!("INSERT INTO kept_task ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        self.statement(&sql)?.execute(params![
            kept.job_key,
            kept.task_id,
            kept.node_key,
            kept.sequence,
            kept.ended_at.0,
            kept.path,
            kept.bytes.cast_signed(),
            kept.keep_until.0,
        ])?;
        Ok(())
    }

    /// Forgets the files of a task.
    pub fn delete_kept_task(&mut self, kept: &KeptTask) -> Result<(), StoreError> {
        let sql = "DELETE FROM kept_task WHERE job_key = ?1 AND task_id = ?2 AND node_key = ?3";
        self.statement(sql)?.execute(params![kept.job_key, kept.task_id, kept.node_key])?;
        Ok(())
    }

    /// All that is kept of what a node left has its row.
    pub fn sort_kept_node(&mut self, key: i64) -> Result<(), StoreError> {
        let sql = "UPDATE kept_node SET is_sorted = 1 WHERE key = ?1";
        self.statement(sql)?.execute(params![key])?;
        Ok(())
    }

    /// Forgets what a node left, once it is sorted and nothing of it is kept; whether that is so.
    pub fn delete_empty_kept_node(&mut self, key: i64) -> Result<bool, StoreError> {
        let sql = "DELETE FROM kept_node WHERE key = ?1 AND is_sorted = 1
                   AND NOT EXISTS (SELECT 1 FROM kept_task WHERE node_key = ?1)";
        Ok(self.statement(sql)?.execute(params![key])? > 0)
    }
}
