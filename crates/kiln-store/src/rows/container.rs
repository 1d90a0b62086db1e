//! Containers.

use kiln_domain::blob::container::Container;
use kiln_domain::blob::content::Deletion;
use kiln_domain::blob::lease::Lease;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

/// A container's number: another one for each container that ever had its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey(pub i64);

/// A container and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedContainer {
    /// The number.
    pub key: ContainerKey,
    /// The container.
    pub container: Container,
}

const COLUMNS: &str = "key, name, modified_at, public_access, metadata, policies, lease, \
                       deleted_at, purge_at";

fn from_row(row: &Row<'_>) -> Result<KeyedContainer, rusqlite::Error> {
    let (Json(public_access), Json(metadata), Json(policies)) =
        (row.get(3)?, row.get(4)?, row.get(5)?);
    let modified_at = Timestamp(row.get(2)?);
    let name = row.get(1)?;
    let lease: Option<Json<Lease>> = row.get(6)?;
    let lease = lease.map(|Json(lease)| lease);
    let deleted = match (row.get(7)?, row.get(8)?) {
        (Some(deleted_at), Some(purge_at)) => {
            Some(Deletion { deleted_at: Timestamp(deleted_at), purge_at: Timestamp(purge_at) })
        }
        _ => None,
    };
    let container =
        Container { name, modified_at, public_access, metadata, policies, lease, deleted };
    Ok(KeyedContainer { key: ContainerKey(row.get(0)?), container })
}

impl View<'_> {
    /// A container by name.
    pub fn container(
        &self,
        account: &str,
        name: &str,
    ) -> Result<Option<KeyedContainer>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM container WHERE account = ?1 AND name = ?2 AND is_deleted = 0"
        );
        Ok(self.statement(&sql)?.query_row(params![account, name], from_row).optional()?)
    }

    /// Up to `limit` containers whose names are `from` or later, in order.
    pub fn containers(
        &self,
        account: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<KeyedContainer>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM container
             WHERE account = ?1 AND name >= ?2 AND is_deleted = 0 ORDER BY name LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(&sql)?;
        let from = String::from_utf8_lossy(from);
        let rows = statement.query_map(params![account, from, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` containers that are deleted and kept, from this name and number on, in
    /// order.
    pub fn kept_containers(
        &self,
        account: &str,
        from: (&[u8], ContainerKey),
        limit: usize,
    ) -> Result<Vec<KeyedContainer>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM container
             WHERE account = ?1 AND (name, key) >= (?2, ?3) AND is_deleted = 2
             ORDER BY name, key LIMIT ?4"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(&sql)?;
        let name = String::from_utf8_lossy(from.0);
        let rows = statement.query_map(params![account, name, from.1.0, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Containers that are deleted and may still have blobs.
    pub fn deleted_containers(&self) -> Result<Vec<ContainerKey>, StoreError> {
        let sql = "SELECT key FROM container WHERE is_deleted = 1 ORDER BY key";
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map([], |row| Ok(ContainerKey(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps a new container; a second one of the same name is a duplicate.
    pub fn insert_container(
        &mut self,
        account: &str,
        container: &Container,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO container
                   (account, name, modified_at, public_access, metadata, policies)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.statement(sql)?.execute(params![
            account,
            container.name,
            container.modified_at.0,
            Json(container.public_access),
            Json(&container.metadata),
            Json(&container.policies),
        ])?;
        Ok(())
    }

    /// Changes all of a container but its name.
    pub fn update_container(
        &mut self,
        key: ContainerKey,
        container: &Container,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE container SET modified_at = ?2, public_access = ?3, metadata = ?4,
                   policies = ?5, lease = ?6 WHERE key = ?1";
        self.statement(sql)?.execute(params![
            key.0,
            container.modified_at.0,
            Json(container.public_access),
            Json(&container.metadata),
            Json(&container.policies),
            container.lease.as_ref().map(Json),
        ])?;
        Ok(())
    }

    /// Frees a container's name and keeps the container to be brought back.
    pub fn mark_container_kept(
        &mut self,
        key: ContainerKey,
        deletion: Deletion,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE container SET is_deleted = 2, deleted_at = ?2, purge_at = ?3
                   WHERE key = ?1";
        let Deletion { deleted_at, purge_at } = deletion;
        self.statement(sql)?.execute(params![key.0, deleted_at.0, purge_at.0])?;
        Ok(())
    }

    /// Brings a kept container back under a name that is free.
    pub fn restore_container(&mut self, key: ContainerKey, name: &str) -> Result<(), StoreError> {
        let sql = "UPDATE container SET is_deleted = 0, deleted_at = NULL, purge_at = NULL,
                   name = ?2 WHERE key = ?1 AND is_deleted = 2";
        self.statement(sql)?.execute(params![key.0, name])?;
        Ok(())
    }

    /// Gives up to `limit` kept containers whose time is over to be taken away; how many.
    pub fn expire_containers(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let select = "SELECT key FROM container WHERE is_deleted = 2 AND purge_at <= ?1
                      ORDER BY purge_at LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let keys: Vec<i64> = self
            .statement(select)?
            .query_map(params![now.0, limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for key in &keys {
            self.mark_container_deleted(ContainerKey(*key))?;
        }
        Ok(keys.len())
    }

    /// Frees a container's name; its blobs are still to be taken away.
    pub fn mark_container_deleted(&mut self, key: ContainerKey) -> Result<(), StoreError> {
        let sql = "UPDATE container SET is_deleted = 1 WHERE key = ?1";
        self.statement(sql)?.execute(params![key.0])?;
        Ok(())
    }

    /// Forgets a container that has no blobs.
    pub fn delete_container(&mut self, key: ContainerKey) -> Result<(), StoreError> {
        let sql = "DELETE FROM container WHERE key = ?1";
        self.statement(sql)?.execute(params![key.0])?;
        Ok(())
    }
}
