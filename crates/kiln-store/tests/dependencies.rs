//! What tasks wait for, against a model that counts anew each time.

use std::collections::{BTreeMap, BTreeSet};

use kiln_domain::batch::dependencies::{Dependencies, IdRange, number_of};
use kiln_domain::batch::job::{Job, JobLife};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::{Task, TaskLife};
use kiln_domain::batch::ties::Ties;
use kiln_domain::time::Timestamp;
use kiln_store::{Store, StoreError, Turned, Tx};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

/// Something that happens to the tasks of a job.
#[derive(Clone, Debug)]
enum Step {
    /// A task is added that waits for these.
    Add(u8, Vec<u8>, Vec<(u8, u8)>),
    /// A task need not be waited for any more, or has to be again.
    Meet(u8, bool),
    /// A task is removed.
    Remove(u8),
    /// What is still to be counted goes on.
    GoOn,
}

/// The ids of tasks: names, numbers, and other spellings of both.
fn id(n: u8) -> String {
    match n % 12 {
        n @ 0..6 => n.to_string(),
        n @ 6..8 => format!("0{}", n - 5),
        n @ 8..10 => format!("name{n}"),
        n => format!("NAME{}", n - 2),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = |max| prop::collection::vec(any::<u8>(), 0..max);
    let ranges = prop::collection::vec((0..8_u8, 0..8_u8), 0..3);
    let step = prop_oneof![
        (any::<u8>(), some(4), ranges).prop_map(|(id, ids, ranges)| Step::Add(id, ids, ranges)),
        (any::<u8>(), any::<bool>()).prop_map(|(id, is_met)| Step::Meet(id, is_met)),
        any::<u8>().prop_map(Step::Remove),
        Just(Step::GoOn),
    ];
    prop::collection::vec(step, 1..60)
}

fn dependencies(ids: &[u8], ranges: &[(u8, u8)]) -> Dependencies {
    let range = |(a, b): &(u8, u8)| IdRange { start: (*a.min(b)).into(), end: (*a.max(b)).into() };
    Dependencies {
        ids: ids.iter().map(|n| id(*n).to_ascii_lowercase()).collect(),
        ranges: ranges.iter().map(range).collect(),
    }
}

/// What the store should say.
#[derive(Default)]
struct Model {
    tasks: BTreeMap<String, Dependencies>,
    met: BTreeSet<String>,
    /// Counts that one operation changes at the most.
    limit: usize,
    /// Tasks that were told to wait for nothing; counted right once nothing is left to count.
    ready: BTreeSet<String>,
    is_over: bool,
}

impl Model {
    fn n_unmet(&self, id: &str) -> usize {
        let Some(wanted) = self.tasks.get(id) else { return 0 };
        let is_met = |n: i32| self.met.iter().any(|id| number_of(id) == Some(n));
        let ids = wanted.ids.iter().filter(|id| !self.met.contains(*id)).count();
        let ranges = wanted.ranges.iter().filter(|it| !(it.start..=it.end).all(is_met));
        ids + ranges.count()
    }
}

fn waiting(job_key: i64, id: String) -> Task {
    Task {
        job_key,
        id,
        sequence: 0,
        needs: TaskNeeds::slots(1),
        ties: Ties { may_have_dependents: true, has_dependencies: true, may_act_on_job: false },
        n_unmet: 0,
        document: "{}".to_owned(),
        life: TaskLife::new(0, Timestamp(0)),
    }
}

fn insert_job(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.insert_job(&Job {
        key: 0,
        account: "a".to_owned(),
        id: "j".to_owned(),
        document: "{}".to_owned(),
        schedule_key: None,
        life: JobLife::new("p".to_owned(), Timestamp(0)),
    })
}

/// Does one step in the store and in the model; the tasks that turned must be the same.
fn step(tx: &mut Tx<'_>, job_key: i64, model: &mut Model, step: &Step) -> Result<(), StoreError> {
    match step {
        Step::Add(n, ids, ranges) => {
            let (id, dependencies) = (id(*n), dependencies(ids, ranges));
            if model.tasks.contains_key(&id.to_ascii_lowercase()) {
                return Ok(());
            }
            let has_dependencies = !dependencies.is_empty();
            let mut task = waiting(job_key, id.clone());
            task.ties.has_dependencies = has_dependencies;
            tx.insert_task(&mut task)?;
            let mut n_unmet = 0;
            if has_dependencies {
                n_unmet = tx.insert_dependencies(job_key, &id, &dependencies)?;
            }
            let id = id.to_ascii_lowercase();
            model.tasks.insert(id.clone(), dependencies);
            assert_eq!(n_unmet as usize, model.n_unmet(&id), "of a new task");
            if n_unmet == 0 {
                model.ready.insert(id);
            }
        }
        Step::Meet(n, is_met) => meet(tx, job_key, model, &id(*n), *is_met)?,
        Step::Remove(n) => {
            let id = id(*n);
            if let Some(task) = tx.task(job_key, &id)? {
                meet(tx, job_key, model, &id, false)?;
                tx.delete_task(&task)?;
                model.tasks.remove(&id.to_ascii_lowercase());
                model.ready.remove(&id.to_ascii_lowercase());
            }
        }
        Step::GoOn => {
            let turned = tx.go_on_with_turns(job_key, model.limit)?;
            follow(tx, job_key, model, turned)?;
        }
    }
    Ok(())
}

/// What the store says that tasks still wait for is what the model knows.
fn check_unmet(tx: &Tx<'_>, job_key: i64, model: &Model) -> Result<(), StoreError> {
    let is_met = |number: i32| model.met.iter().any(|id| number_of(id) == Some(number));
    for (id, wanted) in &model.tasks {
        let unmet = tx.unmet_dependencies(job_key, id, 1000)?;
        assert_eq!(unmet.ids.len() + unmet.ranges.len(), model.n_unmet(id), "{id}: {unmet:?}");
        assert!(unmet.ids.iter().all(|it| wanted.ids.contains(it) && !model.met.contains(it)));
        for (range, n_missing) in unmet.ranges {
            let expected: Vec<i32> =
                (range.start..=range.end).filter(|number| !is_met(*number)).collect();
            assert_eq!(usize::try_from(n_missing), Ok(expected.len()));
            assert_eq!(tx.unmet_numbers(job_key, range, 1000)?, expected);
            let first: Vec<i32> = expected.into_iter().take(2).collect();
            assert_eq!(tx.unmet_numbers(job_key, range, 2)?, first);
        }
    }
    Ok(())
}

fn meet(
    tx: &mut Tx<'_>,
    job_key: i64,
    model: &mut Model,
    id: &str,
    is_met: bool,
) -> Result<(), StoreError> {
    let id = id.to_ascii_lowercase();
    if !model.tasks.contains_key(&id) {
        return Ok(());
    }
    if is_met {
        model.met.insert(id.clone());
    } else {
        model.met.remove(&id);
    }
    let turned = tx.set_dependency_met(job_key, &id, is_met, model.limit)?;
    follow(tx, job_key, model, turned)
}

/// Hears which tasks turned, as the board does: it looks how they are now.
fn follow(tx: &Tx<'_>, job_key: i64, model: &mut Model, turned: Turned) -> Result<(), StoreError> {
    model.is_over = turned.is_over;
    for id in turned.children {
        let Some(task) = tx.task(job_key, &id)? else { continue };
        let id = id.to_ascii_lowercase();
        if task.n_unmet == 0 {
            model.ready.insert(id)
        } else {
            model.ready.remove(&id)
        };
    }
    Ok(())
}

/// Once nothing is left to count, all is as the model says.
fn check(tx: &Tx<'_>, job_key: i64, model: &Model) -> Result<(), StoreError> {
    for id in model.tasks.keys() {
        let task = tx.task(job_key, id)?.expect("it was added");
        assert_eq!(task.n_unmet as usize, model.n_unmet(id), "{id}");
        assert_eq!(model.ready.contains(id), task.n_unmet == 0, "{id} was told");
    }
    assert!(!tx.is_turning_back(job_key)?);
    check_unmet(tx, job_key, model)
}

fn walk(tx: &mut Tx<'_>, steps: &[Step], limit: usize) -> Result<(), StoreError> {
    let job_key = insert_job(tx)?;
    let mut model = Model { limit, is_over: true, ..Model::default() };
    for each in steps {
        step(tx, job_key, &mut model, each)?;
        if model.is_over {
            check(tx, job_key, &model)?;
        }
    }
    while !model.is_over {
        step(tx, job_key, &mut model, &Step::GoOn)?;
    }
    check(tx, job_key, &model)?;
    for id in model.tasks.keys() {
        let task = tx.task(job_key, id)?.expect("it was added");
        tx.delete_task(&task)?;
    }
    // Nothing points to the job any more.
    tx.delete_job(job_key)
}

proptest! {
    // The regressions that it would keep are better written as tests of their own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_of_unmet_dependencies_are_right(
        steps in steps(),
        limit in prop_oneof![Just(1000_usize), 1_usize..5],
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path(), Box::new(|_changes| {})).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let walked = runtime.block_on(store.write(move |tx| walk(tx, &steps, limit)));
        walked.expect("the walk is kept");
    }
}

#[tokio::test]
async fn what_is_still_to_be_counted_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || Store::open(directory.path(), Box::new(|_changes| {})).expect("a store");
    let begin = |tx: &mut Tx<'_>| {
        let job_key = insert_job(tx)?;
        let mut model = Model { limit: 10, is_over: true, ..Model::default() };
        step(tx, job_key, &mut model, &Step::Add(1, vec![], vec![]))?;
        let waits = dependencies(&[1], &[(1, 1)]);
        for number in 0..25 {
            let id = format!("child{number}");
            let mut task = waiting(job_key, id.clone());
            tx.insert_task(&mut task)?;
            tx.insert_dependencies(job_key, &id, &waits)?;
        }
        let turned = tx.set_dependency_met(job_key, "1", true, 10)?;
        assert_eq!(turned, Turned { children: Vec::new(), is_over: false });
        Ok::<_, StoreError>(job_key)
    };
    let job_key = open().write(begin).await.expect("a parent that ended");
    let mut turned = Vec::new();
    loop {
        let store = open();
        let jobs = store.read(|view| view.jobs_with_turns()).expect("read");
        if jobs.is_empty() {
            break;
        }
        assert_eq!(jobs, [job_key]);
        let now = store.write(move |tx| tx.go_on_with_turns(job_key, 10)).await.expect("counted");
        assert!(now.children.len() <= 10);
        turned.extend(now.children);
    }
    turned.sort();
    turned.dedup();
    assert_eq!(turned.len(), 25, "{turned:?}");
}
