//! Pools.

use kiln_domain::batch::pool::{Pool, PoolLife};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "key, account, id, spec, life";

fn from_row(row: &Row<'_>) -> Result<Pool, rusqlite::Error> {
    let Json(life) = row.get(4)?;
    Ok(Pool {
        key: row.get(0)?,
        account: row.get(1)?,
        id: row.get(2)?,
        document: row.get(3)?,
        life,
    })
}

impl View<'_> {
    /// A pool by its id, which compares without case.
    pub fn pool(&self, account: &str, id: &str) -> Result<Option<Pool>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM pool WHERE account = ?1 AND id = ?2");
        Ok(self.statement(&sql)?.query_row(params![account, id], from_row).optional()?)
    }

    /// A pool by its key.
    pub fn pool_by_key(&self, key: i64) -> Result<Option<Pool>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM pool WHERE key = ?1");
        Ok(self.statement(&sql)?.query_row(params![key], from_row).optional()?)
    }

    /// Pools of an account in id order: at most `limit` whose id comes after `after`.
    pub fn pools_after(
        &self,
        account: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Pool>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM pool WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![account, after, limit], from_row)?
            .collect::<Result<_, _>>()?)
    }

    /// How many pools an account has.
    pub fn n_pools(&self, account: &str) -> Result<u64, StoreError> {
        let sql = "SELECT n FROM pool_count WHERE account = ?1";
        let count =
            self.statement(sql)?.query_row(params![account], |row| row.get(0)).optional()?;
        Ok(count.map_or(0, |count: i64| u64::try_from(count).unwrap_or(0)))
    }

    /// The pools of all accounts, by key.
    pub fn all_pools(&self) -> Result<Vec<Pool>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM pool ORDER BY key");
        let mut statement = self.statement(&sql)?;
        Ok(statement.query_map([], from_row)?.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps a new pool and gives its key; one of the same id is a duplicate.
    pub fn insert_pool(
        &mut self,
        account: &str,
        id: &str,
        document: &str,
        life: &PoolLife,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO pool (account, id, spec, life) VALUES (?1, ?2, ?3, ?4)";
        Ok(self.statement(sql)?.insert(params![account, id, document, Json(life)])?)
    }

    /// Keeps what has become of a pool.
    pub fn update_pool(&mut self, key: i64, life: &PoolLife) -> Result<(), StoreError> {
        let sql = "UPDATE pool SET life = ?2 WHERE key = ?1";
        self.statement(sql)?.execute(params![key, Json(life)])?;
        Ok(())
    }

    /// Keeps another specification of a pool.
    pub fn update_pool_spec(&mut self, key: i64, document: &str) -> Result<(), StoreError> {
        let sql = "UPDATE pool SET spec = ?2 WHERE key = ?1";
        self.statement(sql)?.execute(params![key, document])?;
        Ok(())
    }

    /// Removes a pool, whose nodes must be gone.
    pub fn delete_pool(&mut self, key: i64) -> Result<(), StoreError> {
        self.statement("DELETE FROM pool WHERE key = ?1")?.execute(params![key])?;
        Ok(())
    }
}
