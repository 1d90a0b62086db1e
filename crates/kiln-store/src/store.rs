//! The store: one writer thread, any number of readers.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kiln_domain::batch::change::Change;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::flusher::{self, Flusher};
use crate::writer::{ByHand, Ears, Job, Writer};
use crate::{StoreError, Tx, View, migrations};

/// Readers kept open for the next read.
const IDLE_READERS_MAX: usize = 16;
/// Bytes of pages that the writer's connection keeps in memory.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// Bytes of pages that a reader's connection keeps in memory.
const READER_CACHE_KIB: i64 = 4 * 1024;
/// Bytes of a page of a new database. What tasks write lies together, so that large pages are
/// fewer writes; a commit of one operation writes some of them whole.
const PAGE_BYTES: u32 = 8 * 1024;
/// Bytes of the log after which the writer brings its pages to the database: those that are
/// written again and again meanwhile, such as the ends of indexes, go there once.
const CHECKPOINT_BYTES: u32 = 64 * 1024 * 1024;
/// Compiled statements that a connection keeps.
const STATEMENTS_MAX: usize = 256;

/// What a commit that was answered has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk: a power cut takes nothing that was answered.
    #[default]
    Full,
    /// It is with the kernel, and on the disk about a second later: the end of the process
    /// takes nothing, a power cut the last moments. What is left is whole, as it was at one
    /// time.
    Relaxed,
}

/// Told of committed changes, in commit order, on the writer's thread.
pub type Observer = Box<dyn FnMut(Vec<Change>) + Send>;

/// What a commit came to.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// Operations that shared it.
    pub n_operations: u32,
    /// Time for running them.
    pub ran_for: Duration,
    /// Time for making it durable.
    pub flushed_for: Duration,
    /// Whether it happened.
    pub is_kept: bool,
}

/// Told of each commit, on the writer's thread.
pub type Watcher = Box<dyn FnMut(Committed) + Send>;

/// The state of one Kiln.
pub struct Store {
    path: PathBuf,
    durability: Durability,
    writer: Writer,
    idle_readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the database of a data directory, or makes it; `observer` is told of changes.
    ///
    /// # Errors
    /// When the file can not be opened, was written by a newer Kiln, or is no database.
    pub fn open(directory: &Path, observer: Observer) -> Result<Self, StoreError> {
        Self::open_as(directory, Durability::Full, observer)
    }

    /// Opens it with commits that are answered at the given moment.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_as(
        directory: &Path,
        durability: Durability,
        observer: Observer,
    ) -> Result<Self, StoreError> {
        Self::open_watched(directory, durability, observer, Box::new(drop))
    }

    /// The same with somebody who is told how commits go.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_watched(
        directory: &Path,
        durability: Durability,
        observer: Observer,
        watcher: Watcher,
    ) -> Result<Self, StoreError> {
        let path = directory.join("kiln.db");
        let (synchronous, is_relaxed) = match durability {
            Durability::Full => ("FULL", false),
            Durability::Relaxed => ("NORMAL", true),
        };
        let connection = open_writing(&path, synchronous)?;
        let flusher = is_relaxed.then(|| Flusher::start(path.clone()));
        let writer = Writer::start(connection, Ears { observer, watcher }, flusher);
        Ok(Self { path, durability, writer, idle_readers: Mutex::new(Vec::new()) })
    }

    /// Opens it for a simulation, which runs the writer itself and decides when a commit is
    /// durable: this machine's disk is not waited for.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_by_hand(
        directory: &Path,
        observer: Observer,
    ) -> Result<(Self, ByHand), StoreError> {
        let path = directory.join("kiln.db");
        let ears = Ears { observer, watcher: Box::new(drop) };
        let (writer, by_hand) = Writer::by_hand(open_writing(&path, "OFF")?, ears);
        let (durability, idle_readers) = (Durability::Full, Mutex::new(Vec::new()));
        Ok((Self { path, durability, writer, idle_readers }, by_hand))
    }

    /// Operations that wait for the writer.
    pub fn n_waiting(&self) -> usize {
        self.writer.n_waiting()
    }

    /// Waits until all that was answered is on the disk, however durability is set: before
    /// something is taken away for good that only a lost commit would still name.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn flush(&self) -> Result<(), StoreError> {
        if self.durability == Durability::Full {
            return Ok(());
        }
        let path = self.path.clone();
        let flushing = tokio::task::spawn_blocking(move || flusher::flush(&path));
        let flushed = flushing.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        flushed.map_err(|cause| StoreError::Commit(cause.to_string()))
    }

    /// Runs `op` on the writer, together with whatever else waits; answers when the commit
    /// they share is on disk.
    ///
    /// # Errors
    /// What `op` returned, or that the commit failed: in both cases nothing of it happened.
    pub async fn write<T, E>(
        &self,
        op: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Job::new(op, answer)).await?;
        answered.await.unwrap_or_else(|_closed| Err(StoreError::Closed.into()))
    }

    /// Runs `op` on a picture of what is committed. It runs here and now: keep it short.
    ///
    /// # Errors
    /// What `op` returned, or that no connection could be opened.
    pub fn read<T, E>(&self, op: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open_reader()?,
        };
        // Compiled once, as all other statements: a read of a few rows takes no longer than
        // compiling these two.
        let step = |sql| connection.prepare_cached(sql)?.execute([]).map_err(StoreError::from);
        step("BEGIN")?;
        let result = op(&View::new(&connection));
        step("COMMIT")?;
        let mut idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS_MAX {
            idle.push(connection);
        }
        result
    }

    fn open_reader(&self) -> Result<Connection, StoreError> {
        let open = |cause| StoreError::Open { path: self.path.clone(), cause };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(open)?;
        prepare(&connection, READER_CACHE_KIB).map_err(open)?;
        Ok(connection)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Opens the database for its writer, made and brought to the newest schema.
fn open_writing(path: &Path, synchronous: &str) -> Result<Connection, StoreError> {
    let open = |cause| StoreError::Open { path: path.to_owned(), cause };
    // It holds keys: nobody but the owner reads it, nor what SQLite puts beside it.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| StoreError::Create { path: path.to_owned(), cause })?;
    let mut connection = Connection::open(path).map_err(open)?;
    // One that is there keeps its own.
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(open)?;
    prepare(&connection, WRITER_CACHE_KIB).map_err(open)?;
    connection.pragma_update(None, "synchronous", synchronous).map_err(open)?;
    let page_bytes: u32 =
        connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(open)?;
    let n_pages = CHECKPOINT_BYTES / page_bytes;
    connection.pragma_update(None, "wal_autocheckpoint", n_pages).map_err(open)?;
    require_whole(path, &connection)?;
    migrations::apply(&mut connection)?;
    Ok(connection)
}

/// Refuses a file that is shorter than its own first page says: SQLite reads what is missing of
/// its last page as zeros, and would only find out with some of what lay there.
fn require_whole(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let open = |cause| StoreError::Open { path: path.to_owned(), cause };
    let read =
        || lengths(path).map_err(|cause| StoreError::Create { path: path.to_owned(), cause });
    let (length, written) = read()?;
    if length >= written {
        return Ok(());
    }
    // The log was being brought in when a server was killed, first page first: it goes on.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).map_err(open)?;
    let (length, written) = read()?;
    if length < written {
        return Err(StoreError::Cut { path: path.to_owned(), length, written });
    }
    Ok(())
}

/// Bytes that a database file has, and that its first page says; a file without one says 0.
/// <https://www.sqlite.org/fileformat.html#the_database_header>
fn lengths(path: &Path) -> io::Result<(u64, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; 100];
    if length < header.len() as u64 {
        return Ok((length, 0));
    }
    file.read_exact_at(&mut header, 0)?;
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65536,
        bytes => u64::from(bytes),
    };
    let n_pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    Ok((length, page_bytes * u64::from(n_pages)))
}

fn prepare(connection: &Connection, cache_kib: i64) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}
