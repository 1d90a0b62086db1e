//! What goes wrong in a store.

use std::path::PathBuf;

/// Why the store could not do what was asked. None of these is a rule that said no.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database file can not be made or written.
    #[error("the file `{}` can not be written", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The database file can not be opened or prepared.
    #[error("the database `{}` can not be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        cause: rusqlite::Error,
    },
    /// The database was written by a newer Kiln.
    #[error(
        "the database has schema {found}, this Kiln knows up to {known}: \
         start the Kiln that wrote it, or a newer one"
    )]
    TooNew {
        /// Schema number in the file.
        found: u32,
        /// Newest schema number of this program.
        known: u32,
    },
    /// The database file is shorter than it was when it was written last.
    #[error(
        "the database `{}` was cut: it is {length} bytes long, and was {written}",
        path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
        /// Bytes that it has.
        length: u64,
        /// Bytes that it had.
        written: u64,
    },
    /// A statement failed.
    #[error("the database failed")]
    Failed(#[from] rusqlite::Error),
    /// A kept document is not what was written: the file was changed by others.
    #[error("the database holds a damaged {what}")]
    Damaged {
        /// Which column or row.
        what: &'static str,
        /// Why it can not be read.
        #[source]
        cause: serde_json::Error,
    },
    /// A kept value is none of the known ones.
    #[error("the database holds `{value}` as {what}, which is unknown")]
    Unknown {
        /// Which column.
        what: &'static str,
        /// The value found.
        value: String,
    },
    /// The changes of the shared commit could not be made durable; none of them happened.
    #[error("the commit failed: {0}")]
    Commit(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the disk, or the quota on it, is full.
    pub fn is_disk_full(&self) -> bool {
        self.is_code(rusqlite::ErrorCode::DiskFull, "database or disk is full")
    }

    /// Whether the disk can not be read or written now: it is read-only, or it fails.
    pub fn is_disk_failing(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, ReadOnly, SystemIoFailure};
        self.is_code(SystemIoFailure, "disk I/O error")
            || self.is_code(ReadOnly, "attempt to write a readonly database")
            || self.is_code(CannotOpen, "unable to open database file")
    }

    /// Whether the file is not what Kiln wrote: it was cut, or changed by others. SQLite tells
    /// of what it can not follow; a row that is not what is kept there shows the rest.
    pub fn is_damaged(&self) -> bool {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let is_unreadable = matches!(
            self,
            Self::Cut { .. }
                | Self::Damaged { .. }
                | Self::Unknown { .. }
                | Self::Failed(
                    FromSqlConversionFailure(..)
                        | IntegralValueOutOfRange(..)
                        | InvalidColumnType(..)
                )
        );
        is_unreadable
            || self.is_code(DatabaseCorrupt, "database disk image is malformed")
            || self.is_code(NotADatabase, "file is not a database")
    }

    /// Whether SQLite failed so. A shared commit that fails tells all who wait in SQLite's own
    /// words, for its error can not be given to each of them.
    fn is_code(&self, code: rusqlite::ErrorCode, words: &str) -> bool {
        match self {
            Self::Failed(rusqlite::Error::SqliteFailure(failure, _))
            | Self::Open { cause: rusqlite::Error::SqliteFailure(failure, _), .. } => {
                failure.code == code
            }
            Self::Commit(text) => text.contains(words),
            Self::Create { .. }
            | Self::Open { .. }
            | Self::TooNew { .. }
            | Self::Cut { .. }
            | Self::Failed(_)
            | Self::Damaged { .. }
            | Self::Unknown { .. }
            | Self::Closed => false,
        }
    }

    /// Whether a unique key was already there.
    pub fn is_duplicate(&self) -> bool {
        matches!(
            self,
            Self::Failed(rusqlite::Error::SqliteFailure(failure, _))
                if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                    || failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use rusqlite::ffi::{self, SQLITE_IOERR_WRITE};
    use rusqlite::types::Type;
    use rusqlite::{Connection, Error};

    use super::StoreError;

    /// What is told of a failure of SQLite, alone and as the end of a shared commit.
    fn check(failure: Error, expected: (bool, bool)) {
        let shared = StoreError::Commit(failure.to_string());
        for error in [shared, StoreError::Failed(failure)] {
            assert_eq!((error.is_disk_full(), error.is_disk_failing()), expected, "{error:?}");
        }
    }

    #[test]
    fn a_row_that_is_not_what_is_kept_there_is_damage() {
        let database = Connection::open_in_memory().expect("a database");
        let number = database.query_row("SELECT 'text'", [], |row| row.get::<_, i64>(0));
        let no_document = Error::FromSqlConversionFailure(5, Type::Text, Box::new(fmt::Error));
        for damaged in [number.expect_err("it is a text"), no_document] {
            let error = StoreError::Failed(damaged);
            assert!(error.is_damaged(), "{error:?}");
        }
        let bug = database.execute_batch("SELECT nothing").expect_err("there is no such column");
        assert!(!StoreError::Failed(bug).is_damaged());
    }

    #[test]
    fn what_the_disk_did_is_told_from_bugs() {
        let database = || Connection::open_in_memory().expect("a database");
        let failure = |database: &Connection, sql: &str| {
            database.execute_batch(sql).expect_err("this can not be done")
        };
        let full = database();
        full.execute_batch("PRAGMA max_page_count = 4; CREATE TABLE t (x)").expect("made");
        check(failure(&full, "INSERT INTO t VALUES (zeroblob(100000))"), (true, false));
        let read_only = database();
        read_only.execute_batch("PRAGMA query_only = 1").expect("set");
        check(failure(&read_only, "CREATE TABLE t (x)"), (false, true));
        let nowhere = Connection::open("/nonexistent/folder/database").expect_err("no folder");
        check(nowhere, (false, true));
        let words = Some("disk I/O error".to_owned());
        check(Error::SqliteFailure(ffi::Error::new(SQLITE_IOERR_WRITE), words), (false, true));
        check(failure(&database(), "CREATE TABLE t (x); CREATE TABLE t (x)"), (false, false));
    }
}
