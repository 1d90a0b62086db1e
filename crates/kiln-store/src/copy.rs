//! A copy of the database as it is at one moment, beside a server that goes on writing.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use crate::{StoreError, migrations};

/// Copies the database of the data directory `from` to the file `to`, which is made anew, on the
/// disk when this returns; answers with the numbers of the files that it names. Blocks the thread.
///
/// # Errors
/// When there is no database, it can not be read whole or is of a newer Kiln, or the copy can not
/// be written.
pub fn copy(from: &Path, to: &Path) -> Result<Vec<u64>, StoreError> {
    let source = from.join("kiln.db");
    let open = |path: &Path| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags);
        opened.map_err(|cause| StoreError::Open { path: path.to_owned(), cause })
    };
    // It holds keys. SQLite fills a file that is empty.
    let made = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(to);
    let failed = |cause| StoreError::Create { path: to.to_owned(), cause };
    made.map_err(failed)?;
    let connection = open(&source)?;
    migrations::require_known(&connection)?;
    let name = to.to_str().ok_or_else(|| failed(std::io::ErrorKind::InvalidFilename.into()))?;
    connection.execute("VACUUM INTO ?1", params![name])?;
    File::open(to).and_then(|file| file.sync_all()).map_err(failed)?;
    let copied = open(to)?;
    let mut statement = copied.prepare("SELECT file FROM extent WHERE file IS NOT NULL")?;
    let files = statement.query_map([], |row| row.get::<_, i64>(0))?;
    let files = files.map(|file| file.map(i64::cast_unsigned));
    Ok(files.collect::<Result<_, _>>()?)
}
