//! The dispatch loop: plan, commit, send.
//!
//! It runs at its own pace: whatever was committed while a round was under way is in the
//! next round's board. A plan is only a proposal; the commit checks each assignment again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kiln_domain::batch::gang::{self as instances, ChosenNode};
use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::node::{Node, NodeFact, NodeLife};
use kiln_domain::batch::preparation::Admission;
use kiln_domain::batch::task::{Place, Task, TaskFact, TaskState};
use kiln_domain::batch::{node, task};
use kiln_domain::time::Timestamp;
use kiln_scheduler::{Assignment, Plan, Preemption, plan};
use kiln_store::{StoreError, Tx};
use kiln_wire::node::{AttemptId, Package, Run, ToAgent};
use tracing::{error, warn};

use crate::batch::{Outbox, keep_task, stop_if_allowed};
use crate::preparation::{self, Steps};
use crate::server::Server;
use crate::{clock, gang, kept};

/// Changes in one commit, about, at the most; pools that want some share them.
const CHANGES_MAX: usize = 2048;

/// Plans and commits until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        let changed = server.signals.board().take_changed();
        if changed.is_empty() {
            server.signals.board_changed().await;
            continue;
        }
        let plans = plan_all(&server, &changed);
        if plans.is_empty() {
            continue;
        }
        let n_assignments: usize = plans.iter().map(|plan| plan.assignments.len()).sum();
        let committed = server.store.write(move |tx| commit(tx, plans, clock::now())).await;
        match committed {
            Ok(committed) => {
                server.metrics.rounds.inc();
                server.metrics.assignments.inc_by(n_assignments.try_into().unwrap_or(u64::MAX));
                committed.send(&server);
            }
            Err(cause) => {
                error!(error = %crate::chain(&cause), "plans could not be committed");
                clock::pause(clock::AFTER_FAILURE).await;
                mark_all(&server, &changed);
            }
        }
    }
}

/// Plans for pools that changed. One commit takes the plans of all: a flush for each of a hundred
/// busy pools would make each of them wait for all others.
fn plan_all(server: &Server, changed: &BTreeSet<i64>) -> Vec<Plan> {
    let limit = (CHANGES_MAX / changed.len().max(1)).max(1);
    let mut plans = Vec::new();
    for pool_key in changed {
        let mut board = server.signals.board();
        let began_at = clock::tick();
        let plan = plan(&board, *pool_key, limit);
        server.metrics.plan_seconds.observe(began_at.elapsed().as_secs_f64());
        board.hold(*pool_key, plan.held);
        if plan.len() >= limit {
            board.mark_changed(*pool_key);
        }
        if !plan.is_empty() {
            plans.push(plan);
        }
    }
    plans
}

fn mark_all(server: &Server, pools: &BTreeSet<i64>) {
    let mut board = server.signals.board();
    pools.iter().for_each(|pool_key| board.mark_changed(*pool_key));
}

/// What was committed of a plan.
#[derive(Default)]
struct Committed {
    outbox: Outbox,
    /// Tasks that are on their nodes now. Their commands are made where the writer does not wait
    /// for it.
    placed: Vec<(Arc<(Job, JobSpec)>, Task)>,
}

impl Committed {
    fn send(self, server: &Server) {
        let Self { mut outbox, placed } = self;
        for (job, task) in placed {
            let (job, job_spec) = &*job;
            let place = task.life.place.as_ref();
            if let Some((place, message)) = place.zip(run_message(job, job_spec, &task)) {
                outbox.add(&place.node_id, message);
            }
        }
        outbox.send(server);
    }
}

/// Commits what of plans still holds, and says what to send to which node.
fn commit(tx: &mut Tx<'_>, plans: Vec<Plan>, now: Timestamp) -> Result<Committed, StoreError> {
    let mut committed = Committed::default();
    for preemption in plans.iter().flat_map(|plan| &plan.preemptions) {
        preempt(tx, preemption, now, &mut committed.outbox)?;
    }
    let (jobs, nodes) = (HashMap::new(), BTreeMap::new());
    let Committed { outbox, placed } = &mut committed;
    let mut round = Round { tx, now, jobs, nodes, outbox, placed };
    for assignment in plans.iter().flat_map(|plan| &plan.assignments) {
        round.place(assignment)?;
    }
    round.finish()?;
    Ok(committed)
}

/// Takes a task off its nodes for one of a more urgent job, if its own still allows that, or for
/// a job manager.
fn preempt(
    tx: &mut Tx<'_>,
    preemption: &Preemption,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let Some((job, spec)) = load_job(tx, preemption.job_key)? else { return Ok(()) };
    let Some(task) = tx.task(job.key, &preemption.task_id)? else { return Ok(()) };
    if !spec.allow_task_preemption && !preemption.is_displaced {
        return Ok(());
    }
    stop_if_allowed(tx, &task, TaskFact::Preempted, now, outbox)
}

/// One commit of assignments, with the jobs and nodes that it has looked at.
struct Round<'r, 't> {
    tx: &'r mut Tx<'t>,
    now: Timestamp,
    jobs: HashMap<i64, Option<Arc<(Job, JobSpec)>>>,
    nodes: BTreeMap<String, (Node, NodeLife)>,
    outbox: &'r mut Outbox,
    placed: &'r mut Vec<(Arc<(Job, JobSpec)>, Task)>,
}

impl Round<'_, '_> {
    /// Puts a task on its node, if all is still as planned.
    fn place(&mut self, assignment: &Assignment) -> Result<(), StoreError> {
        let Some(open_job) = self.open_job(assignment.job_key)? else { return Ok(()) };
        let (job, job_spec) = &*open_job;
        let Some(node_id) = assignment.node_ids.first() else { return Ok(()) };
        let Some(task) = self.tx.task(job.key, &assignment.task_id)? else { return Ok(()) };
        if !task.is_ready() || task.life.state != TaskState::Active {
            return Ok(());
        }
        if task.ties.has_dependencies && self.tx.is_turning_back(job.key)? {
            // It may be one of those that wait again.
            return Ok(());
        }
        // That a task is alone on its node is not asked again: none but this loop places tasks.
        for node_id in &assignment.node_ids {
            if self.free_slots(node_id)? < task.needs.slots {
                return Ok(());
            }
        }
        let fact = if task.needs.is_connected {
            self.all_chosen(job, job_spec, &assignment.node_ids)?
        } else {
            self.chosen(job, job_spec, node_id)?
        };
        let Some(Ok(life)) = fact.map(|fact| task::step(&task, fact, self.now)) else {
            return Ok(());
        };
        keep_task(self.tx, &task, &life, self.now)?;
        for node_id in life.node_ids() {
            if let Some((_, life)) = self.nodes.get_mut(node_id) {
                *life = node::step(life, NodeFact::placed(&task), self.now);
            }
        }
        let task = Task { life, ..task };
        gang::begin(job, job_spec, &task, None, self.outbox);
        self.placed.push((open_job, task));
        Ok(())
    }

    /// A node was chosen for a task, if it takes tasks of the job.
    fn chosen(
        &mut self,
        job: &Job,
        spec: &JobSpec,
        node_id: &str,
    ) -> Result<Option<TaskFact>, StoreError> {
        let place = Place { pool_id: job.life.pool_id.clone(), node_id: node_id.to_owned() };
        Ok(match self.want(job, spec, node_id)? {
            Admission::Now => Some(TaskFact::Assigned(place)),
            Admission::Later => Some(TaskFact::AssignedUnprepared(place)),
            Admission::No => None,
        })
    }

    /// Nodes were chosen for the instances of a task, if all take tasks of the job.
    fn all_chosen(
        &mut self,
        job: &Job,
        spec: &JobSpec,
        node_ids: &[String],
    ) -> Result<Option<TaskFact>, StoreError> {
        let mut nodes = Vec::with_capacity(node_ids.len());
        for node_id in node_ids {
            if !preparation::admits(self.tx, job, node_id)? {
                return Ok(None);
            }
        }
        for node_id in node_ids {
            let Some((node, life)) = self.nodes.get(node_id) else { return Ok(None) };
            let address = instances::address(node.pool_key, life.number);
            let is_prepared = self.want(job, spec, node_id)? == Admission::Now;
            nodes.push(ChosenNode { node_id: node_id.clone(), address, is_prepared });
        }
        let pool_id = job.life.pool_id.clone();
        Ok(Some(TaskFact::AssignedToAll { pool_id, nodes }))
    }

    fn want(&mut self, job: &Job, spec: &JobSpec, node_id: &str) -> Result<Admission, StoreError> {
        let boot = self.nodes.get(node_id).map_or(0, |(_, life)| life.boot);
        Steps::new(self.tx, self.now, self.outbox).want(job, spec, node_id, boot)
    }

    fn open_job(&mut self, key: i64) -> Result<Option<Arc<(Job, JobSpec)>>, StoreError> {
        let job = match self.jobs.get(&key) {
            Some(job) => job.clone(),
            None => {
                let job = load_job(self.tx, key)?.map(Arc::new);
                self.jobs.insert(key, job.clone());
                job
            }
        };
        Ok(job.filter(|it| it.0.life.is_open()))
    }

    fn free_slots(&mut self, node_id: &str) -> Result<u32, StoreError> {
        if !self.nodes.contains_key(node_id)
            && let Some(node) = self.tx.node(node_id)?
        {
            let life = node.life.clone();
            self.nodes.insert(node_id.to_owned(), (node, life));
        }
        let life = self.nodes.get(node_id).map(|(_, life)| life);
        Ok(life.map_or(0, |life| life.open_slots().saturating_sub(life.slots_running)))
    }

    fn finish(self) -> Result<(), StoreError> {
        for (id, (node, life)) in self.nodes {
            if life != node.life {
                self.tx.update_node(&id, &life)?;
            }
        }
        Ok(())
    }
}

fn load_job(tx: &Tx<'_>, job_key: i64) -> Result<Option<(Job, JobSpec)>, StoreError> {
    let Some(job) = tx.job_by_key(job_key)? else { return Ok(None) };
    let spec = kept::job_spec(&job)?;
    Ok(Some((job, spec)))
}

/// The command that runs the current attempt of a task.
///
/// There is none while something has to come first on its nodes, or when its document is
/// damaged, which is logged and leaves the task waiting for its node's next look.
pub fn run_message(job: &Job, job_spec: &JobSpec, task: &Task) -> Option<ToAgent> {
    if task.life.state == TaskState::Preparing {
        return None;
    }
    let run = run_of(job, job_spec, task)?;
    gang::main_command(job, task, run).map(|run| ToAgent::Run(Box::new(run)))
}

/// What the commands of a task have in common; `None` when its document is damaged.
pub(crate) fn run_of(job: &Job, job_spec: &JobSpec, task: &Task) -> Option<Run> {
    let spec = match kept::task_spec(task) {
        Ok(spec) => spec,
        Err(cause) => {
            let error = crate::chain(&cause);
            warn!(%error, job = job.id, task = task.id, "bug: a kept task can not be read");
            return None;
        }
    };
    let packages =
        spec.application_package_references.iter().cloned().map(Package::wanted).collect();
    Some(Run {
        attempt: AttemptId::of(task),
        job_id: job.id.clone(),
        directory: kiln_wire::batch::task::directory(&job.id, &task.id),
        task: spec,
        job_environment: job_spec.common_environment_settings.clone(),
        packages,
        preparation_directory: preparation::directory_of(job, job_spec),
        instance: None,
        may_run_again: task.life.allows_retry(),
        slots: task.needs.slots,
    })
}
