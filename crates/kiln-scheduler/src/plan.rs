//! From what waits and what is free to assignments.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use kiln_domain::batch::pool::JobDefaultOrder;

use crate::Board;
use crate::job::{Job, Shape, Turn};
use crate::pool::Places;
use crate::preempt::{Givers, Preemption};

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

/// What is proposed for a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Running tasks that give way. What they give way for is planned once that is committed.
    pub preemptions: Vec<Preemption>,
    /// Waiting tasks that are to run.
    pub assignments: Vec<Assignment>,
}

impl Plan {
    /// How many changes it proposes.
    pub fn len(&self) -> usize {
        self.preemptions.len().saturating_add(self.assignments.len())
    }

    /// Whether it proposes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Proposes at most about `limit` changes for the tasks that wait for a pool.
///
/// Jobs of higher priority come first; among jobs of the same priority the one with the fewest
/// tasks on nodes, or the oldest if the pool wants that; within a job, tasks start in the order
/// they came, but those that fit pass those that do not. Running tasks of a job that allows it
/// give way to those of a job of higher priority.
pub fn plan(board: &Board, pool_key: i64, limit: usize) -> Plan {
    let mut plan = Plan::default();
    let Some(pool) = board.pools.get(&pool_key) else { return plan };
    let mut places = Places::of(pool);
    let mut givers = Givers::of(board, pool);
    let mut line = Line {
        board,
        shares: pool.policy.job_default_order == JobDefaultOrder::None,
        queue: board.turns_of(pool).peekable(),
        again: BTreeMap::new(),
    };
    while plan.len() < limit {
        let Some(mut player) = line.next() else { break };
        // Those that come later are not more urgent.
        if places.is_full() && !givers.yield_to(player.job.terms.priority) {
            break;
        }
        match player.move_next(&mut places, &mut givers) {
            Some(Move::Place { task_id, node_ids }) => {
                let job_key = player.turn.2;
                plan.assignments.push(Assignment { job_key, task_id, pool_key, node_ids });
            }
            Some(Move::GiveWay(preemptions)) => plan.preemptions.extend(preemptions),
            None => continue,
        }
        line.put_back(player);
    }
    plan
}

/// What a job does in its turn.
enum Move {
    /// It puts a task on these nodes.
    Place { task_id: String, node_ids: Vec<String> },
    /// It makes others give way for its next task.
    GiveWay(Vec<Preemption>),
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

    /// Does what can be done for the first task for which there is or can be room; `None` when
    /// there is none for any of the job's tasks.
    fn move_next(&mut self, places: &mut Places<'_>, givers: &mut Givers<'_>) -> Option<Move> {
        let (priority, excluded) = (self.job.terms.priority, &self.job.excluded);
        while let Some((sequence, shape)) = self.heads.pop_first() {
            if !places.accept(shape) {
                continue;
            }
            let mut tasks = self.job.waiting.get(&shape)?.range(sequence..);
            let (_, task) = tasks.next()?;
            let made = match places.take(shape, task, excluded) {
                Some(node_ids) => Some(Move::Place { task_id: task.id.to_string(), node_ids }),
                None => givers.give_way(places, priority, shape, excluded).map(Move::GiveWay),
            };
            if made.is_some() {
                self.heads.extend(tasks.next().map(|(next, _)| (*next, shape)));
                self.may_start -= 1;
                return made;
            }
        }
        None
    }
}
