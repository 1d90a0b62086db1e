//! The index of tags.

use kiln_domain::blob::content::Blob;
use rusqlite::params;

use super::blob::text;
use super::container::ContainerKey;
use crate::{StoreError, Tx, View};

impl View<'_> {
    /// Up to `limit` names of blobs, `from` or later and in order, that have a tag with this
    /// key and value.
    pub fn names_tagged(
        &self,
        container: ContainerKey,
        (key, value): (&str, &str),
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM blob_tag
                   WHERE container_key = ?1 AND key = ?2 AND value = ?3 AND name >= ?4
                   ORDER BY name LIMIT ?5";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows =
            statement.query_map(params![container.0, key, value, from, limit], |row| row.get(0))?;
        rows.map(|row| Ok(text(row?))).collect()
    }

    /// The least value of a key that is at least `from`, above it when `is_open`.
    pub fn next_tag_value(
        &self,
        container: ContainerKey,
        key: &str,
        from: &str,
        is_open: bool,
    ) -> Result<Option<String>, StoreError> {
        let closed = "SELECT value FROM blob_tag
                      WHERE container_key = ?1 AND key = ?2 AND value >= ?3
                      ORDER BY value LIMIT 1";
        let open = "SELECT value FROM blob_tag
                    WHERE container_key = ?1 AND key = ?2 AND value > ?3
                    ORDER BY value LIMIT 1";
        let mut statement = self.statement(if is_open { open } else { closed })?;
        let mut rows = statement.query(params![container.0, key, from])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }
}

impl Tx<'_> {
    /// Makes the index agree with the tags of what a name means now.
    pub(super) fn index_tags(
        &mut self,
        container: ContainerKey,
        blob: &Blob,
    ) -> Result<(), StoreError> {
        if !blob.edition.is_current() {
            return Ok(());
        }
        let sql = "INSERT INTO blob_tag (container_key, key, value, name) VALUES (?1, ?2, ?3, ?4)";
        self.forget_tags(container, &blob.name)?;
        for (key, value) in blob.tags.iter() {
            let row = params![container.0, key, value, blob.name.as_bytes()];
            self.statement(sql)?.execute(row)?;
        }
        Ok(())
    }

    pub(super) fn forget_tags(
        &mut self,
        container: ContainerKey,
        name: &str,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM blob_tag WHERE container_key = ?1 AND name = ?2";
        self.statement(sql)?.execute(params![container.0, name.as_bytes()])?;
        Ok(())
    }
}
