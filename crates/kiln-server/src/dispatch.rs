//! The dispatch loop: plan, commit, send.
//!
//! It runs at its own pace: whatever was committed while a round was under way is in the
//! next round's board. A plan is only a proposal; the commit checks each assignment again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::node::{Node, NodeFact, NodeLife};
use kiln_domain::batch::preparation::Admission;
use kiln_domain::batch::task::{Place, Task, TaskFact, TaskLife, TaskState};
use kiln_domain::batch::{node, task};
use kiln_domain::time::Timestamp;
use kiln_scheduler::{Assignment, plan};
use kiln_store::{StoreError, Tx};
use kiln_wire::node::{AttemptId, Run, ToAgent};
use tracing::{error, warn};

use crate::batch::Outbox;
use crate::preparation::{self, Steps};
use crate::server::Server;
use crate::{clock, kept};

/// Assignments of one pool in one commit at the most.
const ASSIGNMENTS_MAX: usize = 512;

/// Plans and commits assignments until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        let changed = server.signals.board().take_changed();
        if changed.is_empty() {
            server.signals.board_changed().await;
            continue;
        }
        for pool_key in changed {
            let assignments = plan(&server.signals.board(), pool_key, ASSIGNMENTS_MAX);
            if assignments.is_empty() {
                continue;
            }
            if assignments.len() == ASSIGNMENTS_MAX {
                server.signals.board().mark_changed(pool_key);
            }
            let committed =
                server.store.write(move |tx| commit(tx, assignments, clock::now())).await;
            match committed {
                Ok(outbox) => outbox.send(&server),
                Err(cause) => {
                    error!(error = %crate::chain(&cause), "assignments could not be committed");
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.board().mark_changed(pool_key);
                }
            }
        }
    }
}

/// Commits the assignments that still hold, and says what to send to which node.
fn commit(
    tx: &mut Tx<'_>,
    assignments: Vec<Assignment>,
    now: Timestamp,
) -> Result<Outbox, StoreError> {
    let mut jobs: HashMap<i64, Option<(Job, JobSpec)>> = HashMap::new();
    let mut nodes: BTreeMap<String, (Node, NodeLife)> = BTreeMap::new();
    let mut outbox = Outbox::default();
    for assignment in assignments {
        let job = match jobs.entry(assignment.job_key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(load_job(tx, assignment.job_key)?)
            }
        };
        let Some((job, job_spec)) = job.as_ref().filter(|(job, _)| job.life.is_open()) else {
            continue;
        };
        if !nodes.contains_key(&assignment.node_id) {
            let Some(node) = tx.node(&assignment.node_id)? else { continue };
            let life = node.life.clone();
            nodes.insert(assignment.node_id.clone(), (node, life));
        }
        let Some((_, node_life)) = nodes.get_mut(&assignment.node_id) else { continue };
        let Some(task) = tx.task(assignment.job_key, &assignment.task_id)? else { continue };
        let free = node_life.open_slots().saturating_sub(node_life.slots_running);
        if task.slots > free || task.life.state != TaskState::Active {
            continue;
        }
        let place =
            Place { pool_id: job.life.pool_id.clone(), node_id: assignment.node_id.clone() };
        let (node_id, boot) = (&assignment.node_id, node_life.boot);
        let mut steps = Steps::new(tx, now, &mut outbox);
        let assigned = match steps.want(job, job_spec, node_id, boot)? {
            Admission::Now => TaskFact::Assigned(place),
            Admission::Later => TaskFact::AssignedUnprepared(place),
            Admission::No => continue,
        };
        let Ok(life) = task::step(&task, assigned, now) else { continue };
        tx.update_task(&task, &life)?;
        tx.announce(task_change(&task, &life));
        *node_life = node::step(node_life, NodeFact::TaskPlaced(task.slots), now);
        let task = Task { life, ..task };
        if let Some(message) = run_message(job, job_spec, &task) {
            outbox.add(&assignment.node_id, message);
        }
    }
    for (id, (node, life)) in nodes {
        if life != node.life {
            tx.update_node(&id, &life)?;
        }
    }
    Ok(outbox)
}

fn load_job(tx: &Tx<'_>, job_key: i64) -> Result<Option<(Job, JobSpec)>, StoreError> {
    let Some(job) = tx.job_by_key(job_key)? else { return Ok(None) };
    let spec = kept::job_spec(&job)?;
    Ok(Some((job, spec)))
}

/// The command that runs the current attempt of a task; `None` when its node must be prepared
/// first, or when its document is damaged, which is logged and leaves the task waiting for its
/// node's next look.
pub fn run_message(job: &Job, job_spec: &JobSpec, task: &Task) -> Option<ToAgent> {
    if task.life.state == TaskState::Preparing {
        return None;
    }
    let spec = match kept::task_spec(task) {
        Ok(spec) => spec,
        Err(cause) => {
            let error = crate::chain(&cause);
            warn!(%error, job = job.id, task = task.id, "bug: a kept task can not be read");
            return None;
        }
    };
    Some(ToAgent::Run(Box::new(Run {
        attempt: AttemptId::of(task),
        job_id: job.id.clone(),
        directory: kiln_wire::batch::task::directory(&job.id, &task.id),
        task: spec,
        job_environment: job_spec.common_environment_settings.clone(),
        preparation_directory: preparation::directory_of(job, job_spec),
    })))
}

/// What others must hear of a task that now has `life`.
pub fn task_change(task: &Task, life: &TaskLife) -> Change {
    Change::Task {
        job_key: task.job_key,
        task_id: task.id.clone(),
        sequence: task.sequence,
        slots: task.slots,
        state: life.state,
        node_id: life.place.as_ref().map(|place| place.node_id.clone()),
    }
}
