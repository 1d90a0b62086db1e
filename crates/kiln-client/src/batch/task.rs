//! Tasks.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BatchClient, EnvironmentSetting, JSON, Pages, ResourceFile, UserIdentity};
use crate::ClientError;

/// Tasks that one request can add.
const TASKS_PER_REQUEST_MAX: usize = 100;

/// The last api-version whose tasks have all members that there ever were.
const FULLEST_API_VERSION: &str = "2024-07-01.20.0";

/// A task to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTask {
    /// Its name in the job.
    pub id: String,
    /// The program and its arguments; no shell reads it.
    pub command_line: String,
    /// Files fetched before the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_files: Vec<ResourceFile>,
    /// Variables of the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment_settings: Vec<EnvironmentSetting>,
    /// Who runs the command; a user without rights when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<UserIdentity>,
}

impl NewTask {
    /// The task `id` that runs `command_line`.
    pub fn new(id: impl Into<String>, command_line: impl Into<String>) -> Self {
        Self { id: id.into(), command_line: command_line.into(), ..Self::default() }
    }
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// Its name in the job.
    pub id: String,
    /// `active`, `preparing`, `running` or `completed`.
    pub state: String,
    /// Since when, ISO 8601.
    pub state_transition_time: String,
    /// What it runs.
    pub command_line: String,
    /// How its latest attempt went.
    pub execution_info: Option<ExecutionInfo>,
    /// Where its latest attempt ran.
    pub node_info: Option<NodeInfo>,
}

/// How an attempt went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutionInfo {
    /// When it began, ISO 8601.
    pub start_time: Option<String>,
    /// When it ended, ISO 8601.
    pub end_time: Option<String>,
    /// What its process returned.
    pub exit_code: Option<i32>,
    /// `success` or `failure`.
    pub result: Option<String>,
    /// Why it failed.
    pub failure_info: Option<FailureInfo>,
    /// Runs after a failed one.
    pub retry_count: u32,
}

/// Why an attempt failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailureInfo {
    /// `usererror` or `servererror`.
    pub category: String,
    /// Azure's code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// More about it.
    pub details: Vec<NameValue>,
}

/// More about a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NameValue {
    /// What it is about.
    pub name: String,
    /// What is said about it.
    pub value: String,
}

/// Where an attempt ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// The node's pool.
    pub pool_id: String,
    /// The node.
    pub node_id: String,
    /// What a task says that rather runs there than elsewhere.
    pub affinity_id: String,
}

/// What became of one task of a bulk add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskAdded {
    /// `success`, `clienterror` or `servererror`.
    pub status: String,
    /// Which task.
    pub task_id: String,
    /// Why it was not added.
    pub error: Option<Refused>,
}

/// Why a task was not added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// Azure's code, `TaskExists`.
    pub code: String,
}

#[derive(Serialize)]
struct Collection<'a> {
    value: &'a [NewTask],
}

impl BatchClient {
    /// Adds a task to a job.
    ///
    /// # Errors
    /// When the service refuses (`TaskExists`) or can not be reached.
    pub async fn add_task(&self, job_id: &str, task: &NewTask) -> Result<(), ClientError> {
        self.post(&["jobs", job_id, "tasks"], task).await.map(drop)
    }

    /// Adds any number of tasks to a job, a hundred with each request; says what became of
    /// each.
    ///
    /// # Errors
    /// When the service refuses a whole request or can not be reached; tasks of requests
    /// before it are added then.
    pub async fn add_tasks(
        &self,
        job_id: &str,
        tasks: &[NewTask],
    ) -> Result<Vec<TaskAdded>, ClientError> {
        #[derive(Deserialize)]
        struct Added {
            value: Vec<TaskAdded>,
        }
        let mut added = Vec::with_capacity(tasks.len());
        for value in tasks.chunks(TASKS_PER_REQUEST_MAX) {
            let segments = ["jobs", job_id, "addtaskcollection"];
            let response = self.post(&segments, &Collection { value }).await?;
            added.extend(self.transport.json::<Added>(response).await?.value);
        }
        Ok(added)
    }

    /// One task.
    ///
    /// # Errors
    /// When the service refuses (`TaskNotFound`) or can not be reached.
    pub async fn task(&self, job_id: &str, id: &str) -> Result<Task, ClientError> {
        self.get(&["jobs", job_id, "tasks", id]).await
    }

    /// One task as the service shows it, with members that this client has no names for.
    ///
    /// # Errors
    /// When the service refuses (`TaskNotFound`) or can not be reached.
    pub async fn task_document(&self, job_id: &str, id: &str) -> Result<Value, ClientError> {
        let segments = ["jobs", job_id, "tasks", id];
        let call = Self::call_of(FULLEST_API_VERSION, Method::GET, &segments);
        let response = self.transport.send(call).await?;
        self.transport.json(response).await
    }

    /// Adds a task as a document has it.
    ///
    /// # Errors
    /// When the service refuses (`TaskExists`) or can not be reached.
    pub async fn add_task_document(&self, job_id: &str, task: &Value) -> Result<(), ClientError> {
        let segments = ["jobs", job_id, "tasks"];
        let call = Self::call_of(FULLEST_API_VERSION, Method::POST, &segments);
        let call = call.header("content-type", JSON).body(task.to_string());
        self.transport.send(call).await.map(drop)
    }

    /// Runs a task that failed once more, in its place.
    ///
    /// # Errors
    /// When the service refuses (`TaskCompleted`) or can not be reached.
    pub async fn reactivate_task(&self, job_id: &str, id: &str) -> Result<(), ClientError> {
        #[derive(Serialize)]
        struct Nothing {}
        self.post(&["jobs", job_id, "tasks", id, "reactivate"], &Nothing {}).await.map(drop)
    }

    /// All tasks of a job.
    pub fn tasks(&self, job_id: &str) -> Pages<Task> {
        self.pages(&["jobs", job_id, "tasks"])
    }

    /// Removes a task.
    ///
    /// # Errors
    /// When the service refuses (`TaskNotFound`) or can not be reached.
    pub async fn delete_task(&self, job_id: &str, id: &str) -> Result<(), ClientError> {
        self.delete(&["jobs", job_id, "tasks", id]).await
    }
}
