//! Jobs.

use serde::{Deserialize, Serialize};

use super::{BatchClient, Pages};
use crate::ClientError;

/// A job to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    /// Its name in the account.
    pub id: String,
    /// Where its tasks run.
    pub pool_info: PoolInfo,
}

/// Where the tasks of a job run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolInfo {
    /// A pool of the account.
    pub pool_id: String,
}

impl NewJob {
    /// The job `id` on the pool `pool_id`.
    pub fn on_pool(id: impl Into<String>, pool_id: impl Into<String>) -> Self {
        Self { id: id.into(), pool_info: PoolInfo { pool_id: pool_id.into() } }
    }
}

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    /// Its name in the account.
    pub id: String,
    /// `active`, `disabling`, `disabled`, `enabling`, `terminating`, `completed` or `deleting`.
    pub state: String,
    /// Where its tasks run.
    pub pool_info: PoolInfo,
}

/// How many tasks of a job stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskCounts {
    /// Waiting for a node.
    pub active: u64,
    /// On a node.
    pub running: u64,
    /// Ended.
    pub completed: u64,
    /// Ended well.
    pub succeeded: u64,
    /// Ended badly.
    pub failed: u64,
}

impl BatchClient {
    /// Makes a job.
    ///
    /// # Errors
    /// When the service refuses (`JobExists`) or can not be reached.
    pub async fn add_job(&self, job: &NewJob) -> Result<(), ClientError> {
        self.post(&["jobs"], job).await.map(drop)
    }

    /// One job.
    ///
    /// # Errors
    /// When the service refuses (`JobNotFound`) or can not be reached.
    pub async fn job(&self, id: &str) -> Result<Job, ClientError> {
        self.get(&["jobs", id]).await
    }

    /// All jobs of the account.
    pub fn jobs(&self) -> Pages<Job> {
        self.pages(&["jobs"])
    }

    /// How many tasks of a job stand where.
    ///
    /// # Errors
    /// When the service refuses (`JobNotFound`) or can not be reached.
    pub async fn task_counts(&self, job_id: &str) -> Result<TaskCounts, ClientError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Counts {
            task_counts: TaskCounts,
        }
        let counts: Counts = self.get(&["jobs", job_id, "taskcounts"]).await?;
        Ok(counts.task_counts)
    }

    /// Begins to remove a job and its tasks.
    ///
    /// # Errors
    /// When the service refuses (`JobNotFound`) or can not be reached.
    pub async fn delete_job(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&["jobs", id]).await
    }
}
