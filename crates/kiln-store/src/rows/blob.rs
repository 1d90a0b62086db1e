//! Blobs and the blocks staged for them.

use kiln_domain::blob::block::Staged;
use kiln_domain::blob::content::{Blob, Block, ContentProperties, ExtentId};
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::container::ContainerKey;
use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "name, created_at, modified_at, size_bytes, properties, metadata";

fn from_row(row: &Row<'_>) -> Result<Blob, rusqlite::Error> {
    let (Json(properties), Json(metadata)) = (row.get(4)?, row.get(5)?);
    let size_bytes: i64 = row.get(3)?;
    Ok(Blob {
        name: text(row.get(0)?),
        created_at: Timestamp(row.get(1)?),
        modified_at: Timestamp(row.get(2)?),
        size_bytes: size_bytes.cast_unsigned(),
        properties,
        metadata,
    })
}

/// A name as text; it was text when it was kept.
fn text(name: Vec<u8>) -> String {
    String::from_utf8(name)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl View<'_> {
    /// A blob by name.
    pub fn blob(&self, container: ContainerKey, name: &str) -> Result<Option<Blob>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM blob WHERE container_key = ?1 AND name = ?2");
        let key = params![container.0, name.as_bytes()];
        Ok(self.statement(&sql)?.query_row(key, from_row).optional()?)
    }

    /// The blocks a blob is made of; none when there is no such blob.
    pub fn blob_blocks(
        &self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Vec<Block>, StoreError> {
        let sql = "SELECT blocks FROM blob WHERE container_key = ?1 AND name = ?2";
        let key = params![container.0, name.as_bytes()];
        let bytes: Option<Vec<u8>> =
            self.statement(sql)?.query_row(key, |row| row.get(0)).optional()?;
        bytes.map_or(Ok(Vec::new()), |bytes| decode_blocks(&bytes))
    }

    /// Up to `limit` blobs whose names are `from` or later, in order.
    pub fn blobs(
        &self,
        container: ContainerKey,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Blob>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM blob WHERE container_key = ?1 AND name >= ?2
             ORDER BY name LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map(params![container.0, from, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` names, `from` or later and in order, of blobs that have staged blocks and
    /// are not there otherwise; as empty blobs.
    pub fn uncommitted_blobs(
        &self,
        container: ContainerKey,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Blob>, StoreError> {
        let sql = "SELECT name, changed_at FROM upload AS u
                   WHERE container_key = ?1 AND name >= ?2 AND NOT EXISTS
                   (SELECT 1 FROM blob AS b WHERE b.container_key = ?1 AND b.name = u.name)
                   ORDER BY name LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![container.0, from, limit], |row| {
            let changed_at = Timestamp(row.get(1)?);
            Ok(Blob {
                name: text(row.get(0)?),
                created_at: changed_at,
                modified_at: changed_at,
                size_bytes: 0,
                properties: ContentProperties::default(),
                metadata: Metadata::default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many blocks are staged for a name, if any.
    pub fn staged(
        &self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Option<Staged>, StoreError> {
        let sql = "SELECT n_blocks, id_length FROM upload
                   WHERE container_key = ?1 AND name = ?2";
        let key = params![container.0, name.as_bytes()];
        let found = self
            .statement(sql)?
            .query_row(key, |row| Ok(Staged { n_blocks: row.get(0)?, id_length: row.get(1)? }));
        Ok(found.optional()?)
    }

    /// The blocks staged for a name, by id.
    pub fn staged_blocks(
        &self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Vec<Block>, StoreError> {
        let sql = "SELECT id, extent_key, size_bytes FROM staged_block
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

impl Tx<'_> {
    /// Keeps a blob, new or in place of the one of its name.
    pub fn put_blob(
        &mut self,
        container: ContainerKey,
        blob: &Blob,
        blocks: &[Block],
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO blob (container_key, name, created_at, modified_at,
                   size_bytes, properties, metadata, blocks)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.statement(sql)?.execute(params![
            container.0,
            blob.name.as_bytes(),
            blob.created_at.0,
            blob.modified_at.0,
            blob.size_bytes.cast_signed(),
            Json(&blob.properties),
            Json(&blob.metadata),
            encode_blocks(blocks),
        ])?;
        Ok(())
    }

    /// Changes all of a blob but its name and content.
    pub fn update_blob(&mut self, container: ContainerKey, blob: &Blob) -> Result<(), StoreError> {
        let sql = "UPDATE blob SET modified_at = ?3, properties = ?4, metadata = ?5
                   WHERE container_key = ?1 AND name = ?2";
        self.statement(sql)?.execute(params![
            container.0,
            blob.name.as_bytes(),
            blob.modified_at.0,
            Json(&blob.properties),
            Json(&blob.metadata),
        ])?;
        Ok(())
    }

    /// Forgets a blob.
    pub fn delete_blob(&mut self, container: ContainerKey, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM blob WHERE container_key = ?1 AND name = ?2";
        self.statement(sql)?.execute(params![container.0, name.as_bytes()])?;
        Ok(())
    }

    /// Forgets up to `limit` blobs of a container and answers with all their blocks and how
    /// many blobs they were.
    pub fn take_blobs(
        &mut self,
        container: ContainerKey,
        limit: usize,
    ) -> Result<(usize, Vec<Block>), StoreError> {
        let select = "SELECT name, blocks FROM blob WHERE container_key = ?1 LIMIT ?2";
        let delete = "DELETE FROM blob WHERE container_key = ?1 AND name = ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found: Vec<(Vec<u8>, Vec<u8>)> = self
            .statement(select)?
            .query_map(params![container.0, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut blocks = Vec::new();
        for (name, bytes) in &found {
            blocks.append(&mut decode_blocks(bytes)?);
            self.statement(delete)?.execute(params![container.0, name])?;
        }
        Ok((found.len(), blocks))
    }

    /// Stages a block, new or in place of the one of its id, which is given back.
    pub fn put_staged_block(
        &mut self,
        container: ContainerKey,
        name: &str,
        block: &Block,
        now: Timestamp,
    ) -> Result<Option<ExtentId>, StoreError> {
        let select = "SELECT extent_key FROM staged_block
                      WHERE container_key = ?1 AND name = ?2 AND id = ?3";
        let insert = "INSERT OR REPLACE INTO staged_block
                      (container_key, name, id, extent_key, size_bytes)
                      VALUES (?1, ?2, ?3, ?4, ?5)";
        let count = "INSERT INTO upload (container_key, name, n_blocks, id_length, changed_at)
                     VALUES (?1, ?2, 1, ?3, ?4) ON CONFLICT DO UPDATE
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
            size_bytes
        ])?;
        let n_more = i64::from(replaced.is_none());
        let id_length = i64::try_from(block.id.len()).unwrap_or(i64::MAX);
        self.statement(count)?.execute(params![container.0, name, id_length, now.0, n_more])?;
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
    Ok(Block { id: row.get(0)?, extent: ExtentId(row.get(1)?), size_bytes })
}

/// Blocks as one value: for each the length of its id, the id, its extent and its size.
fn encode_blocks(blocks: &[Block]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(blocks.iter().map(|block| 17 + block.id.len()).sum());
    for block in blocks {
        bytes.push(u8::try_from(block.id.len()).unwrap_or(u8::MAX));
        bytes.extend(block.id.bytes().take(usize::from(u8::MAX)));
        bytes.extend(block.extent.0.to_le_bytes());
        bytes.extend(block.size_bytes.to_le_bytes());
    }
    bytes
}

fn decode_blocks(mut bytes: &[u8]) -> Result<Vec<Block>, StoreError> {
    let damaged =
        || StoreError::Unknown { what: "the blocks of a blob", value: "a broken value".to_owned() };
    let mut blocks = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (id, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(damaged)?;
        let (extent, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (size, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        blocks.push(Block {
            id: String::from_utf8_lossy(id).into_owned(),
            extent: ExtentId(i64::from_le_bytes(*extent)),
            size_bytes: u64::from_le_bytes(*size),
        });
        bytes = rest;
    }
    Ok(blocks)
}
