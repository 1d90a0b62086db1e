//! Holds the state against what is known of it.

use std::collections::{BTreeMap, BTreeSet};

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{Job, JobState};
use kiln_domain::batch::job_schedule::JobSchedule;
use kiln_domain::batch::node::Node;
use kiln_domain::batch::task::{Task, TaskState};
use kiln_server::accounts::DEV_BATCH_ACCOUNT;
use kiln_store::{StoreError, TaskCounts, TaskRange, View};

use super::expected::{ExpectedJob, Known};
use super::{State, reached, shadow};
use crate::job_schedule::{self, MANAGER};
use crate::world::World;

/// Jobs of a run at the most.
const JOBS_MAX: usize = 1_000;
/// Nodes that a job has used at the most.
const NODES_MAX: usize = 10_000;
/// Tasks of a job at the most.
const TASKS_MAX: usize = 10_000;

/// All there is.
struct Picture {
    pools: BTreeSet<String>,
    nodes: Vec<Node>,
    jobs: Vec<(Job, TaskCounts, Vec<Task>)>,
    schedules: Vec<JobSchedule>,
}

/// Looks at what a commit changed.
pub(super) fn at_changes(
    state: &mut State,
    world: &World,
    changes: &[Change],
) -> Result<(), String> {
    let Some(life) = world.life() else { return Ok(()) };
    let tasks: BTreeSet<_> = changes
        .iter()
        .filter_map(|change| {
            let Change::Task { job_key, task_id, .. } = change else { return None };
            Some((*job_key, task_id.as_str()))
        })
        .collect();
    let read = life.store.read(|view| {
        let mut found = Vec::new();
        for (job_key, task_id) in tasks {
            if let (Some(job), Some(task)) =
                (view.job_by_key(job_key)?, view.task(job_key, task_id)?)
            {
                found.push((job, task));
            }
        }
        Ok::<_, StoreError>((found, jobs(view)?))
    });
    let (tasks, jobs) = read.map_err(|error| format!("the store can not be read: {error}"))?;
    for (job, task) in &tasks {
        check_task(state, job, task)?;
    }
    for job in &jobs {
        state.reached.insert(reached::job(job.life.state));
        shadow::check_job(job)?;
    }
    Ok(())
}

/// Looks at all there is.
pub(super) fn at_all(state: &mut State, world: &World) -> Result<(), String> {
    let Some(life) = world.life() else { return Ok(()) };
    let read = life.store.read(|view| picture(view, state));
    let picture = read.map_err(|error| format!("the store can not be read: {error}"))?;
    for (job, counts, tasks) in &picture.jobs {
        for task in tasks {
            check_task(state, job, task)?;
        }
        check_counts(job, counts, tasks)?;
    }
    check_nodes(&picture)?;
    check_schedules(&picture)?;
    check_expected(state, &picture)
}

fn jobs(view: &View<'_>) -> Result<Vec<Job>, StoreError> {
    view.jobs_after(DEV_BATCH_ACCOUNT, "", JOBS_MAX)
}

fn picture(view: &View<'_>, state: &mut State) -> Result<Picture, StoreError> {
    let schedules = view.job_schedules_after(DEV_BATCH_ACCOUNT, "", JOBS_MAX)?;
    for schedule in &schedules {
        state.reached.insert(reached::job_schedule(schedule.life.state));
    }
    let mut picture =
        Picture { pools: BTreeSet::new(), nodes: Vec::new(), jobs: Vec::new(), schedules };
    for pool in view.all_pools()? {
        state.reached.insert(reached::pool(pool.life.state));
        state.reached.insert(reached::allocation(pool.life.allocation));
        for node in view.nodes_of_pool(pool.key)? {
            state.reached.insert(reached::node(node.life.state));
            picture.nodes.push(node);
        }
        picture.pools.insert(pool.id);
    }
    for job in jobs(view)? {
        let counts = view.task_counts(job.key)?;
        let tasks = view.tasks_in(job.key, &TaskRange::ALL, TASKS_MAX)?;
        for known in view.preparations_after(job.key, "", NODES_MAX)? {
            state.reached.insert(reached::preparation(known.life.state));
        }
        picture.jobs.push((job, counts, tasks));
    }
    Ok(picture)
}

fn check_task(state: &mut State, job: &Job, task: &Task) -> Result<(), String> {
    state.reached.insert(reached::task(task.life.state));
    let expected = state.expected.jobs.get(&job.id).and_then(|job| job.tasks.get(&task.id));
    // Of a job that is being removed nothing is known any more.
    let may_run_again = expected.is_none_or(|it| it.may_run_again);
    let is_ended = expected.is_some_and(|it| it.is_ended);
    let checked = state.shadow.check(task, may_run_again).and_then(|()| state.truth.check(task));
    let checked = checked.and_then(|()| {
        if is_ended && task.life.state != TaskState::Completed {
            return Err("a client was told that it has ended".to_owned());
        }
        Ok(())
    });
    checked.map_err(|broken| format!("task {}/{}: {broken}: {:?}", job.id, task.id, task.life))
}

fn check_counts(job: &Job, counts: &TaskCounts, tasks: &[Task]) -> Result<(), String> {
    let count = |is_so: fn(&Task) -> bool| {
        i64::try_from(tasks.iter().filter(|it| is_so(it)).count()).unwrap_or(-1)
    };
    let found = (
        count(|it| it.life.state == TaskState::Active),
        count(|it| it.life.is_on_nodes()),
        count(|it| it.life.has_succeeded()),
        count(|it| it.life.state == TaskState::Completed && !it.life.has_succeeded()),
    );
    let kept =
        (counts.active.tasks, counts.running.tasks, counts.succeeded.tasks, counts.failed.tasks);
    if found == kept {
        Ok(())
    } else {
        Err(format!("job {} has {found:?} tasks, and {kept:?} are counted", job.id))
    }
}

fn check_nodes(picture: &Picture) -> Result<(), String> {
    let mut used: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let tasks = picture.jobs.iter().flat_map(|(_, _, tasks)| tasks);
    for task in tasks.filter(|task| task.life.is_on_nodes()) {
        for node_id in task.life.node_ids() {
            let (n_tasks, n_slots) = used.entry(node_id).or_default();
            *n_tasks += 1;
            *n_slots += task.needs.slots;
        }
    }
    for node in &picture.nodes {
        let found = used.remove(node.id.as_str()).unwrap_or_default();
        let kept = (node.life.tasks_running, node.life.slots_running);
        if found != kept {
            return Err(format!("{kept:?} is counted of {found:?} on {:?}", node.life));
        }
        if found.1 > node.life.slots {
            return Err(format!("{} slots are used of {:?}", found.1, node.life));
        }
    }
    if used.is_empty() { Ok(()) } else { Err(format!("tasks are on no nodes: {used:?}")) }
}

/// A schedule has one job at a time, each with what its specification gives it.
fn check_schedules(picture: &Picture) -> Result<(), String> {
    for schedule in &picture.schedules {
        let its = || picture.jobs.iter().filter(|(job, ..)| job.schedule_key == Some(schedule.key));
        let is_open =
            |job: &Job| !matches!(job.life.state, JobState::Completed | JobState::Deleting);
        let open: Vec<_> = its().filter(|(job, ..)| is_open(job)).map(|(it, ..)| &it.id).collect();
        if open.len() > 1 {
            return Err(format!("job schedule {} has these jobs at once: {open:?}", schedule.id));
        }
        if its().count() > usize::try_from(schedule.life.jobs_made).unwrap_or(usize::MAX) {
            return Err(format!("job schedule {} has more jobs than it made", schedule.id));
        }
        let has_manager = |tasks: &[Task]| tasks.iter().any(|task| task.id == MANAGER);
        if job_schedule::has_manager(&schedule.document)
            && let Some((job, ..)) = its().find(|(job, _, it)| is_open(job) && !has_manager(it))
        {
            return Err(format!("job {} has lost its job manager", job.id));
        }
    }
    Ok(())
}

fn check_expected(state: &State, picture: &Picture) -> Result<(), String> {
    for (pool, known) in &state.expected.pools {
        check_there(*known, picture.pools.contains(pool), || format!("pool {pool}"))?;
    }
    for (schedule, known) in &state.expected.schedules {
        let is_there = picture.schedules.iter().any(|it| it.id == *schedule);
        check_there(*known, is_there, || format!("job schedule {schedule}"))?;
    }
    for (job_id, expected) in &state.expected.jobs {
        let found = picture.jobs.iter().find(|(job, ..)| job.id == *job_id);
        check_there(expected.known, found.is_some(), || format!("job {job_id}"))?;
        if let Some((job, _, tasks)) = found {
            check_tasks(job, expected, tasks)?;
        }
    }
    Ok(())
}

fn check_tasks(job: &Job, expected: &ExpectedJob, tasks: &[Task]) -> Result<(), String> {
    let found: BTreeSet<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    for (task_id, expected) in &expected.tasks {
        let name = || format!("task {}/{task_id}", job.id);
        check_there(expected.known, found.contains(task_id.as_str()), name)?;
    }
    Ok(())
}

fn check_there(known: Known, is_there: bool, name: impl Fn() -> String) -> Result<(), String> {
    match (known, is_there) {
        (Known::There, false) => Err(format!("{} is lost, which was acknowledged", name())),
        (Known::Gone, true) => Err(format!("{} is back, which was removed", name())),
        (Known::Open, _) | (Known::There, true) | (Known::Gone, false) => Ok(()),
    }
}
