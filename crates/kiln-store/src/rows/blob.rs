//! Blobs: what their names mean now, and what they meant before.

use kiln_domain::blob::content::{Blob, BlobDetails, Block, Deletion, ExtentId, PieceListId};
use kiln_domain::blob::edition::Edition;
use kiln_domain::blob::immutability::Protection;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::lease::Lease;
use kiln_domain::blob::tags::Tags;
use kiln_domain::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::container::ContainerKey;
use super::extent::ExtentUses;
use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "name, moment, edition, kind, created_at, modified_at, size_bytes, \
                       properties, metadata, tags, lease, details, pieces, deleted_at, purge_at";

fn from_row(row: &Row<'_>) -> Result<Blob, rusqlite::Error> {
    let (Json(properties), Json(metadata), Json(details)) =
        (row.get(7)?, row.get(8)?, row.get(11)?);
    let tags: Option<Json<Tags>> = row.get(9)?;
    let lease: Option<Json<Lease>> = row.get(10)?;
    let pieces: Option<i64> = row.get(12)?;
    let deleted = match (row.get(13)?, row.get(14)?) {
        (Some(deleted_at), Some(purge_at)) => {
            Some(Deletion { deleted_at: Timestamp(deleted_at), purge_at: Timestamp(purge_at) })
        }
        _ => None,
    };
    Ok(Blob {
        name: text(row.get(0)?),
        edition: edition_of(row.get(2)?, Timestamp(row.get(1)?)),
        kind: kind_of(row.get(3)?),
        created_at: Timestamp(row.get(4)?),
        modified_at: Timestamp(row.get(5)?),
        size_bytes: row.get::<_, i64>(6)?.cast_unsigned(),
        properties,
        metadata,
        tags: tags.map(|Json(tags)| tags).unwrap_or_default(),
        lease: lease.map(|Json(lease)| lease),
        details,
        pieces: pieces.map(PieceListId),
        deleted,
    })
}

const fn edition_number(edition: Edition) -> i64 {
    match edition {
        Edition::Current => 0,
        Edition::Snapshot(_) => 1,
        Edition::Version(_) => 2,
        Edition::Deleted(_) => 3,
    }
}

const fn edition_of(number: i64, moment: Timestamp) -> Edition {
    match number {
        1 => Edition::Snapshot(moment),
        2 => Edition::Version(moment),
        3 => Edition::Deleted(moment),
        _ => Edition::Current,
    }
}

const fn kind_number(kind: BlobKind) -> i64 {
    match kind {
        BlobKind::Block => 0,
        BlobKind::Append => 1,
        BlobKind::Page => 2,
    }
}

pub(super) const fn kind_of(number: i64) -> BlobKind {
    match number {
        1 => BlobKind::Append,
        2 => BlobKind::Page,
        _ => BlobKind::Block,
    }
}

/// A name as text; it was text when it was kept.
pub(super) fn text(name: Vec<u8>) -> String {
    String::from_utf8(name)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The part of the key behind the name: whether it is of the past, and its moment.
fn place(moment: Option<Timestamp>) -> (bool, i64) {
    (moment.is_some(), moment.map_or(0, |moment| moment.0))
}

impl View<'_> {
    /// What a name means now.
    pub fn blob(&self, container: ContainerKey, name: &str) -> Result<Option<Blob>, StoreError> {
        self.blob_at(container, name, None)
    }

    /// What a name means now, or meant at a moment of its past.
    pub fn blob_at(
        &self,
        container: ContainerKey,
        name: &str,
        moment: Option<Timestamp>,
    ) -> Result<Option<Blob>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM blob
             WHERE container_key = ?1 AND is_past = ?2 AND name = ?3 AND moment = ?4"
        );
        let (is_past, moment) = place(moment);
        let key = params![container.0, is_past, name.as_bytes(), moment];
        Ok(self.statement(&sql)?.query_row(key, from_row).optional()?)
    }

    /// The past of a name, the oldest first.
    pub fn past_of_blob(
        &self,
        container: ContainerKey,
        name: &str,
    ) -> Result<Vec<Blob>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM blob
             WHERE container_key = ?1 AND is_past = 1 AND name = ?2 ORDER BY moment"
        );
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map(params![container.0, name.as_bytes()], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The blocks that an edition of a block blob is made of; none when there is none.
    pub fn blob_blocks(
        &self,
        container: ContainerKey,
        name: &str,
        moment: Option<Timestamp>,
    ) -> Result<Vec<Block>, StoreError> {
        let sql = "SELECT blocks FROM blob
                   WHERE container_key = ?1 AND is_past = ?2 AND name = ?3 AND moment = ?4";
        let (is_past, moment) = place(moment);
        let key = params![container.0, is_past, name.as_bytes(), moment];
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
            "SELECT {COLUMNS} FROM blob
             WHERE container_key = ?1 AND is_past = 0 AND name >= ?2 ORDER BY name LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map(params![container.0, from, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` editions of the past from `from` on, in the order of names and moments.
    pub fn past_blobs(
        &self,
        container: ContainerKey,
        from: (&[u8], Timestamp),
        limit: usize,
    ) -> Result<Vec<Blob>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM blob
             WHERE container_key = ?1 AND is_past = 1 AND (name, moment) >= (?2, ?3)
             ORDER BY name, moment LIMIT ?4"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map(params![container.0, from.0, from.1.0, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a container has an edition of a blob with a protection such as `is_meant` says.
    pub fn has_protection(
        &self,
        container: ContainerKey,
        is_meant: impl Fn(&Protection) -> bool,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT details FROM blob
                   WHERE container_key = ?1 AND instr(details, '\"protection\":') > 0";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params![container.0])?;
        while let Some(row) = rows.next()? {
            let Json(details): Json<BlobDetails> = row.get(0)?;
            if is_meant(&details.protection) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The last versions of up to `limit` names, `from` or later and in order, of which nothing
    /// else is left than versions.
    pub fn left_behind(
        &self,
        container: ContainerKey,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Blob>, StoreError> {
        // Beside `MAX` the other columns are those of its row.
        let columns = COLUMNS.replace("moment,", "MAX(moment),");
        let sql = format!(
            "SELECT {columns} FROM blob AS past
             WHERE container_key = ?1 AND is_past = 1 AND name >= ?2 AND edition = ?3
                 AND deleted_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM blob AS now WHERE now.container_key = ?1
                     AND now.is_past = 0 AND now.name = past.name AND now.moment = 0)
             GROUP BY name ORDER BY name LIMIT ?4"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let version = edition_number(Edition::Version(Timestamp(0)));
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map(params![container.0, from, version, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` editions whose time is over.
    pub fn purgeable_blobs(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ContainerKey, Blob)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, container_key FROM blob
             WHERE purge_at <= ?1 ORDER BY purge_at LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map(params![now.0, limit], |row| {
            Ok((ContainerKey(row.get(15)?), from_row(row)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps an edition of a blob, new or in place of the one there is. Of a block blob,
    /// `blocks` are what it is made of.
    pub fn put_blob(
        &mut self,
        container: ContainerKey,
        blob: &Blob,
        blocks: &[Block],
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO blob (container_key, is_past, name, moment, edition,
                   kind, created_at, modified_at, size_bytes, properties, metadata, tags, lease,
                   details, pieces, deleted_at, purge_at, blocks)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                   ?16, ?17, ?18)";
        let (is_past, moment) = place(blob.edition.moment());
        self.statement(sql)?.execute(params![
            container.0,
            is_past,
            blob.name.as_bytes(),
            moment,
            edition_number(blob.edition),
            kind_number(blob.kind),
            blob.created_at.0,
            blob.modified_at.0,
            blob.size_bytes.cast_signed(),
            Json(&blob.properties),
            Json(&blob.metadata),
            tags_value(blob),
            blob.lease.as_ref().map(Json),
            Json(&blob.details),
            blob.pieces.map(|pieces| pieces.0),
            blob.deleted.map(|deleted| deleted.deleted_at.0),
            blob.deleted.map(|deleted| deleted.purge_at.0),
            encode_blocks(blocks),
        ])?;
        self.index_tags(container, blob)
    }

    /// Changes all of an edition but its name, its moment and the blocks it is made of.
    pub fn update_blob(&mut self, container: ContainerKey, blob: &Blob) -> Result<(), StoreError> {
        let sql = "UPDATE blob SET modified_at = ?5, size_bytes = ?6, properties = ?7,
                   metadata = ?8, tags = ?9, lease = ?10, details = ?11, pieces = ?12,
                   deleted_at = ?13, purge_at = ?14, edition = ?15
                   WHERE container_key = ?1 AND is_past = ?2 AND name = ?3 AND moment = ?4";
        let (is_past, moment) = place(blob.edition.moment());
        self.statement(sql)?.execute(params![
            container.0,
            is_past,
            blob.name.as_bytes(),
            moment,
            blob.modified_at.0,
            blob.size_bytes.cast_signed(),
            Json(&blob.properties),
            Json(&blob.metadata),
            tags_value(blob),
            blob.lease.as_ref().map(Json),
            Json(&blob.details),
            blob.pieces.map(|pieces| pieces.0),
            blob.deleted.map(|deleted| deleted.deleted_at.0),
            blob.deleted.map(|deleted| deleted.purge_at.0),
            edition_number(blob.edition),
        ])?;
        self.index_tags(container, blob)
    }

    /// Forgets an edition of a blob; its content stays in use until [`Tx::release_content`].
    pub fn delete_blob(
        &mut self,
        container: ContainerKey,
        name: &str,
        moment: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM blob
                   WHERE container_key = ?1 AND is_past = ?2 AND name = ?3 AND moment = ?4";
        let (is_past, moment) = place(moment);
        self.statement(sql)?.execute(params![container.0, is_past, name.as_bytes(), moment])?;
        if is_past { Ok(()) } else { self.forget_tags(container, name) }
    }

    /// Notes that an edition uses its content no longer, and forgets its list of pieces.
    pub fn release_content(
        &mut self,
        container: ContainerKey,
        blob: &Blob,
        uses: &mut ExtentUses,
    ) -> Result<(), StoreError> {
        if let Some(list) = blob.pieces {
            return self.forget_pieces(list, uses);
        }
        for block in self.blob_blocks(container, &blob.name, blob.edition.moment())? {
            uses.remove(block.extent);
        }
        Ok(())
    }

    /// Forgets up to `limit` editions of blobs of a container, notes that their content is not
    /// used, and answers with how many they were.
    pub fn take_blobs(
        &mut self,
        container: ContainerKey,
        limit: usize,
        uses: &mut ExtentUses,
    ) -> Result<usize, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM blob WHERE container_key = ?1 LIMIT ?2");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found: Vec<Blob> = self
            .statement(&sql)?
            .query_map(params![container.0, limit], from_row)?
            .collect::<Result<_, _>>()?;
        for blob in &found {
            self.release_content(container, blob, uses)?;
            self.delete_blob(container, &blob.name, blob.edition.moment())?;
        }
        Ok(found.len())
    }
}

fn tags_value(blob: &Blob) -> Option<Json<&Tags>> {
    Some(Json(&blob.tags)).filter(|_| !blob.tags.is_empty())
}

/// Set in the length of an id when an offset follows; ids are shorter.
const HAS_OFFSET: u8 = 0x80;

/// Blocks as one value: for each the length of its id, the id, its extent, its size, and where
/// it begins in the extent unless that is at 0.
fn encode_blocks(blocks: &[Block]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(blocks.iter().map(|block| 17 + block.id.len()).sum());
    for block in blocks {
        let length = u8::try_from(block.id.len()).unwrap_or(u8::MAX) & !HAS_OFFSET;
        bytes.push(if block.offset == 0 { length } else { length | HAS_OFFSET });
        bytes.extend(block.id.bytes().take(usize::from(length)));
        bytes.extend(block.extent.0.to_le_bytes());
        bytes.extend(block.size_bytes.to_le_bytes());
        if block.offset != 0 {
            bytes.extend(block.offset.to_le_bytes());
        }
    }
    bytes
}

pub(super) fn decode_blocks(mut bytes: &[u8]) -> Result<Vec<Block>, StoreError> {
    let damaged =
        || StoreError::Unknown { what: "the blocks of a blob", value: "a broken value".to_owned() };
    let mut blocks = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let id_length = usize::from(*length & !HAS_OFFSET);
        let (id, rest) = rest.split_at_checked(id_length).ok_or_else(damaged)?;
        let (extent, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (size, mut rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let mut offset = 0;
        if *length & HAS_OFFSET != 0 {
            let (found, behind) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
            (offset, rest) = (u64::from_le_bytes(*found), behind);
        }
        blocks.push(Block {
            id: String::from_utf8_lossy(id).into_owned(),
            extent: ExtentId(i64::from_le_bytes(*extent)),
            offset,
            size_bytes: u64::from_le_bytes(*size),
        });
        bytes = rest;
    }
    Ok(blocks)
}
