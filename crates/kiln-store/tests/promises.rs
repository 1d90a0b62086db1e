//! What the store promises to all who use it.

use std::sync::{Arc, Mutex, mpsc};

use kiln_domain::batch::change::Change;
use kiln_domain::time::Timestamp;
use kiln_store::{Account, AccountKind, Durability, Store, StoreError, Tx};

/// What the observer heard: one list for each commit.
type Heard = Arc<Mutex<Vec<Vec<i64>>>>;

/// Why an operation of these tests did not happen.
#[derive(Debug)]
enum Refused {
    ByRule,
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

fn open(directory: &std::path::Path) -> (Store, Heard) {
    let heard = Heard::default();
    let hears = Arc::clone(&heard);
    let observer = move |changes: Vec<Change>| {
        let keys = changes.into_iter().map(|change| {
            let Change::JobEnd { job_key } = change else { unreachable!("never announced") };
            job_key
        });
        hears.lock().expect("unpoisoned").push(keys.collect());
    };
    (Store::open(directory, Box::new(observer)).expect("a store"), heard)
}

/// Keeps an account of this number, and announces the number.
fn keep(tx: &mut Tx<'_>, number: i64) -> Result<(), StoreError> {
    let keys = [String::new(), String::new()];
    let name = format!("a{number:04}");
    let account = Account {
        kind: AccountKind::Batch,
        name,
        keys,
        created_at: Timestamp(number),
        linked_storage: None,
    };
    tx.insert_account(&account)?;
    tx.announce(Change::JobEnd { job_key: number });
    Ok(())
}

fn kept(store: &Store) -> Vec<i64> {
    let accounts = store.read(|view| view.accounts()).expect("accounts");
    accounts.into_iter().map(|account| account.created_at.0).collect()
}

/// Holds the writer in an operation of number 0; what is submitted until the returned sender
/// is used or dropped waits together.
async fn hold(store: &Arc<Store>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (runs, is_running) = tokio::sync::oneshot::channel();
    let held = Arc::clone(store);
    let holding = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let written = runtime.block_on(held.write(move |tx| {
            keep(tx, 0)?;
            runs.send(()).expect("the test waits");
            may_go_on.recv().ok();
            Ok::<_, StoreError>(())
        }));
        written.expect("written");
    });
    is_running.await.expect("the writer runs it");
    (go_on, holding)
}

#[tokio::test]
async fn what_waits_together_shares_a_commit_and_not_its_fate() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, heard) = open(directory.path());
    let store = Arc::new(store);
    let (go_on, holding) = hold(&store).await;
    let write = |number: i64| {
        store.write(move |tx| {
            keep(tx, number)?;
            match number % 10 {
                3 => Err(Refused::ByRule),
                7 => unreachable!("this operation breaks, by intent"),
                // It sees what came before it, but not what was undone.
                9 => {
                    let seen = tx.accounts()?.len();
                    assert_eq!(i64::try_from(seen).expect("few"), number + 1 - number / 10 * 2 - 2);
                    Ok(number)
                }
                _ => Ok(number),
            }
        })
    };
    let all = futures_util::future::join_all((1..=100).map(write));
    let released = async {
        // The writes before were polled first: all of them wait by now.
        go_on.send(()).expect("the writer waits");
    };
    let (answers, ()) = tokio::join!(all, released);
    holding.await.expect("the first is written");
    for (number, answer) in (1..).zip(answers) {
        match (number % 10, answer) {
            (3, Err(Refused::ByRule)) | (7, Err(Refused::Store(StoreError::Closed))) => {}
            (_, Ok(said)) => assert_eq!(said, number),
            (_, other) => unreachable!("{number} was answered {other:?}"),
        }
    }
    let expected: Vec<i64> = (1..=100).filter(|it| ![3, 7].contains(&(it % 10))).collect();
    assert_eq!(*heard.lock().expect("unpoisoned"), [vec![0], expected.clone()]);
    assert_eq!(kept(&store)[1..], expected);
    // The writer lives on.
    store.write(|tx| keep(tx, 1_000)).await.expect("written");
}

#[tokio::test]
async fn an_answer_comes_when_all_can_see_what_happened() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, heard) = open(directory.path());
    for number in 0..20 {
        store.write(move |tx| keep(tx, number)).await.expect("written");
        assert_eq!(kept(&store).len(), usize::try_from(number).expect("few") + 1);
        assert_eq!(heard.lock().expect("unpoisoned").last(), Some(&vec![number]));
    }
}

#[tokio::test]
async fn a_read_does_not_wait_for_the_writer() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _heard) = open(directory.path());
    let store = Arc::new(store);
    let (go_on, holding) = hold(&store).await;
    assert!(kept(&store).is_empty());
    drop(go_on);
    holding.await.expect("written");
    assert_eq!(kept(&store), [0]);
}

#[tokio::test]
async fn a_read_sees_one_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _heard) = open(directory.path());
    let store = Arc::new(store);
    store.write(|tx| keep(tx, 1)).await.expect("written");
    let writes = Arc::clone(&store);
    let seen = store.read(|view| {
        let before = view.accounts()?.len();
        std::thread::scope(|scope| {
            let written = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.expect("a runtime").block_on(writes.write(|tx| keep(tx, 2)))
            });
            written.join().expect("no panic")
        })?;
        Ok::<_, StoreError>((before, view.accounts()?.len()))
    });
    assert_eq!(seen.expect("read"), (1, 1));
    assert_eq!(kept(&store), [1, 2]);
}

#[tokio::test]
async fn all_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    for round in 0..3 {
        let (store, _heard) = open(directory.path());
        assert_eq!(kept(&store).len(), round);
        let number = i64::try_from(round).expect("few");
        store.write(move |tx| keep(tx, number)).await.expect("written");
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_kiln_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path()));
    let raw = rusqlite::Connection::open(directory.path().join("kiln.db")).expect("a database");
    raw.pragma_update(None, "user_version", 4_000).expect("set");
    drop(raw);
    let refused = Store::open(directory.path(), Box::new(|_| {}));
    assert!(matches!(refused, Err(StoreError::TooNew { found: 4_000, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("kiln.db"), "these are notes, not a database at all")
        .expect("a file");
    let refused = Store::open(directory.path(), Box::new(|_| {})).expect_err("refused");
    assert!(refused.to_string().contains("kiln.db"), "{refused}");
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kiln.db");
    let (store, _) = open(directory.path());
    store.write(move |tx| keep(tx, 1)).await.expect("kept");
    drop(store);
    let size = std::fs::metadata(&path).expect("a file").len();
    for cut in [1, 4096] {
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
        file.set_len(size - cut).expect("cut");
        let refused = Store::open(directory.path(), Box::new(|_| {})).expect_err("refused");
        assert!(refused.is_damaged(), "{refused:?}");
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), size - cut);
    }
}

/// What a killed process leaves is what the files are at that moment, open or not.
#[tokio::test]
async fn a_relaxed_store_survives_the_end_of_its_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let left = tempfile::tempdir().expect("another directory");
    let store = Store::open_as(directory.path(), Durability::Relaxed, Box::new(drop));
    let store = store.expect("a store");
    for number in 0..50 {
        store.write(move |tx| keep(tx, number)).await.expect("kept");
    }
    store.flush().await.expect("flushed");
    for name in ["kiln.db", "kiln.db-wal"] {
        std::fs::copy(directory.path().join(name), left.path().join(name)).expect("copied");
    }
    let reopened = Store::open(left.path(), Box::new(drop)).expect("a store");
    assert_eq!(kept(&reopened), (0..50).collect::<Vec<_>>());
}
