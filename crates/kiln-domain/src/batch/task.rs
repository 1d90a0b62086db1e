//! Task life; retries and constraints.

use serde::{Deserialize, Serialize};

use super::command::{EnvironmentSetting, ResourceFile, UserIdentity};
use crate::span::Span;

/// What the rules and the nodes read of a task's specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// Name within the job.
    pub id: String,
    /// The program and its arguments; no shell reads it.
    pub command_line: String,
    /// Files fetched before the command.
    #[serde(default)]
    pub resource_files: Vec<ResourceFile>,
    /// Variables of the command, on top of the job's.
    #[serde(default)]
    pub environment_settings: Vec<EnvironmentSetting>,
    /// Who runs the command; a non-admin pool user when absent.
    pub user_identity: Option<UserIdentity>,
    /// Limits on its runs.
    #[serde(default)]
    pub constraints: TaskConstraints,
    /// Slots it takes on its node.
    #[serde(default = "one_slot")]
    pub required_slots: u32,
}

/// Limits on the runs of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskConstraints {
    /// Time from the start of a run after which it is killed; no end when absent.
    pub max_wall_clock_time: Option<Span>,
    /// Time its directory is kept after it completed; 7 days when absent.
    pub retention_time: Option<Span>,
    /// Runs after a failed one; -1 has no end, the job's value when absent.
    pub max_task_retry_count: Option<i32>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for a node.
    Active,
    /// Its node runs the job's preparation task first.
    Preparing,
    /// Its node fetches its files or runs its process.
    Running,
    /// Nothing of it runs any more.
    Completed,
}

fn one_slot() -> u32 {
    1
}

/// Why a completed task counts as failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureInfo {
    /// Whose fault it was.
    pub category: FailureCategory,
    /// Azure's name for the failure, `FailureExitCode`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// More about it, as names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<NameValue>,
}

/// Whose fault a failure was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureCategory {
    /// The task, its files or its settings.
    UserError,
    /// The service or a node.
    ServerError,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameValue {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}
