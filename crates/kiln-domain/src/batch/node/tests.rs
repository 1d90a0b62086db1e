//! Lives of nodes, and what holds of all of them.

use super::{
    Node, NodeError, NodeFact, NodeLife, NodeOperation, NodeState, Pending, RECENT_TASKS_MAX,
    RecentTask, StartTaskRun, Treatment, admit, step,
};
use crate::batch::task::FailureInfo;
use crate::time::Timestamp;

fn run(failure: Option<FailureInfo>) -> NodeFact {
    NodeFact::StartTask(StartTaskRun {
        is_running: false,
        started_at: Timestamp(0),
        ended_at: Some(Timestamp(1)),
        exit_code: Some(i32::from(failure.is_some())),
        failure,
        retry_count: 0,
        last_retry_at: None,
        is_final: true,
        container: None,
    })
}

fn task(number: u32) -> RecentTask {
    RecentTask { job_key: 1, task_id: format!("t{number}").into() }
}

/// A fact by its name; `arrived?` and `booting?` are those of a node with a start task that it
/// waits for.
fn fact(name: &str) -> NodeFact {
    use {NodeFact as F, Pending as P};
    let arrived = |waits_for_start_task| F::AgentArrived { waits_for_start_task };
    let left = |has_succeeded| F::TaskLeft { slots: 1, has_succeeded, task: task(1) };
    match name {
        "arrived" => arrived(false),
        "arrived?" => arrived(true),
        "ordered" => F::BootOrdered { waits_for_start_task: false },
        "ordered?" => F::BootOrdered { waits_for_start_task: true },
        "began" => F::BootBegan,
        "booted" => F::Booted,
        "failed" => F::Failed(NodeError::new("DiskFull", "")),
        "start-ok" => run(None),
        "start-bad" => run(Some(FailureInfo::exit_code())),
        "task" => F::TaskPlaced { slots: 1, task: task(1) },
        "left" => left(Some(true)),
        "requeued" => left(None),
        "retained" => F::RetentionOver,
        "lost" => F::AgentLost,
        "leave" => F::Leave(P::Turn),
        "leave-tasks" => F::Leave(P::Tasks),
        "leave-data" => F::Leave(P::RetainedData),
        "stay" => F::Stay,
        "reboot" => F::Reboot(P::Turn),
        "reboot-tasks" => F::Reboot(P::Tasks),
        "reimage" => F::Reimage(P::Turn),
        "reimage-data" => F::Reimage(P::RetainedData),
        "deallocate" => F::Deallocate(P::Turn),
        "deallocate-tasks" => F::Deallocate(P::Tasks),
        "start" => F::Start,
        "disable" => F::DisableScheduling,
        "enable" => F::EnableScheduling,
        "preempted" => F::Preempted,
        "capacity" => F::CapacityReturned,
        name => unreachable!("no fact `{name}`"),
    }
}

const FACTS: [&str; 29] = [
    "arrived",
    "arrived?",
    "ordered",
    "ordered?",
    "began",
    "booted",
    "failed",
    "start-ok",
    "start-bad",
    "task",
    "left",
    "requeued",
    "retained",
    "lost",
    "leave",
    "leave-tasks",
    "leave-data",
    "stay",
    "reboot",
    "reboot-tasks",
    "reimage",
    "reimage-data",
    "deallocate",
    "deallocate-tasks",
    "start",
    "disable",
    "enable",
    "preempted",
    "capacity",
];

const NOW: Timestamp = Timestamp(9);

fn new() -> NodeLife {
    NodeLife::new(1, false, 4, Timestamp(0))
}

/// Tells where a node stands after each fact, what it waits for, and the slots it offers.
#[track_caller]
fn check(facts: &str, expected: &str) {
    let mut life = new();
    let mut said = Vec::new();
    for (second, name) in (1..).zip(facts.split(' ')) {
        life = step(&life, fact(name), Timestamp(second));
        let waits = life.pending.map(|it| format!("({it:?})")).unwrap_or_default();
        said.push(format!("{}{waits}/{}", life.state.name(), life.open_slots()));
    }
    assert_eq!(said.join(" "), expected, "{facts}");
}

#[test]
fn a_node_starts_runs_tasks_and_leaves() {
    check(
        "arrived booted task left leave booted",
        "starting/0 idle/4 running/4 idle/4 leavingpool(Turn)/0 leavingpool(Turn)/0",
    );
}

#[test]
fn tasks_change_little_of_a_node() {
    let ready = ["arrived", "booted"].iter().fold(new(), |it, name| step(&it, fact(name), NOW));
    let check = |facts: &[&str], expected: &[bool]| {
        let mut life = ready.clone();
        let mut said = Vec::new();
        for name in facts {
            let after = step(&life, fact(name), NOW);
            said.push(after.differs_by_tasks_only(&life));
            life = after;
        }
        assert_eq!(said, expected, "{facts:?}");
    };
    check(&["task", "task", "left", "requeued"], &[true; 4]);
    // The operation that waited for the last one has its turn.
    check(&["task", "leave-tasks", "left"], &[true, false, false]);
    check(&["disable", "failed", "arrived"], &[false; 3]);
}

#[test]
fn a_node_waits_for_a_start_task_that_must_succeed() {
    check("arrived? booted start-ok", "starting/0 waitingforstarttask/0 idle/4");
    check("arrived? booted start-bad", "starting/0 waitingforstarttask/0 starttaskfailed/0");
    check("arrived booted start-bad", "starting/0 idle/4 idle/4");
    check("arrived? lost arrived booted", "starting/0 unknown/0 starting/0 idle/4");
}

#[test]
fn a_node_without_scheduling_is_offline_once_nothing_runs() {
    check(
        "arrived booted disable enable task disable left enable",
        "starting/0 idle/4 offline/0 idle/4 running/4 running/0 offline/0 idle/4",
    );
    check("arrived disable booted", "starting/0 starting/0 offline/0");
}

#[test]
fn a_reboot_goes_through_starting_and_its_start_task() {
    check(
        "arrived booted reboot ordered? began booted start-ok",
        "starting/0 idle/4 rebooting(Turn)/0 rebooting/0 starting/0 waitingforstarttask/0 idle/4",
    );
    // A report of the boot before says nothing of the one to come.
    check("arrived booted reboot booted", "starting/0 idle/4 rebooting(Turn)/0 rebooting(Turn)/0");
    check(
        "arrived booted reboot lost arrived booted",
        "starting/0 idle/4 rebooting(Turn)/0 starting/0 starting/0 idle/4",
    );
}

#[test]
fn an_operation_waits_for_the_tasks_it_is_to_wait_for() {
    check(
        "arrived booted task reboot-tasks left ordered",
        "starting/0 idle/4 running/4 rebooting(Tasks)/0 rebooting(Turn)/0 rebooting/0",
    );
    check("arrived booted reboot-tasks", "starting/0 idle/4 rebooting(Turn)/0");
    check(
        "arrived booted task reimage-data left retained",
        "starting/0 idle/4 running/4 reimaging(RetainedData)/0 reimaging(RetainedData)/0 \
         reimaging(Turn)/0",
    );
    check(
        "arrived booted task leave-data retained left",
        "starting/0 idle/4 running/4 leavingpool(RetainedData)/0 leavingpool(Tasks)/0 \
         leavingpool(Turn)/0",
    );
}

#[test]
fn a_node_that_only_waits_to_leave_may_stay() {
    check(
        "arrived booted task leave-tasks stay left",
        "starting/0 idle/4 running/4 leavingpool(Tasks)/0 running/4 idle/4",
    );
    check("arrived booted leave stay", "starting/0 idle/4 leavingpool(Turn)/0 leavingpool(Turn)/0");
    check(
        "arrived booted task leave-tasks leave",
        "starting/0 idle/4 running/4 leavingpool(Tasks)/0 leavingpool(Turn)/0",
    );
}

#[test]
fn a_reimaged_node_gets_another_agent() {
    check(
        "arrived booted reimage lost arrived booted",
        "starting/0 idle/4 reimaging(Turn)/0 starting/0 starting/0 idle/4",
    );
}

#[test]
fn a_deallocated_node_is_listed_until_it_is_started() {
    check(
        "arrived booted deallocate arrived lost arrived start arrived booted",
        "starting/0 idle/4 deallocating(Turn)/0 deallocating(Turn)/0 deallocated/0 \
         deallocated/0 starting/0 starting/0 idle/4",
    );
}

#[test]
fn a_preempted_node_is_created_again() {
    check(
        "arrived booted task requeued preempted lost arrived capacity arrived booted",
        "starting/0 idle/4 running/4 idle/4 preempted/0 preempted/0 preempted/0 creating/0 \
         starting/0 idle/4",
    );
}

#[test]
fn another_machine_has_its_own_times() {
    let mut life = new();
    for name in ["arrived", "booted", "preempted", "capacity"] {
        life.incarnation = Some("a".to_owned());
        life = step(&life, fact(name), Timestamp(5));
    }
    assert_eq!((life.booted_at, life.incarnation, life.boot), (None, None, 1));
    assert_eq!(life.allocated_at, Timestamp(0));
}

#[test]
fn the_last_tasks_are_remembered() {
    let mut life = step(&step(&new(), fact("arrived"), Timestamp(1)), fact("booted"), Timestamp(2));
    for number in 0..14 {
        let placed = NodeFact::TaskPlaced { slots: 1, task: task(number) };
        life = step(&life, placed, Timestamp(3));
    }
    let left = NodeFact::TaskLeft { slots: 1, has_succeeded: Some(true), task: task(7) };
    life = step(&life, left, Timestamp(4));
    let ids: Vec<_> = life.recent_tasks.iter().map(|it| &*it.task_id).collect();
    assert_eq!(ids, ["t4", "t5", "t6", "t8", "t9", "t10", "t11", "t12", "t13", "t7"]);
}

/// What holds of a node wherever it stands, however it came there.
#[track_caller]
fn check_sound(before: &NodeLife, after: &NodeLife, name: &str) {
    use NodeState as S;
    let seen = format!("{name}: {before:#?} to {after:#?}");
    assert_eq!(after.state_at != before.state_at, after.state != before.state, "{seen}");
    let is_operation =
        matches!(after.state, S::Rebooting | S::Reimaging | S::LeavingPool | S::Deallocating);
    assert!(is_operation || after.pending.is_none(), "{seen}");
    assert!(after.state != S::LeavingPool || after.pending.is_some(), "{seen}");
    assert!(after.boot == before.boot || after.boot == before.boot + 1, "{seen}");
    let (has_tasks, takes_tasks) = (after.tasks_running > 0, after.takes_tasks);
    let is = |state| after.state == state;
    assert!(!is(S::Idle) || !has_tasks && takes_tasks, "{seen}");
    assert!(!is(S::Offline) || !has_tasks && !takes_tasks, "{seen}");
    assert!(!is(S::Running) || has_tasks, "{seen}");
    assert!(is(S::Idle) || is(S::Running) || after.open_slots() == 0, "{seen}");
    assert!(after.pending != Some(Pending::Tasks) || after.tasks_running > 0, "{seen}");
    let has_left = before.state == S::LeavingPool && after.state != S::LeavingPool;
    assert!(!has_left || name == "stay", "{seen}");
    assert!(after.recent_tasks.len() <= RECENT_TASKS_MAX, "{seen}");
}

#[test]
fn every_walk_of_a_node_is_sound_and_every_state_is_reached() {
    // What tells two lives apart as far as the machine goes.
    let key = |life: &NodeLife| {
        let flags = (life.takes_tasks, life.waits_for_start_task);
        (life.state, life.pending.map(|it| it as u8), flags, life.tasks_running)
    };
    let mut seen = std::collections::BTreeSet::from([key(&new())]);
    let mut walked = vec![new()];
    let mut now = 0;
    while let Some(life) = walked.pop() {
        for name in FACTS {
            now += 1;
            let after = step(&life, fact(name), Timestamp(now));
            check_sound(&life, &after, name);
            if after.tasks_running < 3 && seen.insert(key(&after)) {
                walked.push(after);
            }
        }
    }
    for state in NodeState::ALL {
        let is_reached = seen.iter().any(|(reached, ..)| *reached == state);
        assert_eq!(is_reached, state != NodeState::UpgradingOs, "{state:?}");
    }
}

#[test]
fn names_of_states_are_those_of_their_json() {
    for state in NodeState::ALL {
        assert_eq!(serde_json::to_value(state).expect("a word"), state.name());
    }
}

/// Tells for each state whether an operation is allowed, or what the client hears.
#[track_caller]
fn check_admitted(operation: NodeOperation, expected: &str) {
    let mut said = Vec::new();
    for state in NodeState::ALL {
        let life = NodeLife { state, ..new() };
        let (id, secret) = ("n".to_owned(), String::new());
        let node = Node { id, pool_key: 1, secret, start_task: None, life };
        if admit(&node, operation).is_ok() {
            said.push(state.name());
        }
    }
    assert_eq!(said.join(" "), expected, "{operation:?}");
}

#[test]
fn operations_need_their_states() {
    use NodeOperation as O;
    check_admitted(O::Reboot, "starttaskfailed idle running offline");
    check_admitted(O::Reimage, "starttaskfailed idle running offline");
    check_admitted(O::Deallocate, "idle running offline");
    check_admitted(O::Start, "deallocated");
    check_admitted(O::EnableScheduling, "");
    check_admitted(
        O::DisableScheduling,
        "creating starting waitingforstarttask starttaskfailed idle running offline rebooting \
         reimaging upgradingos preempted unusable unknown deallocating deallocated",
    );
    check_admitted(O::ChangeUsers, "waitingforstarttask starttaskfailed idle running offline");
    check_admitted(
        O::UploadLogs,
        "starting waitingforstarttask starttaskfailed idle running offline rebooting unusable",
    );
    check_admitted(
        O::Preempt,
        "creating starting waitingforstarttask starttaskfailed idle running offline rebooting \
         reimaging upgradingos unusable unknown deallocating",
    );
}

#[test]
fn treatments_of_tasks_say_what_is_waited_for() {
    let waits = |treatment: Treatment| treatment.pending();
    assert_eq!(waits(Treatment::Requeue), Pending::Turn);
    assert_eq!(waits(Treatment::Terminate), Pending::Turn);
    assert_eq!(waits(Treatment::TaskCompletion), Pending::Tasks);
    assert_eq!(waits(Treatment::RetainedData), Pending::RetainedData);
    for treatment in Treatment::ALL {
        let json = serde_json::to_string(&treatment).expect("a word");
        assert_eq!(json, format!("\"{}\"", treatment.name()));
    }
}
