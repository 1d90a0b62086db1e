//! A job on the board: what of it waits, and what of it is on nodes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use kiln_domain::batch::needs::TaskNeeds;
use kiln_domain::batch::pool::JobDefaultOrder;

use crate::pool::PoolName;

/// A job and its tasks that have not completed.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) pool: PoolName,
    pub(crate) terms: Terms,
    /// Tasks that may start, by what they need and by their sequence. Those that need the
    /// same fit or do not fit alike, so one of each kind tells of all.
    pub(crate) waiting: BTreeMap<Shape, BTreeMap<i64, Waiting>>,
    placed: BTreeMap<i64, Placed>,
    /// Nodes that take no task of this job.
    pub(crate) excluded: BTreeSet<Box<str>>,
    /// Its place in the queue of its pool, while it is there.
    pub(crate) queued: Option<Turn>,
    /// Its place among those whose tasks may give way, while it is there.
    pub(crate) gives: Option<(i32, i64)>,
    /// Its place among those with tasks on nodes, while it is there.
    pub(crate) runs: Option<(i32, i64)>,
    /// Its place among those whose manager waits to run again, while it is there.
    pub(crate) restarts: Option<Turn>,
    /// When one of its tasks was last placed, as the board counts.
    pub(crate) served: u64,
}

/// How a job takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) priority: i32,
    pub(crate) is_open: bool,
    pub(crate) parallel_tasks_max: Option<u32>,
    /// Whether its tasks on nodes give way to those of jobs of higher priority.
    pub(crate) allows_preemption: bool,
}

/// What tells tasks apart that may not fit alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "each is a need of its own")]
pub(crate) struct Shape {
    pub(crate) slots: u32,
    pub(crate) instances: u32,
    pub(crate) is_connected: bool,
    pub(crate) is_exclusive: bool,
    pub(crate) on_dedicated_only: bool,
    pub(crate) is_manager: bool,
    /// Whether running tasks make room for it.
    pub(crate) displaces: bool,
}

/// A task that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: Box<str>,
    pub(crate) affinity: Option<Box<str>>,
}

/// A task that is on nodes.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) id: Box<str>,
    pub(crate) shape: Shape,
    pub(crate) node_ids: Box<[Box<str>]>,
}

/// When it is a job's turn: the first of these comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// The most urgent first.
    pub(crate) priority: Reverse<i32>,
    /// Whether its manager runs again.
    pub(crate) restarts: Reverse<bool>,
    /// Tasks on nodes, where jobs share.
    pub(crate) share: usize,
    /// When one of its tasks was last placed, where jobs share: none is always the last of its
    /// equals.
    pub(crate) served: u64,
    /// The store's key, which follows the order of creation.
    pub(crate) key: i64,
}

impl Shape {
    /// Whether small tasks could keep it from starting for ever: it needs more than any one slot
    /// that comes free.
    pub(crate) fn is_large(self) -> bool {
        self.slots > 1 || self.instances > 1 || self.is_exclusive
    }

    pub(crate) fn of(needs: &TaskNeeds, displaces: bool) -> Self {
        Self {
            is_manager: needs.is_manager,
            displaces,
            slots: needs.slots,
            instances: needs.instances,
            is_connected: needs.is_connected,
            is_exclusive: needs.is_exclusive,
            on_dedicated_only: needs.on_dedicated_only,
        }
    }
}

impl Job {
    pub(crate) fn new(pool: PoolName, terms: Terms) -> Self {
        Self {
            pool,
            terms,
            waiting: BTreeMap::new(),
            placed: BTreeMap::new(),
            excluded: BTreeSet::new(),
            queued: None,
            gives: None,
            runs: None,
            restarts: None,
            served: 0,
        }
    }

    /// Tasks that may start now, by the job's own limit.
    pub(crate) fn may_start(&self) -> usize {
        let limit =
            self.terms.parallel_tasks_max.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(0));
        if self.terms.is_open { limit.saturating_sub(self.placed.len()) } else { 0 }
    }

    /// Whether its tasks may start, and it has any.
    pub(crate) fn goes_on(&self) -> bool {
        self.terms.is_open && !(self.waiting.is_empty() && self.placed.is_empty())
    }

    /// When it is its turn, if any of its tasks may start.
    pub(crate) fn turn(&self, key: i64, order: JobDefaultOrder) -> Option<Turn> {
        let (share, served) = match order {
            JobDefaultOrder::None => (self.placed.len(), self.served),
            JobDefaultOrder::CreationTime => (0, 0),
        };
        let priority = Reverse(self.terms.priority);
        let restarts = Reverse(self.waiting.keys().any(|shape| shape.displaces));
        let may_start = self.may_start() > 0 && !self.waiting.is_empty();
        may_start.then_some(Turn { priority, restarts, share, served, key })
    }

    pub(crate) fn wait(&mut self, sequence: i64, shape: Shape, task: Waiting) {
        self.waiting.entry(shape).or_default().insert(sequence, task);
    }

    pub(crate) fn place(&mut self, sequence: i64, placed: Placed) {
        self.placed.insert(sequence, placed);
    }

    /// Forgets a task; gives what it took of which nodes.
    pub(crate) fn forget(&mut self, sequence: i64) -> Option<Placed> {
        self.waiting.retain(|_, tasks| {
            tasks.remove(&sequence);
            !tasks.is_empty()
        });
        self.placed.remove(&sequence)
    }

    /// Its place among the jobs whose tasks may give way: the least urgent comes first.
    pub(crate) fn giving(&self, key: i64) -> Option<(i32, i64)> {
        let gives = self.terms.allows_preemption && !self.placed.is_empty();
        gives.then_some((self.terms.priority, key))
    }

    /// Its place among the jobs with tasks on nodes: the least urgent comes first.
    pub(crate) fn running(&self, key: i64) -> Option<(i32, i64)> {
        (!self.placed.is_empty()).then_some((self.terms.priority, key))
    }

    /// All that is on nodes, in the order in which it was added.
    pub(crate) fn placed(&self) -> impl DoubleEndedIterator<Item = &Placed> {
        self.placed.values()
    }
}
