//! Everything that names bytes, read whole: for a check of a store that nobody serves.

use kiln_domain::blob::content::{Block, ExtentId, PieceListId};
use kiln_domain::blob::kind::BlobKind;
use rusqlite::{Row, params};

use super::blob::{decode_blocks, kind_of, text};
use crate::{StoreError, View};

/// An edition of a blob, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobNames {
    /// Account, container, name and, of the past, the moment: for people.
    pub place: String,
    /// What it is made of.
    pub kind: BlobKind,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Of a block blob.
    pub blocks: Vec<Block>,
    /// Of an append or page blob.
    pub pieces: Option<PieceListId>,
}

/// A run of bytes of an append or page blob, and its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceName {
    /// Of which list.
    pub list: PieceListId,
    /// Its first byte in the blob.
    pub start: u64,
    /// How many bytes.
    pub length: u64,
    /// Where they are.
    pub extent: ExtentId,
    /// And from which byte on.
    pub offset: u64,
}

/// What is known of an extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentFacts {
    /// Which.
    pub id: ExtentId,
    /// How often it is used, as counted.
    pub n_uses: i64,
    /// Its file; without one its bytes are in its row.
    pub file: Option<u64>,
    /// How many bytes it has, where that is known.
    pub size_bytes: Option<u64>,
    /// The MD5 of them, where that is known.
    pub md5: Option<[u8; 16]>,
}

impl View<'_> {
    /// What the database finds wrong with itself; nothing when it is whole.
    ///
    /// # Errors
    /// When it can not be read at all.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.statement("PRAGMA integrity_check")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut found = rows.collect::<Result<Vec<_>, _>>()?;
        found.retain(|line| line != "ok");
        Ok(found)
    }

    /// Every edition of every blob.
    ///
    /// # Errors
    /// When a row can not be read.
    pub fn each_blob(&self, mut each: impl FnMut(BlobNames)) -> Result<(), StoreError> {
        let sql = "SELECT c.account, c.name, b.name, b.moment, b.kind, b.size_bytes, b.pieces,
                   b.blocks FROM blob AS b LEFT JOIN container AS c ON c.key = b.container_key";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let moment: i64 = row.get(3)?;
            let mut place = place_of(row)?;
            if moment != 0 {
                place = format!("{place}@{moment}");
            }
            each(BlobNames {
                place,
                kind: kind_of(row.get(4)?),
                size_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                pieces: row.get::<_, Option<i64>>(6)?.map(PieceListId),
                blocks: decode_blocks(&row.get::<_, Vec<u8>>(7)?)?,
            });
        }
        Ok(())
    }

    /// Every staged block, with the name that it waits for.
    ///
    /// # Errors
    /// When a row can not be read.
    pub fn each_staged_block(&self, mut each: impl FnMut(String, Block)) -> Result<(), StoreError> {
        let sql = "SELECT c.account, c.name, s.name, s.id, s.extent_key, s.size_bytes,
                   s.offset
                   FROM staged_block AS s LEFT JOIN container AS c ON c.key = s.container_key";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let block = Block {
                id: row.get(3)?,
                extent: ExtentId(row.get(4)?),
                offset: row.get::<_, i64>(6)?.cast_unsigned(),
                size_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
            };
            each(place_of(row)?, block);
        }
        Ok(())
    }

    /// Every piece, list by list and in order.
    ///
    /// # Errors
    /// When a row can not be read.
    pub fn each_piece(&self, mut each: impl FnMut(PieceName)) -> Result<(), StoreError> {
        let sql = "SELECT list_key, start, length, extent_key, offset FROM piece
                   ORDER BY list_key, start";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number = |idx| row.get::<_, i64>(idx).map(i64::cast_unsigned);
            each(PieceName {
                list: PieceListId(row.get(0)?),
                start: number(1)?,
                length: number(2)?,
                extent: ExtentId(row.get(3)?),
                offset: number(4)?,
            });
        }
        Ok(())
    }

    /// Every extent.
    ///
    /// # Errors
    /// When a row can not be read.
    pub fn each_extent(&self, mut each: impl FnMut(ExtentFacts)) -> Result<(), StoreError> {
        let sql = "SELECT key, n_uses, file, length(bytes), size_bytes, md5 FROM extent";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (inline, known): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            each(ExtentFacts {
                id: ExtentId(row.get(0)?),
                n_uses: row.get(1)?,
                file: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                size_bytes: inline.or(known).map(i64::cast_unsigned),
                md5: row.get(5)?,
            });
        }
        Ok(())
    }
}

impl crate::Tx<'_> {
    /// Keeps what the file of an extent must hold, for later checks.
    ///
    /// # Errors
    /// When the row can not be changed.
    pub fn keep_digest(
        &mut self,
        id: ExtentId,
        size_bytes: u64,
        md5: [u8; 16],
    ) -> Result<(), StoreError> {
        let sql = "UPDATE extent SET size_bytes = ?2, md5 = ?3 WHERE key = ?1";
        self.statement(sql)?.execute(params![id.0, size_bytes.cast_signed(), md5])?;
        Ok(())
    }
}

/// `ACCOUNT/CONTAINER/NAME`, of the first three columns; what has no container says so.
fn place_of(row: &Row<'_>) -> Result<String, rusqlite::Error> {
    let (account, container): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
    let unknown = || "(none)".to_owned();
    let (account, container) = (account.unwrap_or_else(unknown), container.unwrap_or_else(unknown));
    Ok(format!("{account}/{container}/{}", text(row.get(2)?)))
}
