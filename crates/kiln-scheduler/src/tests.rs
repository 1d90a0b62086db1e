//! Boards built of changes, and what is planned on them.

use std::collections::BTreeMap;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::pool::{JobDefaultOrder, NodeFillType, TaskSchedulingPolicy};
use kiln_domain::batch::task::TaskState;

use crate::{Board, Plan, plan};

fn policy(packs: bool, by_age: bool) -> TaskSchedulingPolicy {
    TaskSchedulingPolicy {
        node_fill_type: if packs { NodeFillType::Pack } else { NodeFillType::Spread },
        job_default_order: if by_age {
            JobDefaultOrder::CreationTime
        } else {
            JobDefaultOrder::None
        },
    }
}

fn set_policy(board: &mut Board, policy: TaskSchedulingPolicy) {
    let (account, pool_id) = ("a".to_owned(), "P".to_owned());
    board.apply(Change::Pool { pool_key: 1, account, pool_id, policy, is_connected: false });
}

/// Nodes with their slots; one whose name begins with `s` is a Spot node.
pub(crate) fn board(packs: bool, nodes: &[(&str, u32)]) -> Board {
    let mut board = Board::default();
    set_policy(&mut board, policy(packs, false));
    for (node_id, slots) in nodes {
        set_slots(&mut board, node_id, *slots);
    }
    board
}

pub(crate) fn set_slots(board: &mut Board, node_id: &str, slots: u32) {
    let is_dedicated = !node_id.starts_with('s');
    board.apply(Change::Node { pool_key: 1, node_id: node_id.to_owned(), slots, is_dedicated });
}

pub(crate) fn open_job(board: &mut Board, job_key: i64, priority: i32, limit: Option<u32>) {
    board.apply(Change::Job {
        job_key,
        account: "a".to_owned(),
        pool_id: "p".to_owned(),
        priority,
        is_open: true,
        parallel_tasks_max: limit,
        allows_preemption: false,
    });
}

pub(crate) fn job(
    board: &mut Board,
    job_key: i64,
    priority: i32,
    limit: Option<u32>,
    tasks: &[u32],
) {
    open_job(board, job_key, priority, limit);
    for (sequence, slots) in (1..).zip(tasks) {
        wait(board, job_key, sequence, TaskNeeds::slots(*slots));
    }
}

pub(crate) fn wait(board: &mut Board, job_key: i64, sequence: i64, needs: TaskNeeds) {
    put(board, job_key, sequence, needs, TaskState::Active, &[]);
}

pub(crate) fn run(
    board: &mut Board,
    job_key: i64,
    sequence: i64,
    needs: TaskNeeds,
    nodes: &[&str],
) {
    put(board, job_key, sequence, needs, TaskState::Running, nodes);
}

pub(crate) fn put(
    board: &mut Board,
    job_key: i64,
    sequence: i64,
    needs: TaskNeeds,
    state: TaskState,
    nodes: &[&str],
) {
    board.apply(Change::Task {
        job_key,
        task_id: format!("t{sequence}"),
        sequence,
        needs,
        state,
        displaces: false,
        is_ready: true,
        node_ids: nodes.iter().map(|&id| id.to_owned()).collect(),
    });
}

pub(crate) fn one() -> TaskNeeds {
    TaskNeeds::slots(1)
}

#[track_caller]
fn check(board: &Board, expected: &str) {
    assert_eq!(said(&plan(board, 1, 100)), expected);
}

/// A plan in short: what gives way, then what is placed.
pub(crate) fn said(plan: &Plan) -> String {
    let gone = plan.preemptions.iter().map(|it| format!("-{}{}", it.job_key, it.task_id));
    let put = plan.assignments.iter();
    let put = put.map(|it| format!("{}{}@{}", it.job_key, it.task_id, it.node_ids.join("+")));
    gone.chain(put).collect::<Vec<_>>().join(" ")
}

#[test]
fn spreads_and_packs() {
    let mut spread = board(false, &[("m", 2), ("n", 2)]);
    job(&mut spread, 1, 0, None, &[1, 1, 1, 1, 1]);
    check(&spread, "1t1@n 1t2@m 1t3@n 1t4@m");
    let mut packed = board(true, &[("m", 2), ("n", 2)]);
    job(&mut packed, 1, 0, None, &[1, 1, 1, 1, 1]);
    check(&packed, "1t1@m 1t2@m 1t3@n 1t4@n");
}

#[test]
fn urgent_jobs_first_equals_share() {
    let mut board = board(true, &[("m", 5)]);
    job(&mut board, 1, 0, None, &[1, 1, 1]);
    job(&mut board, 2, 0, None, &[1, 1, 1]);
    job(&mut board, 3, 5, None, &[1]);
    check(&board, "3t1@m 1t1@m 2t1@m 1t2@m 2t2@m");
    // What is on nodes already counts.
    run(&mut board, 1, 1, one(), &["m"]);
    check(&board, "3t1@m 2t1@m 1t2@m 2t2@m");
}

#[test]
fn older_jobs_come_first_where_the_pool_wants_that() {
    let mut board = board(true, &[("m", 4)]);
    job(&mut board, 2, 0, None, &[1, 1]);
    job(&mut board, 1, 0, None, &[1, 1, 1]);
    check(&board, "1t1@m 2t1@m 1t2@m 2t2@m");
    set_policy(&mut board, policy(true, true));
    check(&board, "1t1@m 1t2@m 1t3@m 2t1@m");
    run(&mut board, 1, 1, one(), &["m"]);
    check(&board, "1t2@m 1t3@m 2t1@m");
}

#[test]
fn a_wide_task_waits_and_small_ones_pass() {
    let mut board = board(false, &[("m", 4)]);
    job(&mut board, 1, 0, None, &[8, 2, 3, 2]);
    check(&board, "1t2@m 1t4@m");
}

#[test]
fn any_number_of_wide_tasks_lets_small_ones_pass() {
    let mut board = board(false, &[("m", 4)]);
    let mut tasks = vec![8; 1000];
    tasks.push(1);
    job(&mut board, 1, 0, None, &tasks);
    check(&board, "1t1001@m");
}

#[test]
fn a_job_keeps_its_own_limit() {
    let mut board = board(false, &[("m", 4)]);
    job(&mut board, 1, 0, Some(2), &[1, 1, 1]);
    run(&mut board, 1, 1, one(), &["m"]);
    check(&board, "1t2@m");
    run(&mut board, 1, 2, one(), &["m"]);
    check(&board, "");
    open_job(&mut board, 1, 0, Some(3));
    check(&board, "1t3@m");
}

#[test]
fn slots_come_back() {
    let mut board = board(false, &[("m", 1)]);
    job(&mut board, 1, 0, None, &[1, 1]);
    run(&mut board, 1, 1, one(), &["m"]);
    check(&board, "");
    put(&mut board, 1, 1, one(), TaskState::Completed, &[]);
    check(&board, "1t2@m");
    assert!(board.take_changed().contains(&1));
    set_slots(&mut board, "m", 0);
    check(&board, "");
}

#[test]
fn a_task_that_depends_on_others_waits_until_it_is_ready() {
    let mut board = board(false, &[("m", 1)]);
    open_job(&mut board, 1, 0, None);
    let task = |is_ready| Change::Task {
        job_key: 1,
        task_id: "t".to_owned(),
        sequence: 1,
        needs: one(),
        state: TaskState::Active,
        displaces: false,
        is_ready,
        node_ids: Vec::new(),
    };
    board.apply(task(false));
    check(&board, "");
    board.apply(task(true));
    check(&board, "1t@m");
    board.apply(task(false));
    check(&board, "");
}

#[test]
fn a_task_that_was_deleted_is_not_placed() {
    let mut board = board(false, &[("m", 2)]);
    job(&mut board, 1, 0, None, &[1, 1, 1]);
    run(&mut board, 1, 1, one(), &["m"]);
    board.apply(Change::TaskGone { job_key: 1, sequence: 2 });
    check(&board, "1t3@m");
    board.apply(Change::TaskGone { job_key: 1, sequence: 1 });
    wait(&mut board, 1, 4, one());
    check(&board, "1t3@m 1t4@m");
}

#[test]
fn an_exclusive_task_is_alone_on_its_node() {
    let alone = TaskNeeds { is_exclusive: true, ..one() };
    let mut board = board(true, &[("m", 4), ("n", 4)]);
    job(&mut board, 1, 0, None, &[1]);
    wait(&mut board, 1, 2, alone.clone());
    wait(&mut board, 1, 3, one());
    check(&board, "1t1@m 1t2@n 1t3@m");
    run(&mut board, 1, 2, alone.clone(), &["n"]);
    run(&mut board, 1, 1, one(), &["m"]);
    wait(&mut board, 1, 4, alone.clone());
    check(&board, "1t3@m");
    put(&mut board, 1, 2, alone, TaskState::Completed, &[]);
    check(&board, "1t3@m 1t4@n");
}

#[test]
fn a_task_for_dedicated_nodes_keeps_away_from_spot_nodes() {
    let steady = TaskNeeds { on_dedicated_only: true, ..one() };
    let mut board = board(false, &[("d", 1), ("s", 9)]);
    open_job(&mut board, 1, 0, None);
    wait(&mut board, 1, 1, steady.clone());
    wait(&mut board, 1, 2, steady);
    wait(&mut board, 1, 3, one());
    check(&board, "1t1@d 1t3@s");
}

#[test]
fn a_task_goes_to_the_node_it_likes_if_there_is_room() {
    let near = |node: &str| TaskNeeds { affinity: Some(node.to_owned()), ..one() };
    let mut board = board(false, &[("l", 1), ("m", 2), ("n", 9)]);
    open_job(&mut board, 1, 0, None);
    for (sequence, node) in (1..).zip(["m", "m", "m", "gone", "l"]) {
        wait(&mut board, 1, sequence, near(node));
    }
    check(&board, "1t1@m 1t2@m 1t3@n 1t4@n 1t5@l");
}

#[test]
fn a_task_of_many_instances_starts_on_all_its_nodes_or_none() {
    let gang = |instances| TaskNeeds { instances, ..one() };
    let mut board = board(false, &[("l", 1), ("m", 1), ("n", 1)]);
    open_job(&mut board, 1, 0, None);
    wait(&mut board, 1, 1, gang(4));
    wait(&mut board, 1, 2, gang(2));
    check(&board, "1t2@n+m");
    run(&mut board, 1, 2, gang(2), &["n", "m"]);
    wait(&mut board, 1, 3, one());
    wait(&mut board, 1, 4, one());
    check(&board, "1t3@l");
    put(&mut board, 1, 2, gang(2), TaskState::Completed, &[]);
    check(&board, "1t3@n 1t4@m");
}

#[test]
fn instances_that_must_find_each_other_wait_for_a_pool_that_connects_nodes() {
    let mut board = board(false, &[("m", 1), ("n", 1)]);
    open_job(&mut board, 1, 0, None);
    wait(&mut board, 1, 1, TaskNeeds { instances: 2, is_connected: true, ..one() });
    check(&board, "");
    let (account, pool_id, policy) = ("a".to_owned(), "p".to_owned(), policy(false, false));
    board.apply(Change::Pool { pool_key: 1, account, pool_id, policy, is_connected: true });
    check(&board, "1t1@n+m");
}

#[test]
fn a_job_avoids_the_nodes_it_is_excluded_from() {
    let mut board = board(false, &[("m", 9), ("n", 1)]);
    job(&mut board, 1, 0, None, &[1, 1]);
    job(&mut board, 2, -1, None, &[1]);
    let node_id = || "m".to_owned();
    board.apply(Change::JobNodeExcluded { job_key: 1, node_id: node_id() });
    check(&board, "1t1@n 2t1@m");
    board.apply(Change::JobNodeAdmitted { job_key: 1, node_id: node_id() });
    check(&board, "1t1@m 1t2@m 2t1@m");
}

#[test]
fn a_job_that_moves_queues_at_its_new_pool() {
    let mut board = board(false, &[("m", 1)]);
    job(&mut board, 1, 0, None, &[1]);
    let moved = |pool_id: &str| Change::Job {
        job_key: 1,
        account: "a".to_owned(),
        pool_id: pool_id.to_owned(),
        priority: 0,
        is_open: true,
        parallel_tasks_max: None,
        allows_preemption: false,
    };
    board.apply(moved("other"));
    check(&board, "");
    board.apply(moved("P"));
    check(&board, "1t1@m");
    board.apply(Change::JobGone { job_key: 1 });
    check(&board, "");
}

#[test]
fn the_load_of_a_pool_counts_instances_and_leaves_closed_jobs_out() {
    let mut board = board(false, &[("n1", 4), ("n2", 4)]);
    job(&mut board, 1, 0, None, &[1, 1]);
    wait(&mut board, 1, 3, TaskNeeds { instances: 3, ..TaskNeeds::slots(1) });
    run(&mut board, 1, 4, one(), &["n1"]);
    job(&mut board, 2, 0, None, &[1]);
    let load = |board: &Board, pool| {
        let load = board.load_of("a", pool);
        (load.waiting, load.running, load.job_keys)
    };
    assert_eq!(load(&board, "P"), (6, 1, vec![1, 2]));
    assert_eq!(load(&board, "other"), (0, 0, vec![]));
    board.apply(Change::Job {
        job_key: 2,
        account: "a".to_owned(),
        pool_id: "p".to_owned(),
        priority: 0,
        is_open: false,
        parallel_tasks_max: None,
        allows_preemption: false,
    });
    assert_eq!(load(&board, "p"), (5, 1, vec![1, 2]));
    assert_eq!((board.pool_of_job(2), board.pool_of_job(9)), (Some(1), None));
}

#[test]
fn a_large_job_leaves_the_memory_a_few_tasks_at_a_time() {
    let mut board = board(false, &[("a", 1)]);
    job(&mut board, 1, 0, None, &[1; 100]);
    board.apply(Change::JobGone { job_key: 1 });
    check(&board, "");
    let left = |board: &Board| board.forgotten.iter().map(BTreeMap::len).sum::<usize>();
    let mut before = left(&board);
    assert_eq!(before, 100);
    while before > 0 {
        board.apply(Change::JobGone { job_key: 1 });
        let now = left(&board);
        assert!(now < before && before - now <= 32, "{before} {now}");
        before = now;
    }
}

/// A job that lets its tasks give way, and tasks of it that run.
fn giver(board: &mut Board, job_key: i64, priority: i32, running: &[(u32, &str)]) {
    board.apply(Change::Job {
        job_key,
        account: "a".to_owned(),
        pool_id: "p".to_owned(),
        priority,
        is_open: true,
        parallel_tasks_max: None,
        allows_preemption: true,
    });
    for (sequence, (slots, node)) in (1..).zip(running) {
        run(board, job_key, sequence, TaskNeeds::slots(*slots), &[node]);
    }
}

#[test]
fn running_tasks_give_way_to_those_of_a_more_urgent_job() {
    let mut board = board(false, &[("m", 2), ("n", 1)]);
    giver(&mut board, 1, 0, &[(1, "m"), (1, "m"), (1, "n")]);
    job(&mut board, 2, 0, None, &[1]);
    check(&board, "");
    job(&mut board, 3, 1, None, &[1, 1]);
    // The latest of the giving job go first.
    check(&board, "-1t3 -1t2");
    put(&mut board, 1, 3, one(), TaskState::Active, &[]);
    check(&board, "-1t2 3t1@n");
    put(&mut board, 1, 2, one(), TaskState::Active, &[]);
    check(&board, "3t1@n 3t2@m");
}

#[test]
fn the_least_urgent_job_gives_way_first_and_none_for_its_equals() {
    let mut board = board(false, &[("m", 3)]);
    giver(&mut board, 1, 3, &[(1, "m")]);
    giver(&mut board, 2, 2, &[(1, "m")]);
    open_job(&mut board, 3, 1, None);
    run(&mut board, 3, 1, one(), &["m"]);
    job(&mut board, 4, 3, None, &[1, 1]);
    check(&board, "-2t1");
    job(&mut board, 5, 4, None, &[1, 1]);
    // One of a node at a time: what comes free is looked at before more is asked for.
    check(&board, "-2t1");
    put(&mut board, 2, 1, one(), TaskState::Active, &[]);
    check(&board, "5t1@m");
    run(&mut board, 5, 1, one(), &["m"]);
    check(&board, "-1t1");
}

#[test]
fn no_task_gives_way_for_nothing() {
    let mut board = board(false, &[("m", 4), ("s", 4)]);
    giver(&mut board, 1, 0, &[(1, "m"), (1, "m")]);
    open_job(&mut board, 2, 0, None);
    run(&mut board, 2, 1, TaskNeeds::slots(2), &["m"]);
    // Too wide for what would come free.
    job(&mut board, 3, 1, None, &[]);
    wait(&mut board, 3, 1, TaskNeeds { on_dedicated_only: true, ..TaskNeeds::slots(3) });
    check(&board, "");
    // Room elsewhere is room enough.
    wait(&mut board, 3, 2, TaskNeeds::slots(3));
    check(&board, "3t2@s");
    // A small one is spared where a wide one makes room alone.
    giver(&mut board, 4, -1, &[]);
    run(&mut board, 4, 1, TaskNeeds::slots(2), &["s"]);
    run(&mut board, 4, 2, one(), &["s"]);
    check(&board, "-4t1");
    // Nodes that the job avoids make no room.
    board.apply(Change::JobNodeExcluded { job_key: 3, node_id: "s".to_owned() });
    check(&board, "");
}

#[test]
fn what_gives_way_is_not_taken_by_others_meanwhile() {
    let mut board = board(false, &[("m", 2)]);
    giver(&mut board, 1, 0, &[(1, "m")]);
    job(&mut board, 2, 5, None, &[2]);
    job(&mut board, 3, 0, None, &[1]);
    check(&board, "-1t1");
}

#[test]
fn tasks_give_way_to_one_that_wants_nodes_for_itself() {
    let mut board = board(false, &[("l", 1), ("m", 2), ("n", 1)]);
    giver(&mut board, 1, 0, &[(1, "m"), (1, "m"), (1, "n")]);
    open_job(&mut board, 2, 1, None);
    wait(&mut board, 2, 1, TaskNeeds { instances: 3, ..one() });
    check(&board, "-1t3 -1t2");
    board.apply(Change::TaskGone { job_key: 2, sequence: 1 });
    let alone = TaskNeeds { is_exclusive: true, ..TaskNeeds::slots(2) };
    wait(&mut board, 2, 2, alone);
    check(&board, "-1t2 -1t1");
}

/// How tasks of job 1 with these needs stand with the nodes of the board.
#[track_caller]
fn check_standing(board: &Board, needs: &TaskNeeds, expected: &str) {
    let standing = crate::standing(board, 1, needs).expect("a pool and a job");
    let told = standing.nodes.iter();
    let told: Vec<_> =
        told.map(|(id, it)| format!("{id}:{}:{:?}", it.free_slots, it.fit)).collect();
    assert_eq!(told.join(" "), expected);
}

#[test]
fn each_node_tells_why_it_does_not_take_a_task() {
    let mut board = board(false, &[("l", 1), ("m", 4), ("s", 4)]);
    open_job(&mut board, 1, 0, None);
    open_job(&mut board, 2, 0, None);
    let alone = TaskNeeds { is_exclusive: true, ..one() };
    check_standing(&board, &TaskNeeds::slots(2), "l:1:TooSmall m:4:Fits s:4:Fits");
    run(&mut board, 2, 1, TaskNeeds::slots(3), &["m"]);
    run(&mut board, 2, 2, alone.clone(), &["l"]);
    check_standing(&board, &TaskNeeds::slots(2), "l:0:TooSmall m:1:Full s:4:Fits");
    check_standing(&board, &one(), "l:0:Reserved m:1:Fits s:4:Fits");
    check_standing(&board, &alone, "l:0:Reserved m:1:Occupied s:4:Fits");
    let dedicated = TaskNeeds { on_dedicated_only: true, ..one() };
    check_standing(&board, &dedicated, "l:0:Reserved m:1:Fits s:4:Spot");
    board.apply(Change::JobNodeExcluded { job_key: 1, node_id: "s".to_owned() });
    board.apply(Change::Node {
        pool_key: 1,
        node_id: "m".to_owned(),
        slots: 0,
        is_dedicated: true,
    });
    check_standing(&board, &one(), "l:0:Reserved m:0:Closed s:4:Excluded");
    // The plan does as it is told here.
    wait(&mut board, 1, 1, one());
    check(&board, "");
    board.apply(Change::JobNodeAdmitted { job_key: 1, node_id: "s".to_owned() });
    check(&board, "1t1@s");
}

#[test]
fn a_task_is_told_of_its_jobs_limit_and_of_those_before_it() {
    let mut board = board(false, &[("m", 1)]);
    job(&mut board, 1, 0, Some(2), &[1]);
    job(&mut board, 2, 5, None, &[1]);
    run(&mut board, 1, 9, one(), &["m"]);
    let told = crate::standing(&board, 1, &one()).expect("a pool and a job");
    assert_eq!((told.n_placed, told.parallel_tasks_max, told.n_jobs_before), (1, Some(2), 1));
    assert!(told.is_accepted);
    let connected = TaskNeeds { is_connected: true, instances: 2, ..one() };
    assert!(!crate::standing(&board, 1, &connected).expect("both").is_accepted);
    assert_eq!(crate::standing(&board, 3, &one()), None);
}

/// A job manager that ran before and waits.
fn restart(board: &mut Board, job_key: i64, needs: TaskNeeds) {
    board.apply(Change::Task {
        job_key,
        task_id: "t1".to_owned(),
        sequence: 1,
        needs: TaskNeeds { is_manager: true, ..needs },
        state: TaskState::Active,
        displaces: true,
        is_ready: true,
        node_ids: Vec::new(),
    });
}

#[test]
fn a_job_manager_that_runs_again_displaces_what_is_not_more_urgent() {
    let mut board = board(false, &[("m", 2), ("n", 2)]);
    for (job_key, priority) in [(1, 1), (2, 0), (3, 0)] {
        open_job(&mut board, job_key, priority, None);
    }
    run(&mut board, 1, 2, one(), &["m"]);
    run(&mut board, 2, 2, one(), &["n"]);
    run(&mut board, 2, 3, one(), &["n"]);
    run(&mut board, 3, 2, one(), &["m"]);
    check(&board, "");
    restart(&mut board, 3, one());
    // The latest task of the least urgent, its own job's included.
    check(&board, "-2t3");
    // Alone on a node, it needs all of it, and leaves the more urgent task alone.
    restart(&mut board, 3, TaskNeeds { is_exclusive: true, ..one() });
    check(&board, "-2t3 -2t2");
    put(&mut board, 2, 2, one(), TaskState::Active, &[]);
    put(&mut board, 2, 3, one(), TaskState::Active, &[]);
    // It comes before others of its priority.
    check(&board, "3t1@n");
}

#[test]
fn a_job_manager_displaces_no_other_and_nothing_of_a_more_urgent_job() {
    let mut board = board(false, &[("m", 1), ("n", 1)]);
    open_job(&mut board, 1, 5, None);
    open_job(&mut board, 2, 0, None);
    open_job(&mut board, 3, 0, None);
    run(&mut board, 1, 2, one(), &["m"]);
    run(&mut board, 2, 1, TaskNeeds { is_manager: true, ..one() }, &["n"]);
    restart(&mut board, 3, one());
    check(&board, "");
    // Not even where something more urgent waits as well.
    wait(&mut board, 1, 3, one());
    check(&board, "");
    put(&mut board, 1, 2, one(), TaskState::Completed, &[]);
    check(&board, "1t3@m");
    run(&mut board, 2, 2, one(), &["m"]);
    check(&board, "-2t2");
}

#[test]
fn of_equals_the_job_that_waited_longest_comes_first() {
    let mut board = board(false, &[("m", 1)]);
    job(&mut board, 1, 0, None, &[1, 1]);
    job(&mut board, 2, 0, None, &[1, 1]);
    check(&board, "1t1@m");
    run(&mut board, 1, 1, one(), &["m"]);
    put(&mut board, 1, 1, one(), TaskState::Completed, &[]);
    check(&board, "2t1@m");
}

#[test]
fn a_job_goes_on_while_it_is_open_and_has_tasks() {
    let mut board = board(false, &[("m", 1)]);
    open_job(&mut board, 1, 0, None);
    assert!(!board.goes_on(1), "it has none yet");
    wait(&mut board, 1, 1, one());
    assert!(board.goes_on(1));
    run(&mut board, 1, 1, one(), &["m"]);
    assert!(board.goes_on(1));
    put(&mut board, 1, 1, one(), TaskState::Completed, &[]);
    assert!(!board.goes_on(1), "its last one ended");
    wait(&mut board, 1, 2, one());
    board.apply(Change::Job {
        job_key: 1,
        account: "a".to_owned(),
        pool_id: "p".to_owned(),
        priority: 0,
        is_open: false,
        parallel_tasks_max: None,
        allows_preemption: false,
    });
    assert!(!board.goes_on(1), "it is to rest");
    assert!(!board.goes_on(2), "it is not there");
}
