//! Why a task waits, or how it failed: an operation of Kiln itself.

use serde::Deserialize;

use super::{BatchClient, Task};
use crate::ClientError;

/// How a task stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// The task.
    pub task: Task,
    /// Its job.
    pub job: Named,
    /// Its pool.
    pub pool: Named,
    /// Why it waits.
    pub reasons: Vec<Reason>,
    /// What it still waits for.
    pub dependencies: Vec<Dependency>,
    /// How it stands with the nodes of its pool, while it waits.
    pub nodes: Vec<NodeVerdict>,
    /// Nodes that are not listed.
    pub nodes_left_out: u64,
}

/// A job or pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Named {
    /// Its name.
    pub id: String,
    /// Where it stands; `None` when it is not there.
    pub state: Option<String>,
    /// Whether the size of a pool changes.
    pub allocation_state: Option<String>,
}

/// Why a task waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// `Job`, `Dependencies`, `Pool`, `Nodes`, `Preparation` or `Turn`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Something that a task waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dependency {
    /// A task.
    pub task_id: Option<String>,
    /// Or tasks whose ids are numbers, `1..9`.
    pub task_id_range: Option<String>,
    /// Where the task stands.
    pub state: Option<String>,
    /// For people.
    pub message: String,
}

/// How a task stands with a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeVerdict {
    /// The node.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// Whether it is dedicated, and not a Spot node.
    pub is_dedicated: bool,
    /// Slots it has.
    pub task_slots: u32,
    /// Slots that no task takes.
    pub free_slots: u32,
    /// Whether the task rather runs there than elsewhere.
    pub is_wished: bool,
    /// Whether it takes the task, or why not.
    pub verdict: String,
}

impl BatchClient {
    /// Why a task waits, or how it failed.
    ///
    /// # Errors
    /// When the service refuses (`TaskNotFound`) or can not be reached.
    pub async fn explain_task(&self, job_id: &str, id: &str) -> Result<Explanation, ClientError> {
        self.get(&["kiln", "jobs", job_id, "tasks", id, "explanation"]).await
    }
}
