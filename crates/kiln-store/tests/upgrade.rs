//! Databases of every earlier schema, with data in every table, opened by today's store.
//!
//! `schemas/N.sql` is what a Kiln of schema N kept. A step that is added to the migrations needs
//! the next file: what the newest one becomes by that step, with at least one row in each table
//! that the step makes. A released file is never changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_domain::batch::task::TaskState;
use kiln_store::{AccountKind, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

/// The account whose rows the files have.
const ACCOUNT: &str = "kilndev";

/// The files, by schema.
fn schemas() -> BTreeMap<u32, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("read").path());
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let text = |path: &PathBuf| fs::read_to_string(path).expect("a file");
    entries.map(|path| (number(&path).expect("a number"), text(&path))).collect()
}

/// A data directory whose database this made.
fn directory(sql: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let connection = open(directory.path());
    connection.execute_batch(sql).expect("a database");
    directory
}

fn open(directory: &Path) -> Connection {
    Connection::open(directory.join("kiln.db")).expect("opened")
}

fn names(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).expect("compiled");
    let rows = statement.query_map([], |row| row.get(0)).expect("read");
    rows.collect::<Result<_, _>>().expect("text")
}

/// Rows of each table.
fn counts(connection: &Connection) -> BTreeMap<String, i64> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let count = |table: &String| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).expect("counted")
    };
    names(connection, sql).into_iter().map(|table| (table.clone(), count(&table))).collect()
}

/// All that a database is made of.
fn shape(connection: &Connection) -> Vec<String> {
    let sql = "SELECT type || ' ' || name || ': ' || ifnull(sql, '') FROM sqlite_master ORDER BY 1";
    names(connection, sql)
}

fn schema_of(directory: &Path) -> u32 {
    let sql = "PRAGMA user_version";
    open(directory).query_row(sql, [], |row| row.get(0)).expect("a number")
}

fn start(directory: &Path) -> Store {
    Store::open(directory, Box::new(drop)).expect("a store")
}

#[test]
fn each_earlier_schema_has_a_file_with_rows_in_every_table() {
    let fresh = directory("");
    drop(start(fresh.path()));
    let newest = schema_of(fresh.path());
    let schemas = schemas();
    assert_eq!(schemas.keys().copied().collect::<Vec<_>>(), (1..=newest).collect::<Vec<_>>());
    for (schema, sql) in schemas {
        let directory = directory(&sql);
        assert_eq!(schema_of(directory.path()), schema);
        let counts = counts(&open(directory.path()));
        let empty: Vec<_> = counts.iter().filter(|(_, n)| **n == 0).collect();
        assert!(empty.is_empty(), "schema {schema}: {empty:?}");
    }
}

#[test]
fn every_earlier_schema_becomes_the_newest_and_keeps_its_rows() {
    let fresh = directory("");
    drop(start(fresh.path()));
    for (schema, sql) in schemas() {
        let directory = directory(&sql);
        let before = counts(&open(directory.path()));
        drop(start(directory.path()));
        let connection = open(directory.path());
        assert_eq!(schema_of(directory.path()), schema_of(fresh.path()));
        assert_eq!(shape(&connection), shape(&open(fresh.path())), "from schema {schema}");
        let after = counts(&connection);
        for (table, n) in before {
            assert_eq!(after.get(&table), Some(&n), "{table} from schema {schema}");
        }
        assert_eq!(names(&connection, "PRAGMA integrity_check"), ["ok"], "from schema {schema}");
        let sql = "SELECT \"table\" FROM pragma_foreign_key_check";
        assert_eq!(names(&connection, sql), <[String; 0]>::default(), "from schema {schema}");
    }
}

#[tokio::test]
async fn what_an_earlier_schema_kept_is_read_and_changed() {
    for (schema, sql) in schemas() {
        let directory = directory(&sql);
        let store = start(directory.path());
        let read = store.read(|view| -> Result<_, StoreError> {
            let accounts = view.accounts()?;
            assert_eq!(accounts.iter().filter(|it| it.kind == AccountKind::Batch).count(), 1);
            let pools = view.pools_after(ACCOUNT, "", 10)?;
            let nodes = view.nodes_of_pool(pools[0].key)?;
            let job = view.job(ACCOUNT, "job")?.expect("the job");
            let task = view.task(job.key, "1")?.expect("the task");
            let counts = view.task_counts(job.key)?;
            let mut n_blobs = 0;
            view.each_blob(|_| n_blobs += 1)?;
            let mut n_extents = 0;
            view.each_extent(|_| n_extents += 1)?;
            Ok((pools, nodes, job, task, counts, n_blobs, n_extents))
        });
        let (pools, nodes, job, task, counts, n_blobs, n_extents) = read.expect("read");
        assert_eq!((pools.len(), nodes.len()), (2, 2), "schema {schema}");
        assert_eq!((task.life.state, task.life.exit_code), (TaskState::Completed, Some(0)));
        assert_eq!((counts.succeeded.tasks, counts.failed.tasks), (1, 1), "schema {schema}");
        assert!(n_blobs >= 3 && n_extents >= 3, "schema {schema}: {n_blobs} {n_extents}");
        // What waits for a task is found, and what is removed is counted.
        let turned = store
            .write(move |tx| -> Result<_, StoreError> {
                let turned = tx.set_dependency_met(job.key, "3", true, 9)?;
                tx.delete_task(&task)?;
                Ok((turned.children, tx.task_counts(job.key)?.succeeded.tasks))
            })
            .await;
        assert_eq!(turned.expect("written"), (vec!["4".to_owned()], 0), "schema {schema}");
    }
}

#[test]
fn a_newer_schema_is_refused_by_name_and_stays_as_it_is() {
    let directory = directory("CREATE TABLE later (x); PRAGMA user_version = 999;");
    let refused = Store::open(directory.path(), Box::new(drop)).expect_err("refused");
    let StoreError::TooNew { found: 999, known } = refused else { panic!("{refused:?}") };
    assert_eq!(known, *schemas().keys().last().expect("a file"));
    assert_eq!(names(&open(directory.path()), "SELECT name FROM sqlite_master"), ["later"]);
    assert_eq!(schema_of(directory.path()), 999);
}
