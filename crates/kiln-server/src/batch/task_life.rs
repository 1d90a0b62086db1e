//! Steps in the life of a task, and what follows from them for its job and for the tasks that
//! depend on it. Whatever changes a task's life keeps it here.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::exit::{DependencyAction, ExitSpec, JobAction};
use kiln_domain::batch::job::{DisableTasks, JobFact, JobState};
use kiln_domain::batch::task::{Task, TaskLife, TaskState};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Turned, Tx, WaitingTask};
use tracing::warn;

use super::job_life;
use crate::kept;

/// Tasks, and ranges of tasks, for which it is counted at once that a task need not be waited for
/// any more.
const DEPENDENTS_COUNTED_MAX: usize = 1000;
/// Why a job ends whose task failed.
const TASK_FAILED: &str = "TaskFailed";

/// Keeps what has become of a task, and lets follow what follows.
pub(crate) fn keep(
    tx: &mut Tx<'_>,
    task: &Task,
    life: &TaskLife,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.update_task(task, life)?;
    tx.announce(change(task, life));
    let was_completed = task.life.state == TaskState::Completed;
    let is_completed = life.state == TaskState::Completed;
    if is_completed || task.life.is_on_nodes() && !life.is_on_nodes() {
        let job_key = task.job_key;
        let is_manager = task.needs.is_manager;
        tx.announce(if is_manager {
            Change::JobEnd { job_key }
        } else {
            Change::JobTaskEnd { job_key }
        });
    }
    match (was_completed, is_completed) {
        (false, true) => on_completed(tx, task, life, now),
        (true, false) if task.ties.may_have_dependents => set_met(tx, task, false),
        (true, _) | (false, false) => Ok(()),
    }
}

/// Removes a task; those that depend on it wait for one of its id.
pub(crate) fn remove(tx: &mut Tx<'_>, task: &Task) -> Result<(), StoreError> {
    if task.ties.may_have_dependents {
        set_met(tx, task, false)?;
    }
    tx.delete_task(task)?;
    tx.announce(Change::TaskGone { job_key: task.job_key, sequence: task.sequence });
    tx.announce(Change::JobEnd { job_key: task.job_key });
    Ok(())
}

/// What others must hear of a task that now has `life`.
pub(crate) fn change(task: &Task, life: &TaskLife) -> Change {
    Change::Task {
        job_key: task.job_key,
        task_id: task.id.clone(),
        sequence: task.sequence,
        needs: task.needs.clone(),
        state: life.state,
        displaces: task.needs.is_manager && life.attempt > 0,
        is_ready: task.is_ready(),
        node_ids: life.node_ids().into_iter().map(str::to_owned).collect(),
    }
}

/// The same of a task that waits.
pub(crate) fn waiting_change(job_key: i64, task: WaitingTask) -> Change {
    let WaitingTask { id, sequence, needs, ran_before, is_ready } = task;
    Change::Task {
        job_key,
        task_id: id,
        sequence,
        state: TaskState::Active,
        displaces: needs.is_manager && ran_before,
        needs,
        is_ready,
        node_ids: Vec::new(),
    }
}

fn on_completed(
    tx: &mut Tx<'_>,
    task: &Task,
    life: &TaskLife,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !task.ties.may_have_dependents && !task.ties.may_act_on_job {
        return Ok(());
    }
    let spec = kept::exit_spec(task).unwrap_or_else(|cause| {
        let error = crate::chain(&cause);
        warn!(%error, task = task.id, "bug: the exit conditions of a kept task can not be read");
        ExitSpec::default()
    });
    let consequence = spec.consequence(life);
    if task.ties.may_have_dependents && consequence.dependents == DependencyAction::Satisfy {
        set_met(tx, task, true)?;
    }
    if task.ties.may_act_on_job {
        act_on_job(tx, task.job_key, consequence.job, now)?;
    }
    Ok(())
}

/// Others need not wait for a task any more, or have to again.
fn set_met(tx: &mut Tx<'_>, parent: &Task, is_met: bool) -> Result<(), StoreError> {
    let (job_key, limit) = (parent.job_key, DEPENDENTS_COUNTED_MAX);
    let turned = tx.set_dependency_met(job_key, &parent.id, is_met, limit)?;
    announce_turned(tx, job_key, turned)
}

/// Goes on with what follows for others from the end of a task of a job.
pub(crate) fn go_on_with_dependents(tx: &mut Tx<'_>, job_key: i64) -> Result<(), StoreError> {
    let turned = tx.go_on_with_turns(job_key, DEPENDENTS_COUNTED_MAX)?;
    let is_over = turned.is_over;
    announce_turned(tx, job_key, turned)?;
    if is_over && let Some(job) = tx.job_by_key(job_key)? {
        // Some of its tasks may have been held back meanwhile.
        let spec = kept::job_spec(&job)?;
        tx.announce(job_life::change(&job, &spec));
    }
    Ok(())
}

fn announce_turned(tx: &mut Tx<'_>, job_key: i64, turned: Turned) -> Result<(), StoreError> {
    for child_id in turned.children {
        if let Some(child) = tx.task(job_key, &child_id)? {
            tx.announce(change(&child, &child.life));
        }
    }
    if !turned.is_over {
        tx.announce(Change::JobDependents { job_key });
    }
    Ok(())
}

/// Does with a job what the end of one of its tasks asks for, unless tasks end because of what
/// becomes of the job.
fn act_on_job(
    tx: &mut Tx<'_>,
    job_key: i64,
    action: JobAction,
    now: Timestamp,
) -> Result<(), StoreError> {
    let fact = match action {
        JobAction::None => return Ok(()),
        JobAction::Disable => JobFact::Disabled(DisableTasks::Requeue),
        JobAction::Terminate => {
            JobFact::Terminated { reason: TASK_FAILED.to_owned(), is_forced: false }
        }
    };
    let Some(job) = tx.job_by_key(job_key)? else { return Ok(()) };
    let lets_tasks_end = match job.life.state {
        JobState::Active | JobState::Enabling => true,
        JobState::Disabling => job.life.disable_tasks == Some(DisableTasks::Wait),
        JobState::Disabled | JobState::Terminating | JobState::Completed | JobState::Deleting => {
            false
        }
    };
    if lets_tasks_end { job_life::take_if_allowed(tx, &job, fact, now) } else { Ok(()) }
}
