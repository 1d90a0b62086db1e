//! The index of tags.

use kiln_domain::blob::content::Blob;
use rusqlite::params;

use super::blob::text;
use super::container::ContainerKey;
use crate::{StoreError, Tx, View};

impl View<'_> {
    /// Up to `limit` values of the tag `key` with the names of the blobs that have them, from
    /// this value and name on, in order of both.
    pub fn tagged(
        &self,
        container: ContainerKey,
        key: &str,
        (value, name): (&str, &[u8]),
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT value, name FROM blob_tag
                   WHERE container_key = ?1 AND key = ?2 AND (value, name) >= (?3, ?4)
                   ORDER BY value, name LIMIT ?5";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![container.0, key, value, name, limit], |row| {
            Ok((row.get(0)?, text(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
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
