//! Extents: where runs of bytes are, and how often they are used.

use std::collections::BTreeMap;

use kiln_domain::blob::content::ExtentId;
use rusqlite::{OptionalExtension, params};

use crate::{StoreError, Tx, View};

/// Where the bytes of an extent are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtentPlace {
    /// In the row itself.
    Inline(Vec<u8>),
    /// In the file of this number.
    File(u64),
}

/// How the uses of extents change, one sum for each extent.
#[derive(Clone, Debug, Default)]
pub struct ExtentUses(BTreeMap<ExtentId, i64>);

impl ExtentUses {
    /// One use more.
    pub fn add(&mut self, id: ExtentId) {
        *self.0.entry(id).or_default() += 1;
    }

    /// One use less.
    pub fn remove(&mut self, id: ExtentId) {
        *self.0.entry(id).or_default() -= 1;
    }
}

impl View<'_> {
    /// Where an extent is; `None` when it is gone.
    pub fn extent_place(&self, id: ExtentId) -> Result<Option<ExtentPlace>, StoreError> {
        let sql = "SELECT file, bytes FROM extent WHERE key = ?1";
        let row = self
            .statement(sql)?
            .query_row(params![id.0], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
            })
            .optional()?;
        Ok(row.map(|(file, bytes)| match file {
            Some(file) => ExtentPlace::File(file.cast_unsigned()),
            None => ExtentPlace::Inline(bytes.unwrap_or_default()),
        }))
    }

    /// How often an extent is used.
    pub fn extent_uses(&self, id: ExtentId) -> Result<u64, StoreError> {
        let sql = "SELECT n_uses FROM extent WHERE key = ?1";
        let n_uses: Option<i64> =
            self.statement(sql)?.query_row(params![id.0], |row| row.get(0)).optional()?;
        Ok(n_uses.unwrap_or(0).cast_unsigned())
    }

    /// Those of `files` that no extent is in.
    pub fn unnamed_files(&self, files: &[u64]) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT 1 FROM extent WHERE file = ?1";
        let mut statement = self.statement(sql)?;
        let mut unnamed = Vec::new();
        for file in files {
            if !statement.exists(params![file.cast_signed()])? {
                unnamed.push(*file);
            }
        }
        Ok(unnamed)
    }
}

impl Tx<'_> {
    /// Keeps a new extent, which nothing uses yet.
    pub fn insert_extent(&mut self, place: &ExtentPlace) -> Result<ExtentId, StoreError> {
        let sql = "INSERT INTO extent (file, n_uses, bytes) VALUES (?1, 0, ?2) RETURNING key";
        let mut statement = self.statement(sql)?;
        let key = match place {
            ExtentPlace::Inline(bytes) => {
                statement.query_row(params![None::<i64>, bytes], |row| row.get(0))?
            }
            ExtentPlace::File(file) => {
                let file = file.cast_signed();
                statement.query_row(params![file, None::<Vec<u8>>], |row| row.get(0))?
            }
        };
        Ok(ExtentId(key))
    }

    /// Changes how often extents are used, forgets those that nothing uses any longer, and
    /// answers with their files: to be removed once this operation is committed.
    pub fn apply_extent_uses(&mut self, uses: ExtentUses) -> Result<Vec<u64>, StoreError> {
        let update = "UPDATE extent SET n_uses = n_uses + ?2 WHERE key = ?1 RETURNING n_uses, file";
        let delete = "DELETE FROM extent WHERE key = ?1";
        let mut freed = Vec::new();
        for (id, change) in uses.0 {
            if change == 0 {
                continue;
            }
            let row = self
                .statement(update)?
                .query_row(params![id.0, change], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
                })
                .optional()?;
            let Some((n_uses, file)) = row else { continue };
            if n_uses <= 0 {
                self.statement(delete)?.execute(params![id.0])?;
                freed.extend(file.map(i64::cast_unsigned));
            }
        }
        Ok(freed)
    }
}
