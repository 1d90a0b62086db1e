//! Tasks that run on several nodes at once: what their nodes are told, and what they tell.

use kiln_domain::batch::gang::{Gang, InstanceFact, InstanceState};
use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::task::{self, Task, TaskFact, TaskSpec};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};
use kiln_wire::batch::task::{directory, instance_directory};
use kiln_wire::node::{AttemptId, AttemptKind, Instance, Run, ToAgent};

use crate::batch::{Here, Outbox, keep_task, leave_nodes};
use crate::dispatch::{run_message, run_of};
use crate::kept;

/// A command that does nothing: old clients need not name one that coordinates.
const NOTHING: &str = "true";

/// The attempts of coordination commands that nodes have under way for a task, with the nodes.
pub(crate) fn attempts(task: &Task) -> impl Iterator<Item = (AttemptId, &str)> {
    let gang = task.life.gang.iter().filter(|_| task.life.is_on_nodes());
    gang.flat_map(Gang::instances)
        .filter(|(_, instance)| instance.state == InstanceState::Running)
        .map(|(number, instance)| {
            let kind = AttemptKind::Subtask { number };
            (AttemptId { kind, ..AttemptId::of(task) }, instance.node_id.as_str())
        })
}

/// The coordination commands that a node should have under way, with what runs them.
pub(crate) fn orders(
    view: &View<'_>,
    node_id: &str,
) -> Result<Vec<(AttemptId, ToAgent)>, StoreError> {
    let mut orders = Vec::new();
    for task in view.gangs_of_node(node_id)? {
        let Some(job) = view.job_by_key(task.job_key)? else { continue };
        let spec = kept::job_spec(&job)?;
        for (attempt, _) in attempts(&task).filter(|(_, it)| *it == node_id) {
            orders.extend(coordination(&job, &spec, &task, &attempt).map(|run| (attempt, run)));
        }
    }
    Ok(orders)
}

/// Tells the nodes of a task, or only one of them, to begin, as far as they are prepared.
pub(crate) fn begin(
    job: &Job,
    spec: &JobSpec,
    task: &Task,
    only: Option<&str>,
    outbox: &mut Outbox,
) {
    for (attempt, node_id) in attempts(task).filter(|(_, it)| only.is_none_or(|only| only == *it)) {
        if let Some(run) = coordination(job, spec, task, &attempt) {
            outbox.add(node_id, run);
        }
    }
}

/// The command that runs the coordination command of an instance; `None` when the task's
/// document is damaged.
pub(crate) fn coordination(
    job: &Job,
    spec: &JobSpec,
    task: &Task,
    attempt: &AttemptId,
) -> Option<ToAgent> {
    let AttemptKind::Subtask { number } = attempt.kind else { return None };
    let run = run_of(job, spec, task)?;
    let settings = run.task.multi_instance_settings.clone()?;
    let instance = Instance {
        common_resource_files: settings.common_resource_files,
        ..instance(job, task, number)?
    };
    let is_primary = number == 0;
    let command_line = settings.coordination_command_line.filter(|line| !line.is_empty());
    Some(ToAgent::Run(Box::new(Run {
        attempt: attempt.clone(),
        directory: instance_directory(&job.id, &task.id, number),
        task: TaskSpec {
            command_line: command_line.unwrap_or_else(|| NOTHING.to_owned()),
            resource_files: if is_primary { run.task.resource_files } else { Vec::new() },
            output_files: Vec::new(),
            multi_instance_settings: None,
            ..run.task
        },
        instance: Some(instance),
        ..run
    })))
}

/// The main command of a task, which is as `run` says unless it has instances; `None` while
/// their coordination commands have not all ended well.
pub(crate) fn main_command(job: &Job, task: &Task, run: Run) -> Option<Run> {
    let Some(gang) = &task.life.gang else { return Some(run) };
    if !gang.is_coordinated() {
        return None;
    }
    // The coordination command of the primary brought the files.
    let task_spec =
        TaskSpec { resource_files: Vec::new(), multi_instance_settings: None, ..run.task };
    Some(Run { instance: instance(job, task, 0), task: task_spec, ..run })
}

fn instance(job: &Job, task: &Task, number: u32) -> Option<Instance> {
    let gang = task.life.gang.as_ref()?;
    Some(Instance {
        number,
        addresses: gang.instances().map(|(_, it)| it.address.clone()).collect(),
        shared_directory: directory(&job.id, &task.id),
        common_resource_files: Vec::new(),
    })
}

/// A coordination command ended on a node: the last that ended well lets the main command
/// begin, any that failed fails the task.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    here: Here<'_>,
    attempt: &AttemptId,
    fact: InstanceFact,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let AttemptKind::Subtask { number } = attempt.kind else { return Ok(()) };
    let Some(task) = tx.task(attempt.job_key, &attempt.task_id)? else { return Ok(()) };
    let is_current = attempts(&task).any(|(it, node_id)| it == *attempt && node_id == here.node_id);
    if !is_current {
        return Ok(());
    }
    let Ok(life) = task::step(&task, TaskFact::Instance { number, fact }, now) else {
        return Ok(());
    };
    leave_nodes(tx, &task, &life, Some(here), now, outbox)?;
    keep_task(tx, &task, &life, now)?;
    let is_coordinated = |task: &Task| task.life.gang.as_ref().is_some_and(Gang::is_coordinated);
    let before = is_coordinated(&task);
    let task = Task { life, ..task };
    if !before && is_coordinated(&task) {
        begin_main_command(tx, &task, outbox)?;
    }
    Ok(())
}

fn begin_main_command(tx: &Tx<'_>, task: &Task, outbox: &mut Outbox) -> Result<(), StoreError> {
    let Some(job) = tx.job_by_key(task.job_key)? else { return Ok(()) };
    let run = run_message(&job, &kept::job_spec(&job)?, task);
    if let (Some(place), Some(run)) = (&task.life.place, run) {
        outbox.add(&place.node_id, run);
    }
    Ok(())
}
