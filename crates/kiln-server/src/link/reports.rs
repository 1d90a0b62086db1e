//! What agents report becomes state: many reports, one commit.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{self, Node, NodeError, NodeFact, NodeLife};
use kiln_domain::batch::preparation::may_release;
use kiln_domain::batch::task::{self, Task, TaskFact, TaskLife, TaskState};
use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use kiln_wire::node::{AttemptId, AttemptKind, Outcome, Report};
use tracing::warn;

use crate::batch::Outbox;
use crate::dispatch::task_change;
use crate::preparation::Steps;

/// Takes in reports of a node's agent, in order; gives what follows for agents.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    node_id: &str,
    reports: Vec<Report>,
    now: Timestamp,
) -> Result<Outbox, StoreError> {
    let mut outbox = Outbox::default();
    let Some(node) = tx.node(node_id)? else { return Ok(outbox) };
    let mut life = node.life.clone();
    for report in reports {
        match report {
            Report::Booted { boot, is_fresh, .. } if boot == life.boot => {
                life = node::step(&life, NodeFact::Booted, now);
                Steps::new(tx, now, &mut outbox).on_booted(node_id, &mut life, is_fresh)?;
            }
            Report::BootFailed { boot, message } if boot == life.boot => {
                warn!(node_id, message, "a node could not be made ready");
                let error =
                    NodeError { code: "NodeBootFailed".to_owned(), message, details: Vec::new() };
                life = node::step(&life, NodeFact::BootFailed(error), now);
            }
            Report::StartTask { boot, info } if boot == life.boot => {
                life = node::step(&life, NodeFact::StartTask(info), now);
            }
            // About a boot that is over.
            Report::Booted { .. } | Report::BootFailed { .. } | Report::StartTask { .. } => {}
            // Running since it was assigned.
            Report::Started { .. } => {}
            Report::Ended { attempt, outcome, usage, .. } => match attempt.kind {
                AttemptKind::Task => {
                    end_attempt(tx, node_id, &mut life, &attempt, (outcome, usage), now)?;
                }
                AttemptKind::Preparation | AttemptKind::Release => {
                    let mut steps = Steps::new(tx, now, &mut outbox);
                    steps.end_attempt(node_id, &mut life, &attempt, outcome)?;
                }
                // Nothing asks for these yet.
                AttemptKind::Subtask { .. } => {}
            },
        }
    }
    keep_node(tx, &node, &life)?;
    Ok(outbox)
}

fn end_attempt(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    attempt: &AttemptId,
    (outcome, usage): (Outcome, Option<Usage>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(task) = tx.task(attempt.job_key, &attempt.task_id)? else { return Ok(()) };
    let is_here = task.life.place.as_ref().is_some_and(|place| place.node_id == node_id);
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
    *node_life = node::step(node_life, left(&task, &life), now);
    tx.update_task(&task, &life)?;
    tx.announce(task_change(&task, &life));
    tx.announce(Change::JobEnd { job_key: task.job_key });
    Ok(())
}

/// What it means for its node that a task now has `life`.
pub fn left(task: &Task, life: &TaskLife) -> NodeFact {
    let has_succeeded = (life.state == TaskState::Completed).then(|| life.exit_code == Some(0));
    NodeFact::TaskLeft { slots: task.needs.slots, has_succeeded }
}

/// The agent of a node is gone, and with it what ran there: its tasks wait again.
pub fn lose_tasks(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    now: Timestamp,
) -> Result<(), StoreError> {
    take_tasks_off(tx, node_id, node_life, &TaskFact::NodeLost, now)
}

/// Takes all tasks off a node, by the same fact.
pub fn take_tasks_off(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    fact: &TaskFact,
    now: Timestamp,
) -> Result<(), StoreError> {
    for task in tx.tasks_of_node(node_id)? {
        let Ok(life) = task::step(&task, fact.clone(), now) else { continue };
        *node_life = node::step(node_life, left(&task, &life), now);
        tx.update_task(&task, &life)?;
        tx.announce(task_change(&task, &life));
    }
    Ok(())
}

/// Keeps what has become of a node, and lets dispatch hear of it.
pub fn keep_node(tx: &mut Tx<'_>, node: &Node, life: &NodeLife) -> Result<(), StoreError> {
    if *life == node.life {
        return Ok(());
    }
    tx.update_node(&node.id, life)?;
    if may_release(node.life.state) && !may_release(life.state) {
        // It is told nothing.
        Steps::new(tx, life.state_at, &mut Outbox::default()).on_node_lost(&node.id)?;
    }
    if life.open_slots() != node.life.open_slots() {
        tx.announce(Change::Node {
            pool_key: node.pool_key,
            node_id: node.id.clone(),
            slots: life.open_slots(),
            is_dedicated: life.is_dedicated,
        });
    }
    Ok(())
}
