//! Rows of kept files: which is found, what becomes due, how much there is.

use kiln_domain::batch::job::{Job, JobLife};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use kiln_domain::batch::ties::Ties;
use kiln_domain::time::Timestamp;
use kiln_store::{KeptTask, Store, StoreError, Tx};

fn ended(job_key: i64, ended_at: i64) -> Task {
    let life = TaskLife::new(0, Timestamp(0));
    Task {
        job_key,
        id: "t".to_owned(),
        sequence: 0,
        needs: TaskNeeds::slots(1),
        ties: Ties::default(),
        n_unmet: 0,
        document: "{}".to_owned(),
        life: TaskLife { state: TaskState::Completed, ended_at: Some(Timestamp(ended_at)), ..life },
    }
}

fn add(tx: &mut Tx<'_>) -> Result<Task, StoreError> {
    let life = JobLife::new("p".to_owned(), Timestamp(0));
    let (account, id, document) = ("a".to_owned(), "j".to_owned(), "{}".to_owned());
    let job_key =
        tx.insert_job(&Job { key: 0, account, id, document, schedule_key: None, life })?;
    let mut task = ended(job_key, 50);
    tx.insert_task(&mut task)?;
    Ok(task)
}

fn keep(tx: &mut Tx<'_>, task: &Task, ended_at: i64, bytes: u64) -> Result<i64, StoreError> {
    let node_key = tx.insert_kept_node("a", "n")?;
    let (task_id, path) = (task.id.clone(), "workitems/j/job-1/t".to_owned());
    let (ended_at, keep_until) = (Timestamp(ended_at), Timestamp(1000));
    let (job_key, sequence) = (task.job_key, task.sequence);
    tx.insert_kept_task(&KeptTask {
        job_key,
        task_id,
        node_key,
        sequence,
        ended_at,
        path,
        bytes,
        keep_until,
    })?;
    tx.sort_kept_node(node_key)?;
    Ok(node_key)
}

#[tokio::test]
async fn only_files_of_the_last_run_are_found() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path(), Box::new(drop)).expect("a store");
    let written = store.write(|tx| {
        let task = add(tx)?;
        let (early, last) = (keep(tx, &task, 20, 7)?, keep(tx, &task, 50, 5)?);
        let found = tx.kept_task(&task)?.map(|it| it.node_key);
        assert_eq!((found, tx.kept_bytes()?), (Some(last), 12));
        let due: Vec<_> = tx.due_kept_tasks(Timestamp(1), 9)?;
        assert_eq!(due.iter().map(|it| it.node_key).collect::<Vec<_>>(), [early]);
        assert!(!tx.delete_empty_kept_node(early)?, "its files have a row");
        tx.delete_kept_task(&due[0])?;
        assert!(tx.delete_empty_kept_node(early)?);
        assert_eq!(tx.kept_bytes()?, 5);
        let again = Task { sequence: task.sequence + 1, ..task.clone() };
        assert_eq!(tx.kept_task(&again)?, None);
        let running = Task { life: TaskLife::new(0, Timestamp(0)), ..task };
        assert_eq!(tx.kept_task(&running)?, None);
        Ok::<_, StoreError>(())
    });
    written.await.expect("written");
}

#[tokio::test]
async fn files_of_a_deleted_task_are_due_at_once() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path(), Box::new(drop)).expect("a store");
    let written = store.write(|tx| {
        let task = add(tx)?;
        keep(tx, &task, 50, 5)?;
        assert_eq!(tx.due_kept_tasks(Timestamp(999), 9)?, []);
        assert_eq!(tx.next_due_kept_task()?, Some(Timestamp(1000)));
        tx.delete_task(&task)?;
        assert_eq!(tx.next_due_kept_task()?, Some(Timestamp(0)));
        assert_eq!(tx.due_kept_tasks(Timestamp(0), 9)?.len(), 1);
        Ok::<_, StoreError>(())
    });
    written.await.expect("written");
}
