//! From what waits and what is free to assignments.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use kiln_domain::batch::pool::JobDefaultOrder;

use crate::Board;
use crate::job::{Job, Shape, Turn};
use crate::pool::Places;

/// A task is to run on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The store's key of the job.
    pub job_key: i64,
    /// The task's id.
    pub task_id: String,
    /// The store's key of the pool.
    pub pool_key: i64,
    /// The nodes' ids, one for each instance of the task; its primary is on the first.
    pub node_ids: Vec<String>,
}

/// Proposes at most `limit` assignments for the tasks that wait for a pool.
///
/// Jobs of higher priority come first; among jobs of the same priority the one with the fewest
/// tasks on nodes, or the oldest if the pool wants that; within a job, tasks start in the order
/// they came, but those that fit pass those that do not.
pub fn plan(board: &Board, pool_key: i64, limit: usize) -> Vec<Assignment> {
    let Some(pool) = board.pools.get(&pool_key) else { return Vec::new() };
    let mut places = Places::of(pool);
    let mut line = Line {
        board,
        shares: pool.policy.job_default_order == JobDefaultOrder::None,
        queue: board.turns_of(pool).peekable(),
        again: BTreeMap::new(),
    };
    let mut assignments = Vec::new();
    while assignments.len() < limit && !places.is_full() {
        let Some(mut player) = line.next() else { break };
        if let Some((task_id, node_ids)) = player.place_next(&mut places) {
            assignments.push(Assignment { job_key: player.turn.2, task_id, pool_key, node_ids });
            line.put_back(player);
        }
    }
    assignments
}

/// The jobs in the order of their turns, as the plan puts their tasks on nodes.
struct Line<'b, Q: Iterator<Item = Turn>> {
    board: &'b Board,
    shares: bool,
    /// Those that had no turn yet.
    queue: Peekable<Q>,
    /// Those that had one and may have another.
    again: BTreeMap<Turn, Player<'b>>,
}

impl<'b, Q: Iterator<Item = Turn>> Line<'b, Q> {
    fn next(&mut self) -> Option<Player<'b>> {
        let first_again = self.again.first_key_value().map(|(turn, _)| *turn);
        let is_next = |turn: &Turn| first_again.is_none_or(|again| *turn < again);
        match self.queue.next_if(is_next) {
            Some(turn) => Player::of(self.board, turn),
            None => self.again.pop_first().map(|(_, player)| player),
        }
    }

    /// A job that placed a task may have another turn.
    fn put_back(&mut self, mut player: Player<'b>) {
        if self.shares {
            player.turn.1 = player.turn.1.saturating_add(1);
        }
        if player.may_start > 0 && !player.heads.is_empty() {
            self.again.insert(player.turn, player);
        }
    }
}

/// A job whose turn it is.
struct Player<'b> {
    turn: Turn,
    job: &'b Job,
    may_start: usize,
    /// Of each kind of task that may still fit, the first.
    heads: BTreeSet<(i64, Shape)>,
}

impl<'b> Player<'b> {
    fn of(board: &'b Board, turn: Turn) -> Option<Self> {
        let job = board.jobs.get(&turn.2)?;
        let first = |(shape, tasks): (&Shape, &BTreeMap<i64, _>)| {
            tasks.keys().next().map(|sequence| (*sequence, *shape))
        };
        let heads = job.waiting.iter().filter_map(first).collect();
        Some(Self { turn, job, may_start: job.may_start(), heads })
    }

    /// Places the first task that fits; `None` when the job can place no more.
    fn place_next(&mut self, places: &mut Places<'_>) -> Option<(String, Vec<String>)> {
        while let Some((sequence, shape)) = self.heads.pop_first() {
            let mut tasks = self.job.waiting.get(&shape)?.range(sequence..);
            let (_, task) = tasks.next()?;
            if let Some(node_ids) = places.take(shape, task, &self.job.excluded) {
                self.heads.extend(tasks.next().map(|(next, _)| (*next, shape)));
                self.may_start -= 1;
                return Some((task.id.to_string(), node_ids));
            }
        }
        None
    }
}
