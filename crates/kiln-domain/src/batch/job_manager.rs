//! The task that is added with its job, and may end it.

use serde::{Deserialize, Serialize};

use super::needs::TaskNeeds;
use super::task::{Task, TaskState};

/// What the rules read of a job's manager, beside what they read of any task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobManagerSpec {
    /// Name within the job.
    pub id: String,
    /// Whether its end is the end of the job.
    #[serde(default = "yes")]
    pub kill_job_on_completion: bool,
    /// Whether no other task is on its node meanwhile.
    #[serde(default = "yes")]
    pub run_exclusive: bool,
    /// Whether it may run on Spot nodes.
    #[serde(default = "yes")]
    pub allow_low_priority_node: bool,
}

/// The sequence of a job's manager: it is added with the job, so nothing comes before it.
const SEQUENCE: i64 = 1;

impl JobManagerSpec {
    /// What it needs of a pool, which is more than what it needs as a task.
    pub fn needs(&self, as_task: TaskNeeds) -> TaskNeeds {
        TaskNeeds {
            is_exclusive: self.run_exclusive,
            on_dedicated_only: !self.allow_low_priority_node,
            is_manager: true,
            ..as_task
        }
    }

    /// Whether `task`, which has its name, is the manager and ends the job: a client may have
    /// deleted the manager and added another task of that name.
    pub fn ends_job(&self, task: &Task) -> bool {
        self.kill_job_on_completion
            && task.sequence == SEQUENCE
            && task.life.state == TaskState::Completed
    }
}

fn yes() -> bool {
    true
}
