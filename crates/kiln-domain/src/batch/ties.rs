//! What a task has to do with others.

use super::dependencies::Dependencies;
use super::job::{JobSpec, OnTaskFailure};

/// What a task has to do with others: known when it is added, and looked at when it ends, so
/// that the end of a task that has nothing to do with others costs nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    /// Others of its job may depend on it.
    pub may_have_dependents: bool,
    /// Its end may act on its job.
    pub may_act_on_job: bool,
    /// It depends on others.
    pub has_dependencies: bool,
}

impl Ties {
    /// The ties of a task of this job.
    pub fn of(job: &JobSpec, dependencies: &Dependencies) -> Self {
        Self {
            may_have_dependents: job.uses_task_dependencies,
            may_act_on_job: job.on_task_failure == OnTaskFailure::PerformExitOptionsJobAction,
            has_dependencies: !dependencies.is_empty(),
        }
    }
}
