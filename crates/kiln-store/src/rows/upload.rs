//! Blocks that are staged for a blob and wait for their list.

use kiln_domain::blob::block::Staged;
use kiln_domain::blob::content::{Block, ExtentId};
use kiln_domain::blob::encryption::Encryption;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::blob::text;
use super::container::ContainerKey;
use super::life::Json;
use crate::{StoreError, Tx, View};

impl View<'_> {
    /// Up to `limit` names, `from` or later and in order, of blobs that have staged blocks and
    /// are not there otherwise; with the time of their last block.
    pub fn uncommitted_names(
        &self,
        container: ContainerKey,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let sql = "SELECT name, changed_at FROM upload AS u
                   WHERE container_key = ?1 AND name >= ?2 AND NOT EXISTS
                   (SELECT 1 FROM blob AS b
                    WHERE b.container_key = ?1 AND b.is_past = 0 AND b.name = u.name)
                   ORDER BY name LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![container.0, from, limit], |row| {
            Ok((text(row.get(0)?), Timestamp(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is known of all blocks staged for a name, if there are any.
    pub fn staged(
        &self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Option<Staged>, StoreError> {
        let sql = "SELECT n_blocks, id_length, encryption FROM upload
                   WHERE container_key = ?1 AND name = ?2";
        let key = params![container.0, name.as_bytes()];
        let found = self.statement(sql)?.query_row(key, |row| {
            let encryption = row.get::<_, Option<Json<_>>>(2)?.map(|Json(it)| it);
            Ok(Staged { n_blocks: row.get(0)?, id_length: row.get(1)?, encryption })
        });
        Ok(found.optional()?)
    }

    /// The blocks staged for a name, by id.
    pub fn staged_blocks(
        &self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Vec<Block>, StoreError> {
        let sql = "SELECT id, extent_key, size_bytes, offset FROM staged_block
                   WHERE container_key = ?1 AND name = ?2 ORDER BY id";
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![container.0, name.as_bytes()], staged_block)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` names that have had no block staged since `before`.
    pub fn stale_uploads(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ContainerKey, String)>, StoreError> {
        let sql = "SELECT container_key, name FROM upload WHERE changed_at < ?1
                   ORDER BY changed_at LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![before.0, limit], |row| {
            Ok((ContainerKey(row.get(0)?), text(row.get(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl View<'_> {
    /// Up to `limit` copies that are under way: their targets and ids.
    pub fn pending_copies(
        &self,
        limit: usize,
    ) -> Result<Vec<(ContainerKey, String, String)>, StoreError> {
        let sql = "SELECT container_key, name, id FROM pending_copy
                   ORDER BY container_key, name LIMIT ?1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![limit], |row| {
            Ok((ContainerKey(row.get(0)?), text(row.get(1)?), row.get(2)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Remembers that a copy is under way.
    pub fn put_pending_copy(
        &mut self,
        container: ContainerKey,
        name: &str,
        id: &str,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO pending_copy (container_key, name, id)
                   VALUES (?1, ?2, ?3)";
        self.statement(sql)?.execute(params![container.0, name.as_bytes(), id])?;
        Ok(())
    }

    /// Forgets that a copy is under way.
    pub fn delete_pending_copy(
        &mut self,
        container: ContainerKey,
        name: &str,
        id: &str,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM pending_copy WHERE container_key = ?1 AND name = ?2 AND id = ?3";
        self.statement(sql)?.execute(params![container.0, name.as_bytes(), id])?;
        Ok(())
    }

    /// Stages a block, new or in place of the one of its id, which is given back. What the
    /// first of a name is written with is kept for all of them.
    pub fn put_staged_block(
        &mut self,
        container: ContainerKey,
        name: &str,
        block: &Block,
        (encryption, now): (Option<&Encryption>, Timestamp),
    ) -> Result<Option<ExtentId>, StoreError> {
        let select = "SELECT extent_key FROM staged_block
                      WHERE container_key = ?1 AND name = ?2 AND id = ?3";
        let insert = "INSERT OR REPLACE INTO staged_block
                      (container_key, name, id, extent_key, size_bytes, offset)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let count = "INSERT INTO upload
                     (container_key, name, n_blocks, id_length, changed_at, encryption)
                     VALUES (?1, ?2, 1, ?3, ?4, ?6) ON CONFLICT DO UPDATE
                     SET n_blocks = n_blocks + ?5, changed_at = ?4";
        let name = name.as_bytes();
        let replaced: Option<i64> = self
            .statement(select)?
            .query_row(params![container.0, name, block.id], |row| row.get(0))
            .optional()?;
        let size_bytes = block.size_bytes.cast_signed();
        self.statement(insert)?.execute(params![
            container.0,
            name,
            block.id,
            block.extent.0,
            size_bytes,
            block.offset.cast_signed()
        ])?;
        let n_more = i64::from(replaced.is_none());
        let id_length = i64::try_from(block.id.len()).unwrap_or(i64::MAX);
        self.statement(count)?.execute(params![
            container.0,
            name,
            id_length,
            now.0,
            n_more,
            encryption.map(Json)
        ])?;
        Ok(replaced.map(ExtentId))
    }

    /// Forgets the blocks staged for a name and answers with them.
    pub fn take_staged_blocks(
        &mut self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Vec<Block>, StoreError> {
        let upload = "DELETE FROM upload WHERE container_key = ?1 AND name = ?2";
        let blocks = "DELETE FROM staged_block WHERE container_key = ?1 AND name = ?2";
        let key = params![container.0, name.as_bytes()];
        if self.statement(upload)?.execute(key)? == 0 {
            return Ok(Vec::new());
        }
        let taken = self.staged_blocks(container, name)?;
        self.statement(blocks)?.execute(key)?;
        Ok(taken)
    }

    /// Forgets the blocks staged for up to `limit` names of a container and answers with them
    /// and how many names they were.
    pub fn take_uploads(
        &mut self,
        container: ContainerKey,
        limit: usize,
    ) -> Result<(usize, Vec<Block>), StoreError> {
        let sql = "SELECT name FROM upload WHERE container_key = ?1 LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let names: Vec<Vec<u8>> = self
            .statement(sql)?
            .query_map(params![container.0, limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let n_names = names.len();
        let mut blocks = Vec::new();
        for name in names {
            blocks.append(&mut self.take_staged_blocks(container, &text(name))?);
        }
        Ok((n_names, blocks))
    }
}

fn staged_block(row: &Row<'_>) -> Result<Block, rusqlite::Error> {
    let size_bytes: i64 = row.get(2)?;
    let size_bytes = size_bytes.cast_unsigned();
    let offset = row.get::<_, i64>(3)?.cast_unsigned();
    Ok(Block { id: row.get(0)?, extent: ExtentId(row.get(1)?), offset, size_bytes })
}
