//! Room kept for a task that small ones would pass for ever.
//!
//! A task that needs several slots, several nodes or a node for itself is passed by those that
//! fit. Once one of these has passed it, it is held: of its pool there is one such task at a time.
//! It comes first among those of its priority, and as long as there is not enough room for it, the
//! nodes that lack the least take no others. Nothing comes onto these nodes but more urgent tasks,
//! so every task that ends brings it nearer, whichever nodes they are next time.

use std::collections::BTreeSet;

use crate::Board;
use crate::job::{Job, Shape, Waiting};
use crate::plan::{Assignment, Plan};
use crate::pool::{Places, Pool};
use crate::preempt::Givers;

/// A task that waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    pub(crate) job_key: i64,
    pub(crate) sequence: i64,
    pub(crate) shape: Shape,
}

impl Waiter {
    /// Its job and itself, if it still waits and may start.
    fn find<'b>(&self, board: &'b Board, pool: &Pool) -> Option<(&'b Job, &'b Waiting)> {
        let job = board.jobs.get(&self.job_key)?;
        let task = job.waiting.get(&self.shape)?.get(&self.sequence)?;
        (job.pool == pool.name && job.may_start() > 0).then_some((job, task))
    }
}

/// The task for which room is kept while a plan is made.
pub(crate) struct Hold<'b> {
    held: Option<(Waiter, &'b Job, &'b Waiting)>,
    /// Whether the plan has done for it what it can.
    is_done: bool,
    /// The first task that did not fit, in the order of turns, while none is held.
    stuck: Option<Waiter>,
    /// What no nodes of the pool could take.
    hopeless: BTreeSet<Shape>,
}

impl<'b> Hold<'b> {
    pub(crate) fn of(board: &'b Board, pool_key: i64, pool: &Pool, places: &Places<'_>) -> Self {
        let held = board.held_in(pool_key).and_then(|waiter| {
            let (job, task) = waiter.find(board, pool)?;
            let fits = places.could_fit(waiter.shape, &job.excluded);
            fits.then_some((waiter, job, task))
        });
        Self { held, is_done: held.is_none(), stuck: None, hopeless: BTreeSet::new() }
    }

    /// Whether its turn has come: all that is more urgent had theirs.
    pub(crate) fn is_due(&self, priority: i32) -> bool {
        let held = self.held.as_ref().filter(|_| !self.is_done);
        held.is_some_and(|(_, job, _)| job.terms.priority >= priority)
    }

    /// Puts the held task on nodes, sees to room for it, or keeps what there is.
    pub(crate) fn take_turn(
        &mut self,
        pool_key: i64,
        places: &mut Places<'_>,
        givers: &mut Givers<'_>,
        plan: &mut Plan,
    ) {
        self.is_done = true;
        let Some((waiter, job, task)) = self.held else { return };
        if let Some(node_ids) = places.take(waiter.shape, task, &job.excluded) {
            let (job_key, task_id) = (waiter.job_key, task.id.to_string());
            plan.assignments.push(Assignment { job_key, task_id, pool_key, node_ids });
            return;
        }
        plan.held = Some(waiter);
        let priority = job.terms.priority;
        match givers.give_way(places, priority, waiter.shape, &job.excluded) {
            Some(preemptions) => plan.preemptions.extend(preemptions),
            None => places.hold(waiter.shape, &job.excluded),
        }
    }

    /// The held task stays so if a plan ends before its turn.
    pub(crate) fn keep(&self, plan: &mut Plan) {
        if !self.is_done {
            plan.held = self.held.map(|(waiter, ..)| waiter);
        }
    }

    /// The task that had its turn apart from its job's.
    pub(crate) fn had_turn(&self) -> Option<Waiter> {
        self.held.filter(|_| self.is_done).map(|(waiter, ..)| waiter)
    }

    /// A task of `job` did not fit in its turn.
    pub(crate) fn note_stuck(&mut self, waiter: Waiter, job: &Job, places: &Places<'_>) {
        let shape = waiter.shape;
        let has_first = self.held.is_some() || self.stuck.is_some();
        if has_first || !shape.is_large() || self.hopeless.contains(&shape) {
            return;
        }
        if places.could_fit(shape, &job.excluded) {
            self.stuck = Some(waiter);
        } else if job.excluded.is_empty() {
            self.hopeless.insert(shape);
        }
    }

    /// Another task was placed: it passed the one that did not fit, which is held from now on.
    pub(crate) fn note_placed(&self, plan: &mut Plan) {
        if let Some(waiter) = self.stuck {
            plan.held = Some(waiter);
        }
    }
}
