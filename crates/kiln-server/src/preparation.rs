//! Prepares nodes for jobs and releases them: keeps what the machine of a node of a job
//! decides, and says what to send to the node.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::node::{self, Node, NodeFact, NodeLife};
use kiln_domain::batch::preparation::{
    self, Admission, Effect, Fact, Preparation, PreparationLife, Rules, State,
};
use kiln_domain::batch::task::{self, Task, TaskFact, TaskSpec, TaskState};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx, View};
use kiln_wire::batch::task::directory;
use kiln_wire::node::{AttemptId, AttemptKind, Outcome, Run, ToAgent};
use tracing::warn;

use crate::batch::Outbox;
use crate::dispatch::{run_message, task_change};
use crate::kept;

/// A task of `job` is to run on a node in this boot of it: whether it may, and when.
pub(crate) fn want(
    tx: &mut Tx<'_>,
    (job, spec): (&Job, &JobSpec),
    node_id: &str,
    boot: u32,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<Admission, StoreError> {
    let Some(rules) = Rules::of(spec) else { return Ok(Admission::Now) };
    let known = tx.preparation(job.key, node_id)?;
    let known = known.unwrap_or_else(|| Preparation {
        job_key: job.key,
        node_id: node_id.to_owned(),
        life: PreparationLife::new(job.life.pool_id.clone()),
    });
    let (known, _) = keep(tx, (job, spec, &rules), known, Fact::Wanted { boot }, now, outbox)?;
    Ok(known.life.admission(&rules))
}

/// A run of a preparation or release task ended on a node.
pub(crate) fn end_attempt(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    attempt: &AttemptId,
    outcome: Outcome,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let Some(known) = tx.preparation(attempt.job_key, node_id)? else { return Ok(()) };
    let Some((job, spec)) = load_job(tx, attempt.job_key)? else { return Ok(()) };
    if attempt_of(&spec, &known).as_ref() != Some(attempt) {
        return Ok(());
    }
    let fact = match attempt.kind {
        AttemptKind::Preparation => Fact::PreparationEnded(outcome),
        AttemptKind::Release => Fact::ReleaseEnded(outcome),
        AttemptKind::Task | AttemptKind::Subtask { .. } => return Ok(()),
    };
    happen(tx, (&job, &spec), known, fact, node_life, now, outbox)
}

/// A node booted: what its boot interrupted, or may have spoiled, is done again.
pub(crate) fn on_booted(
    tx: &mut Tx<'_>,
    node_id: &str,
    node_life: &mut NodeLife,
    is_fresh: bool,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let boot = node_life.boot;
    for known in tx.preparations_of_node(node_id)? {
        let Some((job, spec)) = load_job(tx, known.job_key)? else { continue };
        if known.life.boot < boot {
            let fact = if is_fresh { Fact::Reimaged { boot } } else { Fact::Rebooted { boot } };
            happen(tx, (&job, &spec), known, fact, node_life, now, outbox)?;
        }
    }
    Ok(())
}

/// A node is gone, or will not be heard of again by itself. Its tasks are others' business.
pub(crate) fn on_node_lost(
    tx: &mut Tx<'_>,
    node_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for known in tx.preparations_of_node(node_id)? {
        let Some((job, spec)) = load_job(tx, known.job_key)? else { continue };
        let Some(rules) = Rules::of(&spec) else { continue };
        let mut nobody = Outbox::default();
        keep(tx, (&job, &spec, &rules), known, Fact::NodeLost, now, &mut nobody)?;
    }
    Ok(())
}

/// A job ends: its nodes are released. A forced end does not wait for them.
pub(crate) fn end_job(
    tx: &mut Tx<'_>,
    (job, spec): (&Job, &JobSpec),
    is_forced: bool,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let Some(rules) = Rules::of(spec) else { return Ok(()) };
    for known in tx.preparations_of_job(job.key)? {
        let job = (job, spec, &rules);
        if is_forced && known.life.state == State::Releasing {
            if let Some(attempt) = attempt_of(spec, &known) {
                outbox.add(&known.node_id, ToAgent::Stop { attempt });
            }
            keep(tx, job, known, Fact::NodeLost, now, outbox)?;
            continue;
        }
        let node = tx.node(&known.node_id)?;
        let is_there = node.is_some_and(|node| preparation::may_release(node.life.state));
        let fact = Fact::JobEnded { may_release: is_there && !is_forced };
        keep(tx, job, known, fact, now, outbox)?;
    }
    Ok(())
}

/// The runs of preparation and release tasks that a node should have under way, with the
/// commands that run them.
pub(crate) fn orders(
    view: &View<'_>,
    node: &Node,
) -> Result<Vec<(AttemptId, ToAgent)>, StoreError> {
    let mut orders = Vec::new();
    for known in view.preparations_of_node(&node.id)? {
        // What an earlier boot ran is decided anew once this one is told of.
        if known.life.boot != node.life.boot {
            continue;
        }
        let Some((job, spec)) = load_job(view, known.job_key)? else { continue };
        if let Some(attempt) = attempt_of(&spec, &known) {
            orders.extend(message(&job, &spec, attempt.clone()).map(|run| (attempt, run)));
        }
    }
    Ok(orders)
}

/// Keeps what follows from `fact`, with what that means for the tasks on the node.
fn happen(
    tx: &mut Tx<'_>,
    (job, spec): (&Job, &JobSpec),
    known: Preparation,
    fact: Fact,
    node_life: &mut NodeLife,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    let Some(rules) = Rules::of(spec) else { return Ok(()) };
    let (known, effects) = keep(tx, (job, spec, &rules), known, fact, now, outbox)?;
    if effects.contains(&Effect::Return) {
        for task in waiting_tasks(tx, &known)? {
            let Ok(life) = task::step(&task, TaskFact::NotPrepared, now) else { continue };
            let left = NodeFact::TaskLeft { slots: task.slots, has_succeeded: None };
            *node_life = node::step(node_life, left, now);
            tx.update_task(&task, &life)?;
            tx.announce(task_change(&task, &life));
            tx.announce(Change::JobEnd { job_key: job.key });
        }
    }
    if effects.contains(&Effect::Open) {
        let mut is_wanted = false;
        for task in waiting_tasks(tx, &known)? {
            let Ok(life) = task::step(&task, TaskFact::Prepared, now) else { continue };
            tx.update_task(&task, &life)?;
            tx.announce(task_change(&task, &life));
            let task = Task { life, ..task };
            if let Some(message) = run_message(job, spec, &task) {
                outbox.add(&known.node_id, message);
            }
            is_wanted = true;
        }
        if is_wanted {
            let fact = Fact::Wanted { boot: node_life.boot };
            keep(tx, (job, spec, &rules), known, fact, now, outbox)?;
        }
    }
    Ok(())
}

/// Keeps what follows from `fact` for the node itself; what is left to do for its tasks is
/// among the effects.
fn keep(
    tx: &mut Tx<'_>,
    (job, spec, rules): (&Job, &JobSpec, &Rules),
    known: Preparation,
    fact: Fact,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(Preparation, Vec<Effect>), StoreError> {
    let (life, effects) = preparation::step(known.life.clone(), fact, rules, now);
    let before = attempt_of(spec, &known);
    let is_same = life == known.life;
    let known = Preparation { life, ..known };
    if !is_same {
        tx.put_preparation(&known)?;
    }
    let (job_key, node_id) = (job.key, &known.node_id);
    for effect in &effects {
        match effect {
            Effect::RunPreparation | Effect::RunRelease => {
                let run = attempt_of(spec, &known).and_then(|it| message(job, spec, it));
                run.into_iter().for_each(|run| outbox.add(node_id, run));
            }
            Effect::StopPreparation => {
                let stop = before.clone().map(|attempt| ToAgent::Stop { attempt });
                stop.into_iter().for_each(|stop| outbox.add(node_id, stop));
            }
            Effect::Exclude => {
                tx.announce(Change::JobNodeExcluded { job_key, node_id: node_id.clone() });
            }
            Effect::Admit => {
                tx.announce(Change::JobNodeAdmitted { job_key, node_id: node_id.clone() });
            }
            Effect::Finish => tx.announce(Change::JobEnd { job_key }),
            Effect::Open | Effect::Return => {}
        }
    }
    Ok((known, effects))
}

/// Tasks of the job that wait on the node until it is prepared.
fn waiting_tasks(view: &View<'_>, known: &Preparation) -> Result<Vec<Task>, StoreError> {
    let mut tasks = view.tasks_of_node(&known.node_id)?;
    tasks.retain(|task| {
        task.job_key == known.job_key && task.life.state == TaskState::Preparing
    });
    Ok(tasks)
}

/// The run that is under way on a node; `None` when none is.
fn attempt_of(spec: &JobSpec, known: &Preparation) -> Option<AttemptId> {
    let preparation = spec.job_preparation_task.as_ref().map(|it| &it.id);
    let release = spec.job_release_task.as_ref().map(|it| &it.id);
    let (kind, task_id) = match known.life.state {
        State::Preparing => (AttemptKind::Preparation, preparation?.clone()),
        State::Releasing => (AttemptKind::Release, release?.clone()),
        State::Due | State::Prepared | State::Failed | State::Done => return None,
    };
    Some(AttemptId { job_key: known.job_key, task_id, attempt: known.life.attempt, kind })
}

/// The command that makes a run; `None` when the job's document is damaged, which is logged.
fn message(job: &Job, spec: &JobSpec, attempt: AttemptId) -> Option<ToAgent> {
    let task = match task_of(job, spec, attempt.kind) {
        Ok(task) => task?,
        Err(cause) => {
            warn!(error = %crate::chain(&cause), job = job.id, "bug: a kept job can not be read");
            return None;
        }
    };
    let preparation_directory = match attempt.kind {
        AttemptKind::Release => directory_of(job, spec),
        AttemptKind::Task | AttemptKind::Preparation | AttemptKind::Subtask { .. } => None,
    };
    Some(ToAgent::Run(Box::new(Run {
        job_id: job.id.clone(),
        directory: directory(&job.id, &attempt.task_id),
        task,
        job_environment: spec.common_environment_settings.clone(),
        preparation_directory,
        attempt,
    })))
}

/// The preparation or release task of a job, as a node runs it.
fn task_of(job: &Job, spec: &JobSpec, kind: AttemptKind) -> Result<Option<TaskSpec>, StoreError> {
    match (kind, &spec.job_release_task) {
        (AttemptKind::Preparation, _) => kept::task_of_job(job, "/jobPreparationTask").map(Some),
        (AttemptKind::Release, Some(release)) => {
            let task = kept::task_of_job(job, "/jobReleaseTask")?;
            Ok(Some(TaskSpec { constraints: release.constraints(), ..task }))
        }
        (AttemptKind::Release, None) | (AttemptKind::Task | AttemptKind::Subtask { .. }, _) => {
            Ok(None)
        }
    }
}

/// The directory of a job's preparation task below the root of a node.
pub(crate) fn directory_of(job: &Job, spec: &JobSpec) -> Option<String> {
    let preparation = spec.job_preparation_task.as_ref()?;
    Some(directory(&job.id, &preparation.id))
}

fn load_job(view: &View<'_>, job_key: i64) -> Result<Option<(Job, JobSpec)>, StoreError> {
    let Some(job) = view.job_by_key(job_key)? else { return Ok(None) };
    let spec = kept::job_spec(&job)?;
    Ok(Some((job, spec)))
}
