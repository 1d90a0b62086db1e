//! Whatever happens to a task, in whatever order.

use proptest::prelude::*;

use super::needs::TaskNeeds;
use super::task::{FailureInfo, Outcome, Place, Task, TaskFact, TaskLife, TaskState, step};
use super::ties::Ties;
use crate::limits::TASK_NODES_LOST_MAX;
use crate::rejection::Rejection;
use crate::time::Timestamp;

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let failure = || FailureInfo::user_error("BlobNotFound", "no blob");
    prop_oneof![
        6 => (-1..=2).prop_map(|exit_code| Outcome::Exited { exit_code }),
        1 => (0..=2).prop_map(move |exit_code| {
            Outcome::UploadFailed { exit_code, failure: failure() }
        }),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Stopped),
        1 => Just(Outcome::NotStarted { failure: failure() }),
    ]
}

fn any_fact() -> impl Strategy<Value = TaskFact> {
    let place = |id: String| Place { pool_id: "p".to_owned(), node_id: id };
    prop_oneof![
        8 => "[mn]".prop_map(move |id| TaskFact::Assigned(place(id))),
        2 => "[mn]".prop_map(move |id| TaskFact::AssignedUnprepared(place(id))),
        2 => Just(TaskFact::Prepared),
        1 => Just(TaskFact::NotPrepared),
        6 => any_outcome().prop_map(TaskFact::Ended),
        2 => Just(TaskFact::NodeLost),
        1 => Just(TaskFact::Preempted),
        1 => Just(TaskFact::Requeued),
        1 => Just(TaskFact::Terminated),
        1 => Just(TaskFact::Expired),
        2 => Just(TaskFact::Reactivated),
        1 => (-1..3).prop_map(TaskFact::Constrained),
    ]
}

fn is_on_node(state: TaskState) -> bool {
    matches!(state, TaskState::Preparing | TaskState::Running)
}

/// What holds of every task, however it came to be what it is.
fn check_life(life: &TaskLife) {
    let is_completed = life.state == TaskState::Completed;
    assert_eq!(life.ended_at.is_some(), is_completed);
    assert!(is_completed || (life.exit_code.is_none() && life.failure.is_none()));
    assert!(life.failure.is_some() || life.failed_at.is_none());
    assert_eq!(life.has_succeeded(), is_completed && life.failure.is_none());
    assert!(!life.has_succeeded() || life.exit_code == Some(0));
    if is_on_node(life.state) {
        assert!(life.place.is_some() && life.attempt > 0);
    }
    if life.state == TaskState::Active {
        assert_eq!(life.place, None);
    }
    assert!(life.state != TaskState::Running || life.started_at.is_some());
    assert!(life.nodes_lost <= TASK_NODES_LOST_MAX + u32::from(is_completed));
    assert!(life.created_at <= life.state_at && life.created_at <= life.modified_at);
    assert_eq!(life.last_retry_at.is_some(), life.retry_count > 0);
    assert_eq!(life.last_requeue_at.is_some(), life.requeue_count > 0);
}

/// What holds between a task and what a fact made of it.
fn check_step(before: &TaskLife, fact: &TaskFact, after: &TaskLife, now: Timestamp) {
    use TaskState as S;
    if after.state != before.state {
        assert_eq!(after.state_at, now);
        assert_eq!(after.previous, Some((before.state, before.state_at)));
    }
    let is_assigned = before.state == S::Active && is_on_node(after.state);
    assert_eq!(after.attempt, before.attempt + u32::from(is_assigned), "each run has its number");
    assert_eq!(after.created_at, before.created_at);
    let is_clients =
        matches!(fact, TaskFact::Terminated | TaskFact::Reactivated | TaskFact::Constrained(_));
    assert_eq!(after.modified_at == now, is_clients, "natural changes keep the entity tag");
    if *fact == TaskFact::Reactivated {
        assert!(before.state == S::Completed && before.failure.is_some());
        assert_eq!((after.state, after.retry_count, after.requeue_count), (S::Active, 0, 0));
        return;
    }
    if before.state == S::Completed {
        assert_eq!(after, before, "a completed task stays as it is");
    }
    assert!(after.retry_count >= before.retry_count);
    assert!(after.requeue_count >= before.requeue_count);
    assert!(after.nodes_lost >= before.nodes_lost);
    let is_retry = after.retry_count > before.retry_count;
    assert!(!is_retry || before.allows_retry() && matches!(fact, TaskFact::Ended(_)));
}

proptest! {
    // The regressions that it would keep are better written as tables of tests.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_walk_of_a_task_keeps_its_promises(
        retries_max in -1..3,
        facts in prop::collection::vec(any_fact(), 0..60),
    ) {
        let mut task = Task {
            job_key: 1,
            id: "t".to_owned(),
            sequence: 1,
            needs: TaskNeeds::slots(1),
            ties: Ties::default(),
            n_unmet: 0,
            document: String::new(),
            life: TaskLife::new(retries_max, Timestamp(0)),
        };
        for (now, fact) in (1..).map(Timestamp).zip(facts) {
            match step(&task, fact.clone(), now) {
                Ok(life) => {
                    check_life(&life);
                    check_step(&task.life, &fact, &life, now);
                    task.life = life;
                }
                Err(Rejection::TaskCompleted { .. }) => {
                    prop_assert_eq!(task.life.state, TaskState::Completed);
                }
                Err(Rejection::TaskNotCompleted { .. }) => {
                    prop_assert_ne!(task.life.state, TaskState::Completed);
                }
                Err(Rejection::TaskSucceeded { .. }) => prop_assert!(task.life.has_succeeded()),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
