//! Room is kept for large tasks: by example, and whatever the pool and its jobs are.

use std::collections::BTreeMap;

use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::task::TaskState;
use proptest::prelude::*;

use crate::tests::{board, job, one, open_job, put, run, said, set_slots, wait};
use crate::{Board, Plan, plan};

/// Plans, and keeps room as the plan says.
fn planned(board: &mut Board) -> Plan {
    let made = plan(board, 1, 100);
    board.hold(1, made.held);
    made
}

#[track_caller]
fn check(board: &mut Board, expected: &str) {
    assert_eq!(said(&planned(board)), expected);
}

#[test]
fn room_is_kept_for_a_wide_task_that_was_passed() {
    let mut board = board(false, &[("m", 2)]);
    open_job(&mut board, 1, 0, None);
    run(&mut board, 1, 1, one(), &["m"]);
    wait(&mut board, 1, 2, TaskNeeds::slots(2));
    for sequence in 3..6 {
        wait(&mut board, 1, sequence, one());
    }
    // Passed once.
    check(&mut board, "1t3@m");
    run(&mut board, 1, 3, one(), &["m"]);
    put(&mut board, 1, 1, one(), TaskState::Completed, &[]);
    check(&mut board, "");
    let is_room_kept =
        |needs: TaskNeeds| crate::standing(&board, 1, &needs).map(|it| it.is_room_kept);
    assert_eq!(is_room_kept(one()), Some(true), "people are told");
    assert_eq!(is_room_kept(TaskNeeds::slots(2)), Some(false));
    put(&mut board, 1, 3, one(), TaskState::Completed, &[]);
    check(&mut board, "1t2@m");
}

#[test]
fn room_is_kept_for_a_task_of_many_instances_where_least_is_missing() {
    let gang = TaskNeeds { instances: 2, ..one() };
    let mut board = board(false, &[("l", 1), ("m", 1), ("n", 1)]);
    job(&mut board, 1, 0, None, &[1, 1, 1, 1, 1]);
    for (sequence, node) in [(1, "l"), (2, "m")] {
        run(&mut board, 1, sequence, one(), &[node]);
    }
    open_job(&mut board, 2, 0, None);
    wait(&mut board, 2, 1, gang.clone());
    check(&mut board, "1t3@n");
    run(&mut board, 1, 3, one(), &["n"]);
    // The first node that comes free is kept.
    put(&mut board, 1, 2, one(), TaskState::Completed, &[]);
    check(&mut board, "");
    put(&mut board, 1, 1, one(), TaskState::Completed, &[]);
    check(&mut board, "2t1@m+l");
    run(&mut board, 2, 1, gang, &["m", "l"]);
    put(&mut board, 1, 3, one(), TaskState::Completed, &[]);
    check(&mut board, "1t4@n");
}

#[test]
fn more_urgent_tasks_take_the_room_that_is_kept() {
    let mut board = board(false, &[("m", 2)]);
    open_job(&mut board, 1, 0, None);
    run(&mut board, 1, 1, one(), &["m"]);
    wait(&mut board, 1, 2, TaskNeeds::slots(2));
    wait(&mut board, 1, 3, one());
    check(&mut board, "1t3@m");
    job(&mut board, 2, 1, None, &[1]);
    check(&mut board, "2t1@m");
    board.apply(kiln_domain::batch::change::Change::JobGone { job_key: 2 });
    wait(&mut board, 1, 4, one());
    check(&mut board, "");
}

#[test]
fn no_room_is_kept_for_what_no_node_could_take() {
    let mut board = board(false, &[("m", 2), ("s", 9)]);
    open_job(&mut board, 1, 0, None);
    wait(&mut board, 1, 1, TaskNeeds { on_dedicated_only: true, ..TaskNeeds::slots(3) });
    wait(&mut board, 1, 2, TaskNeeds { instances: 3, ..one() });
    for (sequence, node) in [(3, "m"), (4, "s")] {
        wait(&mut board, 1, sequence, one());
        let made = planned(&mut board);
        assert!(made.held.is_none() && made.assignments.len() == 1, "{}", said(&made));
        run(&mut board, 1, sequence, one(), &[node]);
    }
    // A node that could takes its place.
    set_slots(&mut board, "d", 4);
    run(&mut board, 1, 5, TaskNeeds::slots(4), &["d"]);
    wait(&mut board, 1, 6, one());
    assert!(planned(&mut board).held.is_some());
}

/// A pool in which small tasks come all the time, each of which runs for some rounds.
struct World {
    board: Board,
    /// When tasks on nodes end.
    running: BTreeMap<(i64, i64), (TaskNeeds, u32)>,
    waiting: BTreeMap<(i64, i64), TaskNeeds>,
    sequences: BTreeMap<i64, i64>,
    round: u32,
}

impl World {
    fn add(&mut self, job_key: i64, needs: TaskNeeds) -> (i64, i64) {
        let sequence = self.sequences.entry(job_key).or_default();
        *sequence += 1;
        wait(&mut self.board, job_key, *sequence, needs.clone());
        self.waiting.insert((job_key, *sequence), needs);
        (job_key, *sequence)
    }

    fn play(&mut self, lengths: &[u32]) {
        self.round += 1;
        let over = self.running.extract_if(.., |_, (_, until)| *until <= self.round);
        for ((job_key, sequence), (needs, _)) in over.collect::<Vec<_>>() {
            put(&mut self.board, job_key, sequence, needs, TaskState::Completed, &[]);
        }
        let made = planned(&mut self.board);
        for assignment in made.assignments {
            let sequence = assignment.task_id.trim_start_matches('t').parse().expect("a number");
            let key = (assignment.job_key, sequence);
            let needs = self.waiting.remove(&key).expect("placed once, and only what waits");
            let nodes: Vec<&str> = assignment.node_ids.iter().map(String::as_str).collect();
            run(&mut self.board, key.0, key.1, needs.clone(), &nodes);
            let length = lengths[usize::try_from(self.round).expect("small") % lengths.len()];
            self.running.insert(key, (needs, self.round + length));
        }
    }
}

fn large() -> impl Strategy<Value = TaskNeeds> {
    prop_oneof![
        (2_u32..5).prop_map(TaskNeeds::slots),
        (2_u32..4).prop_map(|instances| TaskNeeds { instances, ..one() }),
        Just(TaskNeeds { is_exclusive: true, ..one() }),
        Just(TaskNeeds { is_exclusive: true, ..TaskNeeds::slots(2) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// However many small tasks come, and from however many jobs: each large task that the pool
    /// could take at all starts, and so do the small ones of every job.
    #[test]
    fn no_task_waits_for_ever(
        packs: bool,
        slots in proptest::collection::vec(1_u32..5, 3..6),
        larges in proptest::collection::vec((1_i64..5, large()), 1..8),
        lengths in proptest::collection::vec(1_u32..6, 1..7),
    ) {
        let names: Vec<String> = (0..slots.len()).map(|n| format!("n{n}")).collect();
        let nodes: Vec<_> = names.iter().map(String::as_str).zip(slots.iter().copied()).collect();
        let mut world = World {
            board: board(packs, &nodes),
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            sequences: BTreeMap::new(),
            round: 0,
        };
        for job_key in 1..5 {
            open_job(&mut world.board, job_key, 0, None);
        }
        let could = |needs: &TaskNeeds| {
            let fitting = slots.iter().filter(|it| **it >= needs.slots).count();
            fitting >= usize::try_from(needs.instances).expect("small")
        };
        let mut wanted: Vec<(i64, i64)> = Vec::new();
        for (job_key, needs) in larges {
            let is_possible = could(&needs);
            let key = world.add(job_key, needs);
            wanted.extend(is_possible.then_some(key));
        }
        let capacity: u32 = slots.iter().sum();
        for _ in 0..400 {
            // More than the pool can take, from every job.
            for job_key in 1..5 {
                for _ in 0..capacity {
                    let waits = world.waiting.keys().filter(|key| key.0 == job_key).count();
                    if waits < 30 {
                        let key = world.add(job_key, one());
                        if world.round == 0 {
                            wanted.push(key);
                        }
                    }
                }
            }
            world.play(&lengths);
            wanted.retain(|key| world.waiting.contains_key(key));
            if wanted.is_empty() {
                break;
            }
        }
        prop_assert!(wanted.is_empty(), "still waiting after {} rounds: {wanted:?}", world.round);
    }
}
