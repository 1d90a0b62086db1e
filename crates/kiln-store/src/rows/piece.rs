//! Pieces of append and page blobs.

use kiln_domain::blob::content::{ExtentId, Piece, PieceListId, Slice};
use rusqlite::{OptionalExtension, Row, params};

use super::extent::ExtentUses;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "start, length, extent_key, offset";

fn from_row(row: &Row<'_>) -> Result<Piece, rusqlite::Error> {
    let number = |idx| row.get::<_, i64>(idx).map(i64::cast_unsigned);
    Ok(Piece {
        start: number(0)?,
        slice: Slice { extent: ExtentId(row.get(2)?), offset: number(3)?, length: number(1)? },
    })
}

impl View<'_> {
    /// Up to `limit` pieces that hold bytes of `start..end`, in order.
    pub fn pieces(
        &self,
        list: PieceListId,
        start: u64,
        end: u64,
        limit: usize,
    ) -> Result<Vec<Piece>, StoreError> {
        let before = format!(
            "SELECT {COLUMNS} FROM piece WHERE list_key = ?1 AND start <= ?2
             ORDER BY start DESC LIMIT 1"
        );
        let within = format!(
            "SELECT {COLUMNS} FROM piece WHERE list_key = ?1 AND start > ?2 AND start < ?3
             ORDER BY start LIMIT ?4"
        );
        if start >= end || limit == 0 {
            return Ok(Vec::new());
        }
        let (first, last) = (start.cast_signed(), end.cast_signed());
        let overlapping = self
            .statement(&before)?
            .query_row(params![list.0, first], from_row)
            .optional()?
            .filter(|piece| piece.start.saturating_add(piece.slice.length) > start);
        let mut found: Vec<Piece> = overlapping.into_iter().collect();
        let limit = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let mut statement = self.statement(&within)?;
        let rows = statement.query_map(params![list.0, first, last, limit], from_row)?;
        for row in rows {
            found.push(row?);
        }
        Ok(found)
    }
}

impl Tx<'_> {
    /// A new list without pieces.
    pub fn insert_piece_list(&mut self) -> Result<PieceListId, StoreError> {
        let sql = "INSERT INTO piece_list DEFAULT VALUES RETURNING key";
        Ok(PieceListId(self.statement(sql)?.query_row([], |row| row.get(0))?))
    }

    /// A new list with the pieces of another, which are now used once more.
    pub fn copy_piece_list(&mut self, from: PieceListId) -> Result<PieceListId, StoreError> {
        let copy = "INSERT INTO piece (list_key, start, length, extent_key, offset)
                    SELECT ?2, start, length, extent_key, offset FROM piece WHERE list_key = ?1";
        let to = self.insert_piece_list()?;
        self.statement(copy)?.execute(params![from.0, to.0])?;
        let mut uses = ExtentUses::default();
        self.count_pieces(to, |extent| uses.add(extent))?;
        self.apply_extent_uses(uses)?;
        Ok(to)
    }

    /// Keeps a piece, new or in place of the one that begins where it does.
    pub fn put_piece(&mut self, list: PieceListId, piece: &Piece) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO piece (list_key, start, length, extent_key, offset)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        self.statement(sql)?.execute(params![
            list.0,
            piece.start.cast_signed(),
            piece.slice.length.cast_signed(),
            piece.slice.extent.0,
            piece.slice.offset.cast_signed(),
        ])?;
        Ok(())
    }

    /// Forgets the piece that begins at `start`.
    pub fn delete_piece(&mut self, list: PieceListId, start: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM piece WHERE list_key = ?1 AND start = ?2";
        self.statement(sql)?.execute(params![list.0, start.cast_signed()])?;
        Ok(())
    }

    /// Forgets a list and notes that its pieces are not used by it any longer.
    pub(crate) fn forget_pieces(
        &mut self,
        list: PieceListId,
        uses: &mut ExtentUses,
    ) -> Result<(), StoreError> {
        let pieces = "DELETE FROM piece WHERE list_key = ?1";
        let lists = "DELETE FROM piece_list WHERE key = ?1";
        self.count_pieces(list, |extent| uses.remove(extent))?;
        self.statement(pieces)?.execute(params![list.0])?;
        self.statement(lists)?.execute(params![list.0])?;
        Ok(())
    }

    fn count_pieces(
        &self,
        list: PieceListId,
        mut count: impl FnMut(ExtentId),
    ) -> Result<(), StoreError> {
        let sql = "SELECT extent_key FROM piece WHERE list_key = ?1";
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![list.0], |row| row.get::<_, i64>(0))?;
        for row in rows {
            count(ExtentId(row?));
        }
        Ok(())
    }
}
