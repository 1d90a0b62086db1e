//! What the store keeps of tasks.

use kiln_domain::batch::job::{Job, JobLife};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::node::{self, Node, NodeFact, NodeLife};
use kiln_domain::batch::pool::{PoolLife, PoolSpec};
use kiln_domain::batch::task::{Place, Task, TaskLife, TaskState};
use kiln_domain::batch::ties::Ties;
use kiln_domain::time::Timestamp;
use kiln_store::{Bucket, Store, StoreError, TaskRange, Tx};

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

/// Adds node `n`; gives the key of its pool.
fn add_node(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let damaged = |cause| StoreError::Damaged { what: "pool specification", cause };
    let spec: PoolSpec = serde_json::from_str(r#"{"id":"p"}"#).map_err(damaged)?;
    let pool_key = tx.insert_pool("a", "p", "{}", &PoolLife::new(&spec, Timestamp(0)))?;
    let life = NodeLife::new(1, true, 4, Timestamp(0));
    let secret = "first".to_owned();
    let node = Node { id: "n".to_owned(), pool_key, secret, start_task: None, life };
    tx.insert_node(&node).map(|()| pool_key)
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

#[tokio::test]
async fn an_operation_sees_the_counts_that_it_changed_before_they_are_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let job_key = store.write(add_job).await.expect("kept");
    let changing = store.write(move |tx| {
        add_task(tx, job_key, "a")?;
        add_task(tx, job_key, "b")?;
        let between = tx.task_counts(job_key)?.active;
        let gone = tx.task(job_key, "a")?.ok_or(StoreError::Closed)?;
        tx.delete_task(&gone)?;
        Ok::<_, StoreError>((between, tx.task_counts(job_key)?.active))
    });
    let (between, after) = changing.await.expect("kept");
    assert_eq!((between.tasks, between.slots, after.tasks, after.slots), (2, 4, 1, 2));
    let undone = store.write(move |tx| {
        add_task(tx, job_key, "c")?;
        Err::<(), _>(StoreError::Closed)
    });
    undone.await.expect_err("it refuses itself");
    assert_eq!(store.read(|view| view.task_counts(job_key)).expect("read").active, after);
}

#[tokio::test]
async fn what_waits_is_told_without_its_document() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let job_key = store.write(add_job).await.expect("kept");
    let adding = store.write(move |tx| {
        let mut plain = task(job_key, "plain");
        tx.insert_task(&mut plain)?;
        let mut manager = task(job_key, "manager");
        manager.needs.is_manager = true;
        manager.life.attempt = 1;
        tx.insert_task(&mut manager)?;
        let mut placed = task(job_key, "placed");
        tx.insert_task(&mut placed)?;
        tx.update_task(&placed, &in_state(TaskState::Running, &placed.life))
    });
    adding.await.expect("kept");
    let waiting = store.read(|view| view.waiting_tasks_after(job_key, 0, 9)).expect("read");
    let told: Vec<_> = waiting
        .iter()
        .map(|it| (it.id.as_str(), it.sequence, it.needs.is_manager, it.ran_before, it.is_ready))
        .collect();
    assert_eq!(told, [("plain", 1, false, false, true), ("manager", 2, true, true, true)]);
    let later = store.read(|view| view.waiting_tasks_after(job_key, 1, 1)).expect("read");
    assert_eq!(later.len(), 1);
    let on_nodes = store.read(|view| view.running_tasks(job_key, 9)).expect("read");
    assert_eq!(on_nodes.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["placed"]);
}

/// A life that went on to a state, on node `n` if that needs one.
fn in_state(state: TaskState, life: &TaskLife) -> TaskLife {
    let place = Place { pool_id: "p".to_owned(), node_id: "n".to_owned() };
    let place = (state != TaskState::Active).then_some(place);
    TaskLife { state, place, ..life.clone() }
}

/// Each state is found through an index, or part of one, that only some steps write.
#[tokio::test]
async fn a_task_is_found_in_the_state_that_it_is_in_and_in_no_other() {
    use TaskState::{Active, Completed, Preparing, Running};
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let job_key = store.write(add_job).await.expect("kept");
    store.write(move |tx| add_task(tx, job_key, "other")).await.expect("kept");
    store.write(move |tx| add_task(tx, job_key, "t")).await.expect("kept");
    for state in [Preparing, Running, Active, Running, Running, Completed, Active, Completed] {
        let step = store.write(move |tx| {
            let task = tx.task(job_key, "t")?.ok_or(StoreError::Closed)?;
            tx.update_task(&task, &in_state(state, &task.life))
        });
        step.await.expect("kept");
        let found = store.read(|view| -> Result<_, StoreError> {
            let mut found = Vec::new();
            for bucket in Bucket::ALL {
                let range = TaskRange { buckets: &[bucket], ..TaskRange::ALL };
                let tasks = view.tasks_in(job_key, &range, 9)?;
                found.extend(tasks.into_iter().filter(|it| it.id == "t").map(|_| bucket));
            }
            let waits = view.waiting_tasks_after(job_key, 0, 9)?.iter().any(|it| it.id == "t");
            let open = view.open_tasks_after(job_key, 0, 9)?.len();
            let on_node = view.tasks_of_node("n")?.len();
            let placed = [view.running_tasks(job_key, 9)?.len(), view.tasks_on_nodes()?.len()];
            Ok((found, waits, open, on_node, placed))
        });
        let expected = match state {
            Active => (vec![Bucket::Active], true, 2, 0, [0, 0]),
            Preparing => (vec![Bucket::Preparing], false, 2, 1, [1, 1]),
            Running => (vec![Bucket::Running], false, 2, 1, [1, 1]),
            Completed => (vec![Bucket::Succeeded], false, 1, 0, [0, 0]),
        };
        assert_eq!(found.expect("read"), expected, "{state:?}");
    }
}

#[tokio::test]
async fn what_an_undone_operation_did_to_a_node_is_not_remembered() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    store.write(add_node).await.expect("kept");
    let tasks_run = |of: u32| {
        move |tx: &mut Tx<'_>| {
            let mut life = tx.node("n")?.ok_or(StoreError::Closed)?.life;
            life.tasks_run += of;
            tx.update_node("n", &life)?;
            Ok::<_, StoreError>(tx.node("n")?.ok_or(StoreError::Closed)?.life.tasks_run)
        }
    };
    assert_eq!(store.write(tasks_run(1)).await.expect("kept"), 1);
    let undone = store.write(move |tx| {
        tasks_run(10)(tx)?;
        Err::<(), _>(StoreError::Closed)
    });
    undone.await.expect_err("it refuses itself");
    assert_eq!(store.write(tasks_run(1)).await.expect("kept"), 2);
    let renewed = store.write(|tx| {
        tx.update_node_secret("n", "second")?;
        Ok::<_, StoreError>(tx.node("n")?.map(|node| (node.secret, node.life.tasks_run)))
    });
    assert_eq!(renewed.await.expect("kept"), Some(("second".to_owned(), 2)));
    let read = store.read(|view| view.node("n")).expect("read");
    assert_eq!(read.map(|node| node.life.tasks_run), Some(2));
    let gone = store.write(|tx| {
        tx.delete_node("n")?;
        tx.node("n")
    });
    assert_eq!(gone.await.expect("kept"), None);
}

#[tokio::test]
async fn what_an_undone_operation_did_to_a_task_is_not_remembered() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let job_key = store.write(add_job).await.expect("kept");
    let adding = store.write(move |tx| tx.insert_task(&mut task(job_key, "t")));
    adding.await.expect("kept");
    let run = move |tx: &mut Tx<'_>| {
        let task = tx.task(job_key, "t")?.ok_or(StoreError::Closed)?;
        let attempt = task.life.attempt + 1;
        tx.update_task(&task, &TaskLife { attempt, ..task.life.clone() })?;
        tx.update_task_spec(&task, &format!("{{\"run\":{attempt}}}"))?;
        let task = tx.task(job_key, "t")?.ok_or(StoreError::Closed)?;
        Ok::<_, StoreError>((task.life.attempt, task.document))
    };
    assert_eq!(store.write(run).await.expect("kept"), (1, r#"{"run":1}"#.to_owned()));
    let undone = store.write(move |tx| {
        run(tx)?;
        Err::<(), _>(StoreError::Closed)
    });
    undone.await.expect_err("it refuses itself");
    assert_eq!(store.write(run).await.expect("kept"), (2, r#"{"run":2}"#.to_owned()));
    let gone = store.write(move |tx| {
        let task = tx.task(job_key, "T")?.ok_or(StoreError::Closed)?;
        tx.delete_task(&task)?;
        tx.task(job_key, "t")
    });
    assert_eq!(gone.await.expect("kept"), None);
}

#[tokio::test]
async fn what_tasks_made_of_a_node_is_kept_with_all_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let pool_key = store.write(add_node).await.expect("kept");
    let facts = [
        NodeFact::AgentArrived { waits_for_start_task: false },
        NodeFact::Booted,
        NodeFact::placed(&task(1, "first")),
        NodeFact::placed(&task(1, "second")),
        NodeFact::DisableScheduling,
        NodeFact::placed(&task(2, "third")),
    ];
    let mut expected = None;
    for (second, fact) in (1..).zip(facts) {
        let told = format!("{fact:?}");
        let stepping = store.write(move |tx| {
            let before = tx.node("n")?.ok_or(StoreError::Closed)?;
            let life = node::step(&before.life, fact, Timestamp(second));
            tx.update_node("n", &life).map(|()| Node { life, ..before })
        });
        expected = Some(stepping.await.expect("kept"));
        let read = store.read(|view| view.node("n")).expect("read");
        assert_eq!(read, expected, "{told}");
    }
    drop(store);
    let store = open(directory.path());
    let nodes = store.read(|view| view.nodes_of_pool(pool_key)).expect("read");
    assert_eq!(Some(&nodes[..]), expected.as_ref().map(std::slice::from_ref));
    let states = store.read(|view| view.nodes_by_state()).expect("read");
    assert_eq!(states, [("running".to_owned(), 1)]);
}
