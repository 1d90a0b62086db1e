//! What the store keeps of tasks.

use kiln_domain::batch::job::{Job, JobLife};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::{Task, TaskLife};
use kiln_domain::batch::ties::Ties;
use kiln_domain::time::Timestamp;
use kiln_store::{Store, StoreError, Tx};

fn open(directory: &std::path::Path) -> Store {
    Store::open(directory, Box::new(|_changes| {})).expect("a store")
}

fn add_job(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.insert_job(&Job {
        key: 0,
        account: "a".to_owned(),
        id: "j".to_owned(),
        document: "{}".to_owned(),
        schedule_key: None,
        life: JobLife::new("p".to_owned(), Timestamp(0)),
    })
}

fn task(job_key: i64, id: &str) -> Task {
    Task {
        job_key,
        id: id.to_owned(),
        sequence: 0,
        needs: TaskNeeds::slots(2),
        ties: Ties::default(),
        n_unmet: 0,
        document: "{}".to_owned(),
        life: TaskLife::new(0, Timestamp(0)),
    }
}

fn add_task(tx: &mut Tx<'_>, job_key: i64, id: &str) -> Result<i64, StoreError> {
    let mut task = task(job_key, id);
    tx.insert_task(&mut task)?;
    Ok(task.sequence)
}

#[tokio::test]
async fn a_sequence_of_a_task_that_is_gone_is_not_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let job_key = store.write(add_job).await.expect("kept");
    let first = store.write(move |tx| add_task(tx, job_key, "a")).await.expect("kept");
    let second = store.write(move |tx| add_task(tx, job_key, "b")).await.expect("kept");
    assert_eq!((first, second), (1, 2));
    let gone = store.read(|view| view.task(job_key, "b")).expect("read").expect("there");
    store.write(move |tx| tx.delete_task(&gone)).await.expect("removed");
    drop(store);
    let store = open(directory.path());
    let third = store.write(move |tx| add_task(tx, job_key, "c")).await.expect("kept");
    assert_eq!(third, 3);
}

#[tokio::test]
async fn a_duplicate_is_not_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let job_key = store.write(add_job).await.expect("kept");
    let both = store.write(move |tx| {
        add_task(tx, job_key, "a")?;
        Ok::<_, StoreError>(add_task(tx, job_key, "A").is_err_and(|cause| cause.is_duplicate()))
    });
    assert!(both.await.expect("kept"));
    let counts = store.read(|view| view.task_counts(job_key)).expect("read");
    assert_eq!((counts.active.tasks, counts.active.slots), (1, 2));
}
