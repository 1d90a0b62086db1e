//! What nodes are told to run before and after the tasks of a job.

use kiln_domain::batch::job::{Job, JobSpec};
use kiln_domain::batch::node::Node;
use kiln_domain::batch::preparation::{Preparation, State};
use kiln_domain::batch::task::TaskSpec;
use kiln_store::{StoreError, View};
use kiln_wire::batch::task::directory;
use kiln_wire::node::{AttemptId, AttemptKind, Run, ToAgent};
use tracing::warn;

use crate::kept;

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

/// The directory of a job's preparation task below the root of a node.
pub(crate) fn directory_of(job: &Job, spec: &JobSpec) -> Option<String> {
    let preparation = spec.job_preparation_task.as_ref()?;
    Some(directory(&job.id, &preparation.id))
}

/// The run that is under way on a node; `None` when none is.
pub(super) fn attempt_of(spec: &JobSpec, known: &Preparation) -> Option<AttemptId> {
    let preparation = spec.job_preparation_task.as_ref().map(|it| &it.id);
    let release = spec.job_release_task.as_ref().map(|it| &it.id);
    let (kind, task_id) = match known.life.state {
        State::Preparing => (AttemptKind::Preparation, preparation?.clone()),
        State::Releasing => (AttemptKind::Release, release?.clone()),
        State::Due | State::Prepared | State::Failed | State::Done => return None,
    };
    let (job_key, attempt) = (known.job_key, known.life.attempt);
    // Its job has no other of that name, now or before.
    Some(AttemptId { job_key, task_id, attempt, kind, sequence: 0 })
}

/// The command that makes a run; `None` when the job's document is damaged, which is logged.
pub(super) fn message(job: &Job, spec: &JobSpec, attempt: AttemptId) -> Option<ToAgent> {
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
        packages: Vec::new(),
        // Neither has output files.
        may_run_again: false,
        slots: 0,
        preparation_directory,
        instance: None,
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

pub(super) fn load_job(
    view: &View<'_>,
    job_key: i64,
) -> Result<Option<(Job, JobSpec)>, StoreError> {
    let Some(job) = view.job_by_key(job_key)? else { return Ok(None) };
    let spec = kept::job_spec(&job)?;
    Ok(Some((job, spec)))
}
