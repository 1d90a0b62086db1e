//! What agents report becomes state: many reports, one commit.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::container::ContainerInfo;
use kiln_domain::batch::gang::InstanceFact;
use kiln_domain::batch::node::{self, Node, NodeError, NodeFact, NodeLife, Treatment};
use kiln_domain::batch::pool::Pool;
use kiln_domain::batch::preparation::may_release;
use kiln_domain::batch::task::{self, Task, TaskFact, TaskLife, TaskState};
use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use kiln_wire::node::{AttemptId, AttemptKind, Outcome, Report, ToAgent};
use tracing::warn;

use crate::batch::{Here, Outbox, keep_task, leave_nodes};
use crate::preparation::Steps;
use crate::{gang, kept, pool_usage, preparation};

/// Whether a report tells anything that is kept: a task runs since it was assigned.
pub(super) fn is_kept(report: &Report) -> bool {
    !matches!(report, Report::Started { .. })
}

/// Takes in reports of a node's agent, in order, with what follows for agents.
pub(super) fn take(
    tx: &mut Tx<'_>,
    node_id: &str,
    reports: &[Report],
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let Some(node) = tx.node(node_id)? else { return Ok(()) };
    let mut life = node.life.clone();
    for report in reports {
        match report.clone() {
            Report::Booted { boot, is_fresh, .. } if boot == life.boot => {
                life = node::step(&life, NodeFact::Booted, now);
                life.quick_ends = 0;
                Steps::new(tx, now, outbox).on_booted(node_id, &mut life, is_fresh)?;
            }
            Report::BootBegan { boot, .. } if boot == life.boot => {
                life = node::step(&life, NodeFact::BootBegan, now);
            }
            Report::BootFailed { boot, message, code, details } if boot == life.boot => {
                warn!(node_id, message, "a node could not be made ready");
                let code = code.unwrap_or_else(|| "NodeBootFailed".to_owned());
                let error = NodeError { code, message, details };
                // What still runs there is not waited for.
                let lost = TaskFact::NodeLost;
                for attempt in take_tasks_off(tx, node_id, &mut life, &lost, now, outbox)? {
                    outbox.add(node_id, ToAgent::Stop { attempt });
                }
                life = node::step(&life, NodeFact::Failed(error), now);
            }
            Report::StartTask { boot, info } if boot == life.boot => {
                life = node::step(&life, NodeFact::StartTask(info), now);
            }
            // About a boot that is over.
            Report::BootBegan { .. }
            | Report::Booted { .. }
            | Report::BootFailed { .. }
            | Report::StartTask { .. } => {}
            Report::RetentionOver => life = node::step(&life, NodeFact::RetentionOver, now),
            Report::Started { .. } => {}
            Report::Contained { attempt, container } => contain(tx, node_id, &attempt, container)?,
            Report::Coordinated { attempt, .. } => {
                let here = Here { node_id, life: &mut life };
                gang::take(tx, here, &attempt, InstanceFact::Coordinated, now, outbox)?;
            }
            Report::Ended { attempt, outcome, usage, container, .. } => {
                if let Some(container) = container {
                    contain(tx, node_id, &attempt, container)?;
                }
                let here = Here { node_id, life: &mut life };
                end(tx, here, &attempt, (outcome, usage), now, outbox)?;
            }
        }
    }
    keep_node(tx, &node, &life)
}

/// An attempt ended on a node.
fn end(
    tx: &mut Tx<'_>,
    here: Here<'_>,
    attempt: &AttemptId,
    (outcome, usage): (Outcome, Option<Usage>),
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    match attempt.kind {
        AttemptKind::Task => end_attempt(tx, here, attempt, (outcome, usage), now, outbox),
        AttemptKind::Preparation | AttemptKind::Release => {
            Steps::new(tx, now, outbox).end_attempt(here.node_id, here.life, attempt, outcome)
        }
        AttemptKind::Subtask { .. } => {
            gang::take(tx, here, attempt, InstanceFact::Ended(outcome), now, outbox)
        }
    }
}

/// The command of an attempt runs or ran in this container on a node.
fn contain(
    tx: &mut Tx<'_>,
    node_id: &str,
    attempt: &AttemptId,
    container: ContainerInfo,
) -> Result<(), StoreError> {
    if matches!(attempt.kind, AttemptKind::Preparation | AttemptKind::Release) {
        return preparation::contain(tx, node_id, attempt, container);
    }
    let task = tx.task(attempt.job_key, &attempt.task_id)?;
    let is_current =
        |task: &Task| (task.sequence, task.life.attempt) == (attempt.sequence, attempt.attempt);
    let Some(task) = task.filter(is_current) else { return Ok(()) };
    let life = match attempt.kind {
        AttemptKind::Subtask { number } => {
            let gang = task.life.gang.clone().map(|gang| gang.contained(number, container));
            TaskLife { gang, ..task.life.clone() }
        }
        AttemptKind::Task | AttemptKind::Preparation | AttemptKind::Release => {
            TaskLife { container: Some(container), ..task.life.clone() }
        }
    };
    tx.update_task(&task, &life)
}

fn end_attempt(
    tx: &mut Tx<'_>,
    here: Here<'_>,
    attempt: &AttemptId,
    (outcome, usage): (Outcome, Option<Usage>),
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let task = tx.task(attempt.job_key, &attempt.task_id)?;
    let task = task.filter(|task| task.sequence == attempt.sequence);
    let Some(task) = task else { return Ok(()) };
    let is_here = task.life.place.as_ref().is_some_and(|place| place.node_id == here.node_id);
    let is_open = matches!(task.life.state, TaskState::Preparing | TaskState::Running);
    if task.life.attempt != attempt.attempt || !is_here || !is_open {
        // The task went on without this run; what the run took it took.
        let counted = usage.and_then(|usage| task.life.with_usage(attempt.attempt, usage, now));
        return counted.map_or(Ok(()), |life| tx.update_task(&task, &life));
    }
    let Ok(life) = task::step(&task, TaskFact::Ended(outcome), now) else { return Ok(()) };
    let length = || task.life.started_at.map_or(Span::ZERO, |started| now.span_since(started));
    let usage = usage.unwrap_or_else(|| Usage::of_length(length()));
    let life = life.with_usage(attempt.attempt, usage, now).unwrap_or(life);
    leave_nodes(tx, &task, &life, Some(here), now, outbox)?;
    keep_task(tx, &task, &life, now)
}

/// The agent of a node is gone, and with it what ran there: its tasks wait again.
pub(crate) fn lose_tasks(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    take_tasks_off(tx, node_id, node_life, &TaskFact::NodeLost, now, outbox).map(drop)
}

/// Does with the tasks of a node what an operation asks for; gives the runs that this ends.
pub(crate) fn treat_tasks(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    treatment: Treatment,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<Vec<AttemptId>, StoreError> {
    match end_of_tasks(treatment) {
        Some(fact) => take_tasks_off(tx, node_id, node_life, &fact, now, outbox),
        None => Ok(Vec::new()),
    }
}

/// How an operation ends the tasks that run; `None` when it waits for them.
pub fn end_of_tasks(treatment: Treatment) -> Option<TaskFact> {
    match treatment {
        Treatment::Requeue => Some(TaskFact::Requeued),
        Treatment::Terminate => Some(TaskFact::Terminated),
        Treatment::TaskCompletion | Treatment::RetainedData => None,
    }
}

/// Takes all tasks off a node, by the same fact; gives the runs that this ends there. What they
/// run on other nodes is stopped.
pub(crate) fn take_tasks_off(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    fact: &TaskFact,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<Vec<AttemptId>, StoreError> {
    let mut ended = Vec::new();
    let primaries = tx.tasks_of_node(node_id)?;
    let others = tx.gangs_of_node(node_id)?.into_iter();
    let others = others.filter(|task| task.life.node_ids().first() != Some(&node_id));
    for task in primaries.into_iter().chain(others) {
        let Ok(life) = task::step(&task, fact.clone(), now) else { continue };
        let here = Some(Here { node_id, life: node_life });
        leave_nodes(tx, &task, &life, here, now, outbox)?;
        keep_task(tx, &task, &life, now)?;
        ended.push(AttemptId::of(&task));
    }
    Ok(ended)
}

/// A node begins a boot, told by the fact that `fact` makes, with the start task that its pool
/// has now.
pub fn begin_boot(
    tx: &mut Tx<'_>,
    node: &Node,
    pool: &Pool,
    life: &NodeLife,
    fact: impl Fn(bool) -> NodeFact,
    now: Timestamp,
) -> Result<NodeLife, StoreError> {
    let (start_task, must_succeed) = kept::start_task_of(pool)?;
    let mut after = node::step(life, fact(must_succeed), now);
    if after.boot != life.boot {
        after.certificates = kept::pool_spec(pool)?.certificate_references;
        tx.update_node_start_task(&node.id, start_task.as_deref())?;
    }
    Ok(after)
}

/// Keeps what has become of a node, and lets those hear of it who act on it.
pub fn keep_node(tx: &mut Tx<'_>, node: &Node, life: &NodeLife) -> Result<(), StoreError> {
    if *life == node.life {
        return Ok(());
    }
    tx.update_node(&node.id, life)?;
    if may_release(&node.life) && !may_release(life) {
        // It is told nothing.
        Steps::new(tx, life.state_at, &mut Outbox::default()).on_node_lost(&node.id)?;
    }
    let (pool_key, slots) = (node.pool_key, life.open_slots());
    pool_usage::on_node(tx, pool_key, &node.life, Some(life), life.state_at)?;
    if slots != node.life.open_slots() {
        let (node_id, is_dedicated) = (node.id.clone(), life.is_dedicated);
        tx.announce(Change::Node { pool_key, node_id, slots, is_dedicated });
    }
    if life.pending != node.life.pending || life.wants_agent() != node.life.wants_agent() {
        tx.announce(Change::PoolSize { pool_key });
    }
    Ok(())
}
