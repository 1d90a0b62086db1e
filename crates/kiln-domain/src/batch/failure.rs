//! Why tasks fail.

use serde::{Deserialize, Serialize};

use crate::limits::TASK_LIFETIME_DAYS;

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

impl FailureInfo {
    /// A failure that the user's task, files or settings caused.
    pub fn user_error(code: &str, message: &str) -> Self {
        Self {
            category: FailureCategory::UserError,
            code: code.to_owned(),
            message: message.to_owned(),
            details: Vec::new(),
        }
    }

    /// The same failure with one more detail.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.push(NameValue { name: name.to_owned(), value: value.into() });
        self
    }

    /// The process ended with an exit code other than 0.
    pub fn exit_code() -> Self {
        let message = "The task exited with an exit code representing a failure";
        Self::user_error("FailureExitCode", message)
            .with_detail("Message", "The task process exited with an unexpected exit code")
            .with_detail("AdditionalErrorCode", "FailureExitCode")
    }

    /// A client, or the end of the job, ended the task.
    pub fn ended_by_user() -> Self {
        Self::user_error("TaskEnded", "Task Was Ended by User Request")
    }

    /// The task lost one node after the other, and may be why.
    pub fn lost_too_often() -> Self {
        Self {
            category: FailureCategory::ServerError,
            code: "MaxInternalRetryCountReached".to_owned(),
            message: "The task was on too many nodes that were lost".to_owned(),
            details: Vec::new(),
        }
    }

    /// The task did not complete within the time that tasks have.
    pub fn too_old() -> Self {
        Self {
            category: FailureCategory::ServerError,
            code: "TaskEnded".to_owned(),
            message: format!("The task did not complete within {TASK_LIFETIME_DAYS} days"),
            details: Vec::new(),
        }
    }

    /// The task ran longer than its `maxWallClockTime`. (The code of the real service is not
    /// known; older agents say this one.)
    pub fn timed_out() -> Self {
        Self::user_error("TaskEnded", "The task ran longer than its maxWallClockTime")
    }

    /// It, or what all on its node share, took more of the disk than its slots may.
    pub fn disk_full(limit_bytes: u64) -> Self {
        let message = format!(
            "The task took more than the {limit_bytes} bytes of its node's disk that its slots may"
        );
        Self::user_error("DiskFull", &message)
    }
}
