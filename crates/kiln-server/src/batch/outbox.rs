//! Messages to agents that leave once the commit that causes them is durable.

use std::collections::BTreeMap;

use kiln_domain::batch::job::Job;
use kiln_domain::batch::task::{self, Task, TaskFact, TaskLife};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};
use kiln_wire::batch::job::whole_directory;
use kiln_wire::node::ToAgent;

use super::error::OpError;
use super::leave::leave_nodes;
use super::task_life;
use crate::server::Server;

/// Messages to agents, by node.
#[derive(Debug, Default)]
pub(crate) struct Outbox(BTreeMap<String, Vec<ToAgent>>);

impl Outbox {
    pub(crate) fn add(&mut self, node_id: &str, message: ToAgent) {
        self.0.entry(node_id.to_owned()).or_default().push(message);
    }

    /// Sends all; called after the commit.
    pub(crate) fn send(self, server: &Server) {
        for (node_id, messages) in self.0 {
            server.links.send(&node_id, messages);
        }
    }
}

/// Stops a task that may be running, by `fact`: its node is freed and told to stop it.
///
/// # Errors
/// When the task does not allow it where it stands.
pub(super) fn stop_task(
    tx: &mut Tx<'_>,
    task: &Task,
    fact: TaskFact,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<TaskLife, OpError> {
    let life = task::step(task, fact, now)?;
    keep_ended(tx, task, &life, now, outbox)?;
    Ok(life)
}

/// Stops running tasks of a job by `fact`, at most `limit` of them.
pub(crate) fn stop_tasks(
    tx: &mut Tx<'_>,
    job: &Job,
    fact: &TaskFact,
    limit: usize,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    for task in tx.running_tasks(job.key, limit)? {
        stop_if_allowed(tx, &task, fact.clone(), now, outbox)?;
    }
    Ok(())
}

/// Stops a task by `fact`, unless it has just ended by itself.
pub(crate) fn stop_if_allowed(
    tx: &mut Tx<'_>,
    task: &Task,
    fact: TaskFact,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    match task::step(task, fact, now) {
        Ok(life) if life != task.life => keep_ended(tx, task, &life, now, outbox),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The nodes of a job's pool are to remove what they keep of it.
pub(crate) fn forget_job(view: &View<'_>, job: &Job) -> Result<Outbox, StoreError> {
    let mut outbox = Outbox::default();
    if let Some(pool) = view.pool(&job.account, &job.life.pool_id)? {
        for node in view.nodes_of_pool(pool.key)? {
            let path = whole_directory(&job.id);
            outbox.add(&node.id, ToAgent::RemoveDirectory { path });
        }
    }
    Ok(outbox)
}

/// Keeps the end of a task: its node is freed and told to stop it.
fn keep_ended(
    tx: &mut Tx<'_>,
    task: &Task,
    life: &TaskLife,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    leave_nodes(tx, task, life, None, now, outbox)?;
    task_life::keep(tx, task, life, now)
}
