//! What tasks wait for, against a model that counts anew each time.

use std::collections::{BTreeMap, BTreeSet};

use kiln_domain::batch::dependencies::{Dependencies, IdRange, number_of};
use kiln_domain::batch::job::{Job, JobLife};
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::{Task, TaskLife};
use kiln_domain::batch::ties::Ties;
use kiln_domain::time::Timestamp;
use kiln_store::{Store, StoreError, Tx};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

/// Something that happens to the tasks of a job.
#[derive(Clone, Debug)]
enum Step {
    /// A task is added that waits for these.
    Add(u8, Vec<u8>, Vec<(u8, u8)>),
    /// A task need not be waited for any more, or has to be again.
    Meet(u8, bool),
    /// A task is removed.
    Remove(u8),
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

/// Does one step in the store and in the model; the tasks that turned must be the same.
fn step(tx: &mut Tx<'_>, job_key: i64, model: &mut Model, step: &Step) -> Result<(), StoreError> {
    match step {
        Step::Add(n, ids, ranges) => {
            let (id, dependencies) = (id(*n), dependencies(ids, ranges));
            if model.tasks.contains_key(&id.to_ascii_lowercase()) {
                return Ok(());
            }
            let has_dependencies = !dependencies.is_empty();
            let mut task = Task {
                job_key,
                id: id.clone(),
                sequence: 0,
                needs: TaskNeeds::slots(1),
                ties: Ties { may_have_dependents: true, has_dependencies, may_act_on_job: false },
                n_unmet: 0,
                document: "{}".to_owned(),
                life: TaskLife::new(0, Timestamp(0)),
            };
            tx.insert_task(&mut task)?;
            let mut n_unmet = 0;
            if has_dependencies {
                n_unmet = tx.insert_dependencies(job_key, &id, &dependencies)?;
            }
            let id = id.to_ascii_lowercase();
            model.tasks.insert(id.clone(), dependencies);
            assert_eq!(n_unmet as usize, model.n_unmet(&id), "of a new task");
        }
        Step::Meet(n, is_met) => meet(tx, job_key, model, &id(*n), *is_met)?,
        Step::Remove(n) => {
            let id = id(*n);
            if let Some(task) = tx.task(job_key, &id)? {
                meet(tx, job_key, model, &id, false)?;
                tx.delete_task(&task)?;
                model.tasks.remove(&id.to_ascii_lowercase());
            }
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
    let ready = |model: &Model| -> BTreeSet<String> {
        model.tasks.keys().filter(|id| model.n_unmet(id) == 0).cloned().collect()
    };
    let before = ready(model);
    if is_met {
        model.met.insert(id.clone());
    } else {
        model.met.remove(&id);
    }
    let after = ready(model);
    let turned = tx.set_dependency_met(job_key, &id, is_met)?;
    let n_turned = turned.len();
    let turned: BTreeSet<_> = turned.into_iter().map(|id| id.to_ascii_lowercase()).collect();
    let expected: BTreeSet<_> = before.symmetric_difference(&after).cloned().collect();
    assert_eq!(turned, expected);
    assert_eq!(n_turned, expected.len(), "each once");
    Ok(())
}

fn walk(tx: &mut Tx<'_>, steps: &[Step]) -> Result<(), StoreError> {
    let job_key = tx.insert_job(&Job {
        key: 0,
        account: "a".to_owned(),
        id: "j".to_owned(),
        document: "{}".to_owned(),
        schedule_key: None,
        life: JobLife::new("p".to_owned(), Timestamp(0)),
    })?;
    let mut model = Model::default();
    for each in steps {
        step(tx, job_key, &mut model, each)?;
        check_unmet(tx, job_key, &model)?;
        for id in model.tasks.keys() {
            let task = tx.task(job_key, id)?.expect("it was added");
            assert_eq!(task.n_unmet as usize, model.n_unmet(id), "{id}");
        }
    }
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
    fn counts_of_unmet_dependencies_are_right(steps in steps()) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path(), Box::new(|_changes| {})).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let walked = runtime.block_on(store.write(move |tx| walk(tx, &steps)));
        walked.expect("the walk is kept");
    }
}
