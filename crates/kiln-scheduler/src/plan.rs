//! From what waits and what is free to assignments.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::Bound;

use kiln_domain::batch::pool::JobDefaultOrder;

use crate::Board;
use crate::hold::{Hold, Waiter};
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
    /// The task for which room is to be kept from now on: see [`Board::hold`].
    pub held: Option<Waiter>,
}

impl Plan {
    /// How many changes it proposes.
    pub fn len(&self) -> usize {
        self.preemptions.len().saturating_add(self.assignments.len())
    }

    fn add(&mut self, made: Move, job_key: i64, pool_key: i64) {
        match made {
            Move::Place { task_id, node_ids } => {
                self.assignments.push(Assignment { job_key, task_id, pool_key, node_ids });
            }
            Move::GiveWay(preemptions) => self.preemptions.extend(preemptions),
        }
    }

    /// Whether it proposes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Proposes at most about `limit` changes for the tasks that wait for a pool.
///
/// Jobs of higher priority come first; among jobs of the same priority the one with the fewest
/// tasks on nodes, and of these the one that waited longest, or the oldest if the pool wants
/// that; within a job, tasks start in the order they came, but those that fit pass those that do
/// not, until room is kept for one of these. Running tasks of a job that allows it give way to
/// those of a job of higher priority, and any to a job manager that runs again.
pub fn plan(board: &Board, pool_key: i64, limit: usize) -> Plan {
    let mut plan = Plan::default();
    let Some(pool) = board.pools.get(&pool_key) else { return plan };
    let mut places = Places::of(pool);
    let mut givers = Givers::of(board, pool);
    let mut hold = Hold::of(board, pool_key, pool, &places);
    let mut line = Line {
        board,
        shares: pool.policy.job_default_order == JobDefaultOrder::None,
        n_placed: board.n_placed(),
        queue: board.turns_of(pool).peekable(),
        again: BTreeMap::new(),
    };
    let mut restarted: BTreeSet<i64> = BTreeSet::new();
    while plan.len() < limit {
        let Some(priority) = line.next_priority() else { break };
        if hold.is_due(priority) {
            hold.take_turn(pool_key, &mut places, &mut givers, &mut plan);
            continue;
        }
        // Those that come later are not more urgent.
        if places.is_full() && !givers.yield_to(priority) {
            break;
        }
        let Some(mut player) = line.next(hold.had_turn()) else { continue };
        if player.turn.restarts.0 {
            restarted.insert(player.turn.key);
        }
        let Some(made) = player.move_next(&mut places, &mut givers, &mut hold) else { continue };
        plan.add(made, player.turn.key, pool_key);
        hold.note_placed(&mut plan);
        line.put_back(player);
    }
    hold.keep(&mut plan);
    // These may find room where all is full.
    for turn in board.restarting(pool).filter(|turn| !restarted.contains(&turn.key)) {
        let Some(mut player) = Player::of(board, turn, hold.had_turn()) else { continue };
        player.heads.retain(|(_, shape)| shape.displaces);
        if let Some(made) = player.move_next(&mut places, &mut givers, &mut hold) {
            plan.add(made, turn.key, pool_key);
        }
        if plan.len() >= limit {
            break;
        }
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
    /// Counts the tasks that were placed, those of the plan included.
    n_placed: u64,
    /// Those that had no turn yet.
    queue: Peekable<Q>,
    /// Those that had one and may have another.
    again: BTreeMap<Turn, Player<'b>>,
}

impl<'b, Q: Iterator<Item = Turn>> Line<'b, Q> {
    /// The priority of the job whose turn is next.
    fn next_priority(&mut self) -> Option<i32> {
        let first_again = self.again.first_key_value().map(|(turn, _)| *turn);
        let next = self.queue.peek().copied().into_iter().chain(first_again).min()?;
        Some(next.priority.0)
    }

    /// The job whose turn it is, without the task that had its turn apart from it.
    fn next(&mut self, had_turn: Option<Waiter>) -> Option<Player<'b>> {
        let first_again = self.again.first_key_value().map(|(turn, _)| *turn);
        let is_next = |turn: &Turn| first_again.is_none_or(|again| *turn < again);
        match self.queue.next_if(is_next) {
            Some(turn) => Player::of(self.board, turn, had_turn),
            None => self.again.pop_first().map(|(_, player)| player),
        }
    }

    /// A job that placed a task may have another turn.
    fn put_back(&mut self, mut player: Player<'b>) {
        if self.shares {
            player.turn.share = player.turn.share.saturating_add(1);
            self.n_placed = self.n_placed.saturating_add(1);
            player.turn.served = self.n_placed;
        }
        player.turn.restarts.0 = player.heads.iter().any(|(_, shape)| shape.displaces);
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
    /// A task that had its turn already.
    had_turn: Option<(i64, Shape)>,
}

impl<'b> Player<'b> {
    fn of(board: &'b Board, turn: Turn, had_turn: Option<Waiter>) -> Option<Self> {
        let job = board.jobs.get(&turn.key)?;
        let own = had_turn.filter(|waiter| waiter.job_key == turn.key);
        let had_turn = own.map(|waiter| (waiter.sequence, waiter.shape));
        let may_start = job.may_start().saturating_sub(usize::from(had_turn.is_some()));
        let mut player = Self { turn, job, may_start, heads: BTreeSet::new(), had_turn };
        for shape in job.waiting.keys() {
            player.add_head(*shape, i64::MIN);
        }
        (may_start > 0).then_some(player)
    }

    /// The first task of a kind after this one, and after the one that had its turn, is next.
    fn add_head(&mut self, shape: Shape, after: i64) {
        let Some(tasks) = self.job.waiting.get(&shape) else { return };
        let mut later = tasks.range((Bound::Excluded(after), Bound::Unbounded));
        let next = later.find(|(sequence, _)| self.had_turn != Some((**sequence, shape)));
        self.heads.extend(next.map(|(sequence, _)| (*sequence, shape)));
    }

    /// Does what can be done for the first task for which there is or can be room; `None` when
    /// there is none for any of the job's tasks.
    fn move_next(
        &mut self,
        places: &mut Places<'_>,
        givers: &mut Givers<'_>,
        hold: &mut Hold<'_>,
    ) -> Option<Move> {
        let (priority, excluded) = (self.job.terms.priority, &self.job.excluded);
        while let Some((sequence, shape)) = self.heads.pop_first() {
            if !places.accept(shape) {
                continue;
            }
            let task = self.job.waiting.get(&shape)?.get(&sequence)?;
            let made = match places.take(shape, task, excluded) {
                Some(node_ids) => Some(Move::Place { task_id: task.id.to_string(), node_ids }),
                None => givers.give_way(places, priority, shape, excluded).map(Move::GiveWay),
            };
            if made.is_some() {
                self.add_head(shape, sequence);
                self.may_start -= 1;
                return made;
            }
            let waiter = Waiter { job_key: self.turn.key, sequence, shape };
            hold.note_stuck(waiter, self.job, places);
        }
        None
    }
}
