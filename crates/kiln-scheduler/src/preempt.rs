//! Room for tasks of urgent jobs, at the cost of tasks whose jobs allow that.

use std::collections::{BTreeMap, BTreeSet};

use crate::Board;
use crate::job::{Job, Placed, Shape};
use crate::pool::{Places, Pool};

/// Running tasks that a plan looks at as ones that may give way.
const GIVERS_LOOKED_AT_MAX: usize = 4096;

/// A running task is to give way to one of a job that comes before its own, or to a job manager
/// that runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preemption {
    /// The store's key of the job.
    pub job_key: i64,
    /// The task's id.
    pub task_id: String,
    /// Whether it is for a job manager, for which its job need not allow it.
    pub is_displaced: bool,
}

/// The running tasks of a pool that may give way: of the least urgent jobs first, and of a job
/// those first that were added last.
pub(crate) struct Givers<'b> {
    board: &'b Board,
    pool: &'b Pool,
    /// The priority of the least urgent job that has any.
    least: Option<i32>,
    /// Looked at once they are asked for.
    tasks: Option<Vec<Giver<'b>>>,
}

struct Giver<'b> {
    priority: i32,
    job_key: i64,
    placed: &'b Placed,
    /// Whether the plan takes it off its nodes.
    is_taken: bool,
}

/// What of a node would come free.
#[derive(Default)]
struct Freed {
    /// Indexes of the tasks that give way.
    givers: Vec<usize>,
    shapes: Vec<Shape>,
}

impl<'b> Givers<'b> {
    pub(crate) fn of(board: &'b Board, pool: &'b Pool) -> Self {
        let least = board.givers_of(pool).next().map(|(priority, ..)| priority);
        Self { board, pool, least, tasks: None }
    }

    /// Whether any may give way to tasks of a job of this priority.
    pub(crate) fn yield_to(&self, priority: i32) -> bool {
        self.least.is_some_and(|least| least < priority)
    }

    fn look(&self) -> Vec<Giver<'b>> {
        tasks_of(self.board.givers_of(self.pool)).take(GIVERS_LOOKED_AT_MAX).collect()
    }

    /// Sees to room for a task of a job of this priority: its nodes are reserved for it. The
    /// tasks that give way for that; `None` when that would not do.
    pub(crate) fn give_way(
        &mut self,
        places: &mut Places<'_>,
        priority: i32,
        shape: Shape,
        excluded: &BTreeSet<Box<str>>,
    ) -> Option<Vec<Preemption>> {
        if shape.displaces {
            return self.displace(places, priority, shape, excluded);
        }
        if !self.yield_to(priority) {
            return None;
        }
        let mut tasks = self.tasks.take().unwrap_or_else(|| self.look());
        let leaving = leaving_for(&tasks, places, |of| of < priority, shape, excluded);
        let preemptions = take(&mut tasks, leaving, false);
        self.tasks = Some(tasks);
        (!preemptions.is_empty()).then_some(preemptions)
    }

    /// Sees to room for a job manager that runs again: any tasks make room for it but those of
    /// more urgent jobs, and other managers.
    fn displace(
        &self,
        places: &mut Places<'_>,
        priority: i32,
        shape: Shape,
        excluded: &BTreeSet<Box<str>>,
    ) -> Option<Vec<Preemption>> {
        let tasks = tasks_of(self.board.running_of(self.pool));
        let plain = tasks.filter(|giver| !giver.placed.shape.is_manager);
        let mut tasks: Vec<_> = plain.take(GIVERS_LOOKED_AT_MAX).collect();
        let leaving = leaving_for(&tasks, places, |of| of <= priority, shape, excluded);
        let preemptions = take(&mut tasks, leaving, true);
        (!preemptions.is_empty()).then_some(preemptions)
    }
}

/// The tasks on nodes of some jobs, of each the newest first.
fn tasks_of<'b>(
    jobs: impl Iterator<Item = (i32, i64, &'b Job)>,
) -> impl Iterator<Item = Giver<'b>> {
    jobs.flat_map(|(priority, job_key, job)| {
        let newest_first = job.placed().rev();
        newest_first.map(move |placed| Giver { priority, job_key, placed, is_taken: false })
    })
}

/// Takes some of the tasks, by their index, off their nodes.
fn take(
    tasks: &mut [Giver<'_>],
    leaving: Option<BTreeSet<usize>>,
    is_displaced: bool,
) -> Vec<Preemption> {
    let taken = leaving.into_iter().flatten().filter_map(|idx| {
        let giver = tasks.get_mut(idx)?;
        giver.is_taken = true;
        let (job_key, task_id) = (giver.job_key, giver.placed.id.to_string());
        Some(Preemption { job_key, task_id, is_displaced })
    });
    taken.collect()
}

/// Which of the tasks, by their index, must leave so that there is room for a task of this
/// shape; its nodes are reserved then.
fn leaving_for(
    tasks: &[Giver<'_>],
    places: &mut Places<'_>,
    yields: impl Fn(i32) -> bool,
    shape: Shape,
    excluded: &BTreeSet<Box<str>>,
) -> Option<BTreeSet<usize>> {
    let wanted = usize::try_from(shape.instances).ok()?;
    let mut chosen: BTreeSet<String> = places.with_room(shape, excluded).take(wanted).collect();
    let mut freed: BTreeMap<&str, Freed> = BTreeMap::new();
    let mut leaving: BTreeSet<usize> = BTreeSet::new();
    for (idx, giver) in tasks.iter().enumerate() {
        if chosen.len() >= wanted || !yields(giver.priority) {
            break;
        }
        for node_id in giver.placed.node_ids.iter().filter(|_| !giver.is_taken) {
            if excluded.contains(node_id) || chosen.contains(&**node_id) {
                continue;
            }
            let node = freed.entry(node_id).or_default();
            node.givers.push(idx);
            node.shapes.push(giver.placed.shape);
            if places.would_fit(node_id, shape, &node.shapes) {
                node.spare_some(places, node_id, shape);
                leaving.extend(&node.givers);
                chosen.insert(node_id.to_string());
            }
        }
    }
    if chosen.len() < wanted {
        return None;
    }
    places.reserve(chosen.iter().map(String::as_str));
    Some(leaving)
}

impl Freed {
    /// Leaves those tasks alone without which there is room as well: a large one that came last
    /// may do where small ones did not.
    fn spare_some(&mut self, places: &Places<'_>, node_id: &str, shape: Shape) {
        let mut idx = 0;
        while idx < self.givers.len() {
            let (giver, spared) = (self.givers.remove(idx), self.shapes.remove(idx));
            if !places.would_fit(node_id, shape, &self.shapes) {
                self.givers.insert(idx, giver);
                self.shapes.insert(idx, spared);
                idx += 1;
            }
        }
    }
}
