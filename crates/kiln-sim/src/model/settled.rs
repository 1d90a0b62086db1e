//! Work never stops for ever: what is still to be done once nothing goes wrong any more.

use kiln_domain::batch::job::{Job, JobState};
use kiln_domain::batch::job_schedule::{JobSchedule, JobScheduleState};
use kiln_domain::batch::node::{Node, NodeState};
use kiln_domain::batch::pool::{AllocationState, Pool, PoolState};
use kiln_domain::batch::task::{Task, TaskState};
use kiln_server::accounts::DEV_BATCH_ACCOUNT;
use kiln_store::{StoreError, TaskRange, View};

use crate::world::{World, lock};

/// Jobs and tasks of a run at the most.
const MANY: usize = 10_000;

/// What is still to be done; nothing when all has settled.
pub(crate) fn settled(world: &World) -> Vec<String> {
    let Some(life) = world.life() else { return vec!["the server is down".to_owned()] };
    let left = life.store.read(|view| {
        let mut left = Vec::new();
        let pools = view.all_pools()?;
        for pool in &pools {
            let nodes = view.nodes_of_pool(pool.key)?;
            left.extend(unsettled_pool(pool, &nodes));
        }
        for schedule in view.job_schedules_after(DEV_BATCH_ACCOUNT, "", MANY)? {
            left.extend(unsettled_schedule(&schedule));
        }
        for job in view.jobs_after(DEV_BATCH_ACCOUNT, "", MANY)? {
            left.extend(unsettled_job(view, &job, &pools)?);
            let tasks = view.tasks_in(job.key, &TaskRange::ALL, MANY)?;
            left.extend(held_back(world, &job, &tasks));
        }
        Ok::<_, StoreError>(left)
    });
    left.unwrap_or_else(|error| vec![format!("the store can not be read: {error}")])
}

/// What is still there; nothing when all is gone.
pub(crate) fn empty(world: &World) -> Vec<String> {
    let Some(life) = world.life() else { return vec!["the server is down".to_owned()] };
    let left = life.store.read(|view| {
        let pools = view.all_pools()?.into_iter().map(|pool| format!("pool {}", pool.id));
        let jobs = view.jobs_after(DEV_BATCH_ACCOUNT, "", MANY)?.into_iter();
        let jobs = jobs.map(|job| format!("job {} is {:?}", job.id, job.life.state));
        let schedules = view.job_schedules_after(DEV_BATCH_ACCOUNT, "", MANY)?.into_iter();
        let schedules = schedules.map(|it| format!("job schedule {} is {:?}", it.id, it.life));
        Ok::<_, StoreError>(pools.chain(jobs).chain(schedules).collect::<Vec<_>>())
    });
    let mut left = left.unwrap_or_else(|error| vec![format!("the store can not be read: {error}")]);
    left.extend(world.machines.living().into_iter().map(|node| format!("the agent of {node}")));
    left
}

fn unsettled_pool(pool: &Pool, nodes: &[Node]) -> Vec<String> {
    let mut left = Vec::new();
    let is_steady =
        pool.life.state == PoolState::Active && pool.life.allocation == AllocationState::Steady;
    if !is_steady {
        left.push(format!("pool {} is {:?}", pool.id, pool.life));
    }
    for node in nodes {
        let rests = match node.life.state {
            NodeState::Idle
            | NodeState::Running
            | NodeState::Offline
            | NodeState::StartTaskFailed
            | NodeState::Unusable
            | NodeState::Deallocated => node.life.pending.is_none(),
            NodeState::Creating
            | NodeState::Starting
            | NodeState::WaitingForStartTask
            | NodeState::Rebooting
            | NodeState::Reimaging
            | NodeState::UpgradingOs
            | NodeState::LeavingPool
            | NodeState::Preempted
            | NodeState::Unknown
            | NodeState::Deallocating => false,
        };
        if !rests {
            left.push(format!("node {} is {:?}", node.id, node.life));
        }
    }
    left
}

fn unsettled_schedule(schedule: &JobSchedule) -> Option<String> {
    use JobScheduleState as S;
    match schedule.life.state {
        S::Completed | S::Disabled => None,
        // A client switches it off.
        S::Active | S::Terminating | S::Deleting => {
            Some(format!("job schedule {} is {:?}", schedule.id, schedule.life))
        }
    }
}

fn unsettled_job(view: &View<'_>, job: &Job, pools: &[Pool]) -> Result<Vec<String>, StoreError> {
    let rests = match job.life.state {
        JobState::Active | JobState::Disabled | JobState::Completed => true,
        JobState::Disabling | JobState::Enabling | JobState::Terminating | JobState::Deleting => {
            false
        }
    };
    if !rests {
        return Ok(vec![format!("job {} is {:?}", job.id, job.life)]);
    }
    let Some(pool) = pools.iter().find(|pool| pool.id == job.life.pool_id) else {
        return Ok(Vec::new());
    };
    // Tasks of a job that no node takes wait.
    let excluded = view.excluded_nodes(job.key)?;
    let nodes = view.nodes_of_pool(pool.key)?;
    let n_takers = nodes
        .iter()
        .filter(|node| node.life.open_slots() > 0 && !excluded.contains(&node.id))
        .count();
    let tasks = view.tasks_in(job.key, &TaskRange::ALL, MANY)?;
    let is_due = |task: &&Task| match task.life.state {
        TaskState::Completed => false,
        TaskState::Preparing | TaskState::Running => true,
        TaskState::Active => {
            let n_wanted = usize::try_from(task.needs.instances).unwrap_or(usize::MAX);
            job.life.state == JobState::Active && task.is_ready() && n_takers >= n_wanted
        }
    };
    let due = tasks.iter().filter(is_due);
    Ok(due.map(|task| format!("task {}/{} is {task:?}", job.id, task.id)).collect())
}

/// Tasks that wait for others, though those have ended well.
fn held_back(world: &World, job: &Job, tasks: &[Task]) -> Vec<String> {
    let state = lock(&world.model.0);
    let Some(expected) = state.expected.jobs.get(&job.id) else { return Vec::new() };
    let has_succeeded =
        |id: &String| tasks.iter().any(|task| task.id == *id && task.life.has_succeeded());
    let is_held = |task: &&Task| {
        let depends_on = expected.tasks.get(&task.id).map(|it| &it.depends_on);
        !task.is_ready() && depends_on.is_some_and(|it| it.iter().all(has_succeeded))
    };
    let held = tasks.iter().filter(is_held);
    held.map(|task| format!("task {}/{} is held back", job.id, task.id)).collect()
}
