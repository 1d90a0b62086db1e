//! Checks all names of blobs against all bytes, of a data directory that nobody serves.
//!
//! Damage is what a client would notice: a name without its bytes, bytes that are others, or a
//! count that would take bytes away too early. Bytes without a name are no damage: a crash
//! leaves them, and the server takes them back while it serves.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_domain::blob::content::{ExtentId, PieceListId};
use kiln_domain::blob::kind::BlobKind;
use kiln_extents::{ExtentFailure, FileId, Inventory, ObjectPlace};
use kiln_store::{BlobNames, ExtentFacts, PieceName, Store, StoreError};
use tokio::runtime::Handle;

use crate::start::folder_of;

/// Findings that are told one by one; more are only counted.
const FINDINGS_MAX: usize = 1000;

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// The names can not be read.
    #[error("the names cannot be read")]
    Store(#[from] StoreError),
    /// The bytes can not be read.
    #[error("the bytes cannot be read")]
    Extents(#[from] ExtentFailure),
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names, sizes and counts.
    Names,
    /// Also every byte.
    Content,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// The database is not whole.
    Database,
    /// A name stands for bytes that nothing is known of.
    NoExtent,
    /// The bytes of a name are gone.
    NoBytes,
    /// There are fewer bytes than the name says, or more.
    Size,
    /// The bytes are others than were written.
    Checksum,
    /// The bytes are used more or less often than is counted.
    UseCount,
    /// A list of pieces is of no blob.
    StrayPieces,
}

impl Damage {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::NoExtent => "no extent",
            Self::NoBytes => "no bytes",
            Self::Size => "size",
            Self::Checksum => "checksum",
            Self::UseCount => "use count",
            Self::StrayPieces => "stray pieces",
        }
    }
}

/// One thing that is wrong, with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub damage: Damage,
    /// With which blob or extent.
    pub place: String,
    /// What is so, and what should be.
    pub detail: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Editions of blobs.
    pub n_blobs: u64,
    /// Staged blocks.
    pub n_staged: u64,
    /// Runs of bytes that names stand for.
    pub n_extents: u64,
    /// Those of them that have a file or an object of their own.
    pub n_files: u64,
    /// Bytes in these files.
    pub file_bytes: u64,
    /// Files that no name stands for; the server takes them back.
    pub n_unnamed: u64,
    /// Bytes in those.
    pub unnamed_bytes: u64,
    /// Extents that nothing uses.
    pub n_unused: u64,
    /// How much is wrong.
    pub n_findings: u64,
    /// What, the first of it.
    pub findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, damage: Damage, place: impl Into<String>, detail: impl Into<String>) {
        self.n_findings += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { damage, place: place.into(), detail: detail.into() });
        }
    }
}

/// How an extent is used.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    n_uses: i64,
    end: u64,
}

/// What is wrong with an extent, to be told for each name that uses it.
type Bad = BTreeMap<ExtentId, (Damage, String)>;

/// Checks the data directory `data`, whose bytes are at `place` if not in it; `on_bytes` hears
/// of what was read. Blocks the thread, which must be one that a runtime lends.
///
/// # Errors
/// When names or bytes can not be read at all.
pub fn check(
    data: &Path,
    place: Option<&ObjectPlace>,
    depth: Depth,
    mut on_bytes: impl FnMut(u64),
) -> Result<Report, FsckError> {
    let inventory = match place {
        Some(place) => Inventory::of_objects(place),
        None => Inventory::of_folder(&folder_of(data)),
    };
    let store = Store::open(data, Box::new(drop))?;
    let mut report = Report::default();
    for line in store.read(|view| view.integrity())? {
        report.add(Damage::Database, "kiln.db", line);
    }
    let uses = count_uses(&store, &mut report)?;
    let extents = extents(&store)?;
    let files = inventory.sizes()?;
    let mut bad = Bad::new();
    for (id, used) in &uses {
        if !extents.contains_key(id) {
            let what = format!("used {} times, and there is no such extent", used.n_uses);
            bad.insert(*id, (Damage::NoExtent, what));
        }
    }
    for facts in extents.values() {
        let used = uses.get(&facts.id).copied().unwrap_or_default();
        check_counts(facts, used, &mut report);
        let found = facts.file.and_then(|file| files.get(&FileId(file)).copied());
        if let Some(wrong) = check_size(facts, used, found) {
            bad.insert(facts.id, wrong);
        } else if depth == Depth::Content
            && let Some(wrong) = check_content(&inventory, facts, found, &mut on_bytes)
        {
            bad.insert(facts.id, wrong);
        }
    }
    count_files(&extents, &files, &mut report);
    name_the_bad(&store, &bad, &mut report)?;
    Ok(report)
}

/// Reads all names and sums up how each extent is used.
fn count_uses(store: &Store, report: &mut Report) -> Result<BTreeMap<ExtentId, Use>, StoreError> {
    let mut uses: BTreeMap<ExtentId, Use> = BTreeMap::new();
    let mut lists: BTreeMap<PieceListId, BlobNames> = BTreeMap::new();
    let mut add = |extent, end: u64| {
        let used = uses.entry(extent).or_default();
        used.n_uses += 1;
        used.end = used.end.max(end);
    };
    store.read(|view| -> Result<(), StoreError> {
        view.each_blob(|blob| {
            report.n_blobs += 1;
            for block in &blob.blocks {
                add(block.extent, block.offset.saturating_add(block.size_bytes));
            }
            match blob.pieces {
                Some(list) => drop(lists.insert(list, blob)),
                None => check_blob_size(&blob, report),
            }
        })?;
        view.each_staged_block(|_, block| {
            report.n_staged += 1;
            add(block.extent, block.offset.saturating_add(block.size_bytes));
        })?;
        let mut ends: BTreeMap<PieceListId, u64> = BTreeMap::new();
        view.each_piece(|piece| {
            add(piece.extent, piece.offset.saturating_add(piece.length));
            check_piece(&piece, &lists, &mut ends, report);
        })?;
        for (list, blob) in &lists {
            let end = ends.get(list).copied().unwrap_or_default();
            if blob.kind == BlobKind::Append && end != blob.size_bytes {
                let what = format!("{} bytes, and its blocks have {end}", blob.size_bytes);
                report.add(Damage::Size, &blob.place, what);
            }
        }
        Ok(())
    })?;
    Ok(uses)
}

fn check_blob_size(blob: &BlobNames, report: &mut Report) {
    let of_blocks: u64 = blob.blocks.iter().map(|block| block.size_bytes).sum();
    if of_blocks != blob.size_bytes {
        let what = format!("{} bytes, and its blocks have {of_blocks}", blob.size_bytes);
        report.add(Damage::Size, &blob.place, what);
    }
}

fn check_piece(
    piece: &PieceName,
    lists: &BTreeMap<PieceListId, BlobNames>,
    ends: &mut BTreeMap<PieceListId, u64>,
    report: &mut Report,
) {
    let Some(blob) = lists.get(&piece.list) else {
        let place = format!("list {}", piece.list.0);
        return report.add(Damage::StrayPieces, place, "of no blob");
    };
    let before = ends.insert(piece.list, piece.start.saturating_add(piece.length));
    if before.is_some_and(|end| end > piece.start) {
        let what = format!("two pieces have the byte {}", piece.start);
        report.add(Damage::Size, &blob.place, what);
    }
    if piece.start.saturating_add(piece.length) > blob.size_bytes {
        let what = format!("{} bytes, and a piece ends behind them", blob.size_bytes);
        report.add(Damage::Size, &blob.place, what);
    }
}

fn extents(store: &Store) -> Result<BTreeMap<ExtentId, ExtentFacts>, StoreError> {
    let mut extents = BTreeMap::new();
    store.read(|view| {
        view.each_extent(|facts| {
            extents.insert(facts.id, facts);
        })
    })?;
    Ok(extents)
}

fn check_counts(facts: &ExtentFacts, used: Use, report: &mut Report) {
    report.n_extents += 1;
    if used.n_uses == 0 {
        report.n_unused += 1;
    }
    if used.n_uses != facts.n_uses {
        let what = format!("used {} times, counted {}", used.n_uses, facts.n_uses);
        report.add(Damage::UseCount, format!("extent {}", facts.id.0), what);
    }
}

/// Whether the bytes of an extent are there, and as many as its names and its row say.
fn check_size(facts: &ExtentFacts, used: Use, found: Option<u64>) -> Option<(Damage, String)> {
    let found = match (facts.file, found) {
        (None, _) => facts.size_bytes.unwrap_or_default(),
        (Some(_), Some(found)) => found,
        (Some(file), None) => return Some((Damage::NoBytes, format!("file {file} is not there"))),
    };
    if let Some(known) = facts.size_bytes
        && known != found
    {
        return Some((Damage::Size, format!("{found} bytes instead of {known}")));
    }
    let is_short = found < used.end;
    is_short.then(|| (Damage::Size, format!("{found} bytes, and names use {}", used.end)))
}

/// Whether the bytes of a file are those that were written, where that is known.
fn check_content(
    inventory: &Inventory,
    facts: &ExtentFacts,
    found: Option<u64>,
    on_bytes: &mut impl FnMut(u64),
) -> Option<(Damage, String)> {
    let (file, size_bytes) = (facts.file?, found?);
    let read = Handle::current().block_on(inventory.digest(FileId(file), size_bytes));
    on_bytes(size_bytes);
    match (read, facts.md5) {
        (Err(failure), _) => Some((Damage::NoBytes, crate::chain(&failure).to_string())),
        (Ok(digest), Some(md5)) if digest.md5 != md5 => {
            Some((Damage::Checksum, format!("file {file} is not what was written")))
        }
        (Ok(_), _) => None,
    }
}

fn count_files(
    extents: &BTreeMap<ExtentId, ExtentFacts>,
    files: &BTreeMap<FileId, u64>,
    report: &mut Report,
) {
    let named: std::collections::BTreeSet<u64> =
        extents.values().filter_map(|facts| facts.file).collect();
    for (id, size_bytes) in files {
        if named.contains(&id.0) {
            report.n_files += 1;
            report.file_bytes += size_bytes;
        } else {
            report.n_unnamed += 1;
            report.unnamed_bytes += size_bytes;
        }
    }
}

/// Tells what is wrong with extents for each name that uses them.
fn name_the_bad(store: &Store, bad: &Bad, report: &mut Report) -> Result<(), StoreError> {
    if bad.is_empty() {
        return Ok(());
    }
    let mut of_list: BTreeMap<PieceListId, String> = BTreeMap::new();
    store.read(|view| -> Result<(), StoreError> {
        let mut tell = |extent: ExtentId, place: &str| {
            if let Some((damage, what)) = bad.get(&extent) {
                report.add(*damage, place, what);
            }
        };
        view.each_blob(|blob| {
            for block in &blob.blocks {
                tell(block.extent, &blob.place);
            }
            of_list.extend(blob.pieces.map(|list| (list, blob.place)));
        })?;
        view.each_staged_block(|place, block| tell(block.extent, &format!("{place} (staged)")))?;
        view.each_piece(|piece| {
            if let Some(place) = of_list.get(&piece.list) {
                tell(piece.extent, place);
            }
        })
    })
}
