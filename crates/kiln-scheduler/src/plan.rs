//! From what waits and what is free to assignments.

use std::collections::BTreeSet;

use crate::Board;
use crate::board::{Job, Pool};

/// Waiting tasks of one job that are looked at for one that fits, when the first does not.
const LOOK_AHEAD_TASKS: usize = 64;

/// A task is to run on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The store's key of the job.
    pub job_key: i64,
    /// The task's id.
    pub task_id: String,
    /// The store's key of the pool.
    pub pool_key: i64,
    /// The node's id.
    pub node_id: String,
}

/// Proposes at most `limit` assignments for the tasks that wait for a pool.
///
/// Jobs of higher priority come first; jobs of the same priority take turns, task by task;
/// within a job, tasks start in the order they came.
pub fn plan(board: &Board, pool_key: i64, limit: usize) -> Vec<Assignment> {
    let Some(pool) = board.pools.get(&pool_key) else { return Vec::new() };
    let mut places = Places::of(pool);
    let mut assignments = Vec::new();
    let mut jobs = board.jobs_of(pool).peekable();
    while let Some((priority, first)) = jobs.next() {
        let mut turns: Vec<Turn<'_>> = Turn::of(board, first).into_iter().collect();
        while let Some((_, key)) = jobs.next_if(|(it, _)| *it == priority) {
            turns.extend(Turn::of(board, key));
        }
        take_turns(turns, pool_key, &mut places, limit, &mut assignments);
        if assignments.len() >= limit || places.is_full() {
            break;
        }
    }
    assignments
}

/// Lets jobs of one priority place one task each, round after round.
fn take_turns(
    mut turns: Vec<Turn<'_>>,
    pool_key: i64,
    places: &mut Places,
    limit: usize,
    assignments: &mut Vec<Assignment>,
) {
    while !turns.is_empty() && assignments.len() < limit && !places.is_full() {
        turns.retain_mut(|turn| {
            if assignments.len() >= limit {
                return false;
            }
            let placed = turn.place_next(places);
            if let Some((task_id, node_id)) = placed {
                let job_key = turn.job_key;
                assignments.push(Assignment { job_key, task_id, pool_key, node_id });
                return true;
            }
            false
        });
    }
}

/// A job that takes its turn.
struct Turn<'b> {
    job_key: i64,
    job: &'b Job,
    may_start: usize,
    next: i64,
}

impl<'b> Turn<'b> {
    fn of(board: &'b Board, job_key: i64) -> Option<Self> {
        let job = board.jobs.get(&job_key)?;
        let may_start = job.may_start();
        let next = *job.waiting.keys().next()?;
        (may_start > 0).then_some(Self { job_key, job, may_start, next })
    }

    /// Places the next task that fits; `None` when the job can place no more.
    fn place_next(&mut self, places: &mut Places) -> Option<(String, String)> {
        if self.may_start == 0 {
            return None;
        }
        let candidates = self.job.waiting.range(self.next..).take(LOOK_AHEAD_TASKS);
        for (sequence, task) in candidates {
            if let Some(node_id) = places.take(task.slots) {
                self.next = sequence.saturating_add(1);
                self.may_start -= 1;
                return Some((task.id.to_string(), node_id));
            }
        }
        None
    }
}

/// The free slots of a pool's nodes, as the plan uses them up.
struct Places {
    packs: bool,
    /// Free slots and node; only nodes with a free slot.
    free: BTreeSet<(u32, String)>,
}

impl Places {
    fn of(pool: &Pool) -> Self {
        let free = pool
            .nodes
            .iter()
            .map(|(id, node)| (node.slots.saturating_sub(node.used), id.clone()))
            .filter(|(free, _)| *free > 0)
            .collect();
        Self { packs: pool.packs, free }
    }

    fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Takes `slots` of the node that the pool's policy prefers.
    fn take(&mut self, slots: u32) -> Option<String> {
        let mut fitting = self.free.range((slots, String::new())..);
        let chosen = if self.packs { fitting.next() } else { fitting.next_back() };
        let (free, node_id) = chosen.cloned()?;
        self.free.remove(&(free, node_id.clone()));
        if free > slots {
            self.free.insert((free - slots, node_id.clone()));
        }
        Some(node_id)
    }
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::change::Change;
    use kiln_domain::batch::task::TaskState;

    use crate::{Board, plan};

    fn board(packs: bool, nodes: &[(&str, u32)]) -> Board {
        let mut board = Board::default();
        board.apply(Change::Pool {
            pool_key: 1,
            account: "a".to_owned(),
            pool_id: "P".to_owned(),
            packs,
        });
        for (node_id, slots) in nodes {
            let node_id = (*node_id).to_owned();
            board.apply(Change::Node { pool_key: 1, node_id, slots: *slots });
        }
        board
    }

    fn job(board: &mut Board, job_key: i64, priority: i32, limit: Option<u32>, tasks: &[u32]) {
        board.apply(Change::Job {
            job_key,
            account: "a".to_owned(),
            pool_id: "p".to_owned(),
            priority,
            is_open: true,
            parallel_tasks_max: limit,
        });
        for (sequence, slots) in (1..).zip(tasks) {
            put(board, job_key, sequence, *slots, TaskState::Active, None);
        }
    }

    fn put(
        board: &mut Board,
        job_key: i64,
        sequence: i64,
        slots: u32,
        state: TaskState,
        node_id: Option<&str>,
    ) {
        board.apply(Change::Task {
            job_key,
            task_id: format!("t{sequence}"),
            sequence,
            slots,
            state,
            node_id: node_id.map(str::to_owned),
        });
    }

    fn check(board: &Board, expected: &str) {
        let said: Vec<_> = plan(board, 1, 100)
            .into_iter()
            .map(|it| format!("{}{}@{}", it.job_key, it.task_id, it.node_id))
            .collect();
        assert_eq!(said.join(" "), expected);
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
    fn urgent_jobs_first_equals_take_turns() {
        let mut board = board(true, &[("m", 4)]);
        job(&mut board, 1, 0, None, &[1, 1, 1]);
        job(&mut board, 2, 0, None, &[1, 1, 1]);
        job(&mut board, 3, 5, None, &[1]);
        check(&board, "3t1@m 1t1@m 2t1@m 1t2@m");
    }

    #[test]
    fn a_wide_task_waits_and_small_ones_pass() {
        let mut board = board(false, &[("m", 4)]);
        job(&mut board, 1, 0, None, &[8, 2, 3, 2]);
        check(&board, "1t2@m 1t4@m");
    }

    #[test]
    fn a_job_keeps_its_own_limit() {
        let mut board = board(false, &[("m", 4)]);
        job(&mut board, 1, 0, Some(2), &[1, 1, 1]);
        put(&mut board, 1, 1, 1, TaskState::Running, Some("m"));
        check(&board, "1t2@m");
    }

    #[test]
    fn slots_come_back() {
        let mut board = board(false, &[("m", 1)]);
        job(&mut board, 1, 0, None, &[1, 1]);
        put(&mut board, 1, 1, 1, TaskState::Running, Some("m"));
        check(&board, "");
        put(&mut board, 1, 1, 1, TaskState::Completed, Some("m"));
        check(&board, "1t2@m");
        assert!(board.take_changed().contains(&1));
        board.apply(Change::Node { pool_key: 1, node_id: "m".to_owned(), slots: 0 });
        check(&board, "");
    }
}
