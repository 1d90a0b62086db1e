//! What a client asks for, and whether it may.

use serde::{Deserialize, Serialize};

use crate::batch::command::{ResourceFile, UserIdentity, check_resource_files};
use crate::batch::container::{ContainerSettings, admit_settings};
use crate::batch::job::JobSpec;
use crate::batch::task::{self, TaskConstraints};
use crate::batch::user::check_identity;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::{id, limits};

/// What the rules read of a job's preparation task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreparationSpec {
    /// Its name, which no task of the job may have.
    pub id: String,
    /// Files fetched before its command.
    #[serde(default)]
    pub resource_files: Vec<ResourceFile>,
    /// Who runs its command.
    pub user_identity: Option<UserIdentity>,
    /// Limits on its runs.
    #[serde(default)]
    pub constraints: TaskConstraints,
    /// Whether the tasks of the job wait until it succeeded.
    #[serde(default = "yes")]
    pub wait_for_success: bool,
    /// Whether it runs again after its node rebooted, although it succeeded.
    #[serde(default = "yes")]
    pub rerun_on_node_reboot_after_success: bool,
    /// The container that it runs in, if it does.
    pub container_settings: Option<ContainerSettings>,
}

/// What the rules read of a job's release task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSpec {
    /// Its name, which no task of the job may have.
    pub id: String,
    /// Files fetched before its command.
    #[serde(default)]
    pub resource_files: Vec<ResourceFile>,
    /// Who runs its command.
    pub user_identity: Option<UserIdentity>,
    /// Time after which it is killed.
    pub max_wall_clock_time: Option<Span>,
    /// Time its directory is kept.
    pub retention_time: Option<Span>,
    /// The container that it runs in, if it does.
    pub container_settings: Option<ContainerSettings>,
}

impl ReleaseSpec {
    /// The limits on its only run.
    pub fn constraints(&self) -> TaskConstraints {
        TaskConstraints {
            max_wall_clock_time: Some(self.max_wall_clock_time.unwrap_or(RELEASE_TIME_MAX)),
            retention_time: self.retention_time,
            max_task_retry_count: Some(0),
        }
    }
}

/// Longest time that a release task may run, and the time it may run when it does not say.
const RELEASE_TIME_MAX: Span = Span::minutes(limits::RELEASE_MINUTES_MAX);

fn yes() -> bool {
    true
}

/// Whether a job may be added with these preparation and release tasks.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit(spec: &JobSpec) -> Result<(), Rejection> {
    let (preparation, release) = match (&spec.job_preparation_task, &spec.job_release_task) {
        (None, None) => return Ok(()),
        (None, Some(release)) => {
            let reason = "A job with a release task needs a preparation task";
            return Err(Rejection::property("jobReleaseTask", &release.id, reason));
        }
        (Some(preparation), release) => (preparation, release),
    };
    let PreparationSpec { id, resource_files, user_identity, .. } = preparation;
    check_parts("jobPreparationTask", id, resource_files, user_identity.as_ref())?;
    let settings = preparation.container_settings.as_ref();
    admit_settings("jobPreparationTask.containerSettings", settings)?;
    task::check_constraints("jobPreparationTask.constraints", &preparation.constraints)?;
    let Some(release) = release else { return Ok(()) };
    let ReleaseSpec { id, resource_files, user_identity, .. } = release;
    check_parts("jobReleaseTask", id, resource_files, user_identity.as_ref())?;
    admit_settings("jobReleaseTask.containerSettings", release.container_settings.as_ref())?;
    if id::folded(&release.id) == id::folded(&preparation.id) {
        let reason = "The preparation and the release task of a job need different ids";
        return Err(Rejection::property("jobReleaseTask.id", &release.id, reason));
    }
    for (name, time, time_max) in [
        ("jobReleaseTask.maxWallClockTime", release.max_wall_clock_time, RELEASE_TIME_MAX),
        ("jobReleaseTask.retentionTime", release.retention_time, Span::MAX),
    ] {
        if let Some(time) = time.filter(|time| *time < Span::seconds(0) || *time > time_max) {
            let reason = format!("It must lie within PT0S and {time_max}");
            return Err(Rejection::property(name, time, reason));
        }
    }
    Ok(())
}

/// What both tasks have; `name` is where the client wrote it.
fn check_parts(
    name: &str,
    id: &str,
    resource_files: &[ResourceFile],
    user_identity: Option<&UserIdentity>,
) -> Result<(), Rejection> {
    id::check(&format!("{name}.id"), id)?;
    check_resource_files(&format!("{name}.resourceFiles"), resource_files)?;
    check_identity(&format!("{name}.userIdentity"), user_identity)
}

/// Whether a task of the job may have this id.
///
/// # Errors
/// When the preparation or the release task has it.
pub fn admit_task_id(spec: &JobSpec, task_id: &str) -> Result<(), Rejection> {
    let is = |id: Option<&String>| id.is_some_and(|id| id::folded(id) == id::folded(task_id));
    let task = || task_id.to_owned();
    if is(spec.job_preparation_task.as_ref().map(|it| &it.id)) {
        return Err(Rejection::TaskNamedLikePreparation { task: task() });
    }
    if is(spec.job_release_task.as_ref().map(|it| &it.id)) {
        return Err(Rejection::TaskNamedLikeRelease { task: task() });
    }
    Ok(())
}
