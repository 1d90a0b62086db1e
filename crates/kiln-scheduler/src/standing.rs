//! How a task that waits stands with each node of its pool: what [`crate::plan`] sees, told to
//! people.

use std::collections::BTreeMap;

use kiln_domain::batch::needs::TaskNeeds;

use crate::Board;
use crate::job::Shape;
use crate::pool::Room;

/// How a task stands with the nodes of its pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the pool takes tasks of this kind at all: it may have to connect its nodes.
    pub is_accepted: bool,
    /// Tasks of its job on nodes.
    pub n_placed: usize,
    /// Those that there may be.
    pub parallel_tasks_max: Option<u32>,
    /// Jobs of the pool whose turn comes before that of its job.
    pub n_jobs_before: usize,
    /// Whether room of the pool is kept for another task, which needs more of it than most.
    pub is_room_kept: bool,
    /// The nodes by their ids.
    pub nodes: BTreeMap<String, NodeStanding>,
}

/// How a task stands with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStanding {
    /// Slots that no task takes.
    pub free_slots: u32,
    /// Whether the task fits.
    pub fit: Fit,
}

/// Whether a task fits on a node now, or why not; the first reason of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// There is room for it.
    Fits,
    /// The node takes no tasks.
    Closed,
    /// It takes none of this job, because it could not be prepared for it.
    Excluded,
    /// The task wants a dedicated node, and this is a Spot one.
    Spot,
    /// The task takes more slots than the node has.
    TooSmall,
    /// A task on it tolerates no other.
    Reserved,
    /// The task tolerates no other, and there are some.
    Occupied,
    /// Too many of its slots are in use.
    Full,
}

/// How a task of the job `job_key` with these needs stands; `None` when its pool or the job is
/// not there.
pub fn standing(board: &Board, job_key: i64, needs: &TaskNeeds) -> Option<Standing> {
    let job = board.jobs.get(&job_key)?;
    let pool_key = board.pool_key(&job.pool)?;
    let pool = board.pools.get(&pool_key)?;
    let shape = Shape::of(needs, false);
    let nodes = pool.rooms(shape).map(|(id, room)| {
        let is_excluded = job.excluded.contains(id);
        (id.to_owned(), of_node(room, shape, is_excluded))
    });
    let before = board.turns_of(pool).take_while(|turn| job.queued.is_none_or(|own| *turn < own));
    Some(Standing {
        is_accepted: !shape.is_connected || pool.is_connected,
        n_placed: job.placed().count(),
        parallel_tasks_max: job.terms.parallel_tasks_max,
        n_jobs_before: before.filter(|turn| turn.key != job_key).count(),
        is_room_kept: board.held_in(pool_key).is_some_and(|held| held.shape != shape),
        nodes: nodes.collect(),
    })
}

fn of_node(room: Room, shape: Shape, is_excluded: bool) -> NodeStanding {
    let fit = if room.slots == 0 {
        Fit::Closed
    } else if is_excluded {
        Fit::Excluded
    } else if shape.on_dedicated_only && !room.is_dedicated {
        Fit::Spot
    } else if room.slots < shape.slots {
        Fit::TooSmall
    } else if room.is_reserved {
        Fit::Reserved
    } else if room.free < shape.slots {
        Fit::Full
    } else if room.is_suitable {
        Fit::Fits
    } else {
        Fit::Occupied
    };
    NodeStanding { free_slots: room.free, fit }
}
