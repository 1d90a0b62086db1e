//! What it means for nodes that a task leaves them.

use kiln_domain::batch::gang::Gang;
use kiln_domain::batch::node::{self, NodeFact, NodeLife};
use kiln_domain::batch::task::{Task, TaskLife};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use kiln_wire::node::{AttemptId, ToAgent};

use super::outbox::Outbox;
use crate::gang;
use crate::link::reports;

/// The node that the caller deals with: it keeps the node's life, and knows what runs of the
/// task itself there.
pub(crate) struct Here<'h> {
    /// The node's id.
    pub(crate) node_id: &'h str,
    /// The node's life.
    pub(crate) life: &'h mut NodeLife,
}

/// A task that goes on as `life` leaves the nodes on which it is, if it is on any: they are
/// freed, and told to stop it.
pub(crate) fn leave_nodes(
    tx: &mut Tx<'_>,
    task: &Task,
    life: &TaskLife,
    mut here: Option<Here<'_>>,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    if !task.life.is_on_nodes() || life.is_on_nodes() {
        return Ok(());
    }
    let left = || NodeFact::left(task, life);
    for node_id in task.life.node_ids() {
        if let Some(here) = here.as_mut().filter(|here| here.node_id == node_id) {
            *here.life = node::step(here.life, left(), now);
        } else if let Some(node) = tx.node(node_id)? {
            let life = node::step(&node.life, left(), now);
            reports::keep_node(tx, &node, &life)?;
        }
    }
    for (attempt, node_id) in gang::attempts(task) {
        outbox.add(node_id, ToAgent::Stop { attempt });
    }
    let has_begun = task.life.gang.as_ref().is_none_or(Gang::is_coordinated);
    let primary = task.life.place.as_ref().filter(|_| has_begun);
    let primary = primary.map(|place| place.node_id.as_str());
    let elsewhere = primary.filter(|id| here.as_ref().is_none_or(|here| here.node_id != *id));
    if let Some(node_id) = elsewhere {
        outbox.add(node_id, ToAgent::Stop { attempt: AttemptId::of(task) });
    }
    Ok(())
}
