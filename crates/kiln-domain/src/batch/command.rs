//! What every kind of task runs: a command line with its files, variables and user.

use serde::{Deserialize, Serialize};

/// A file or container brought to a node before a command runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceFile {
    /// A URL of one file. Exactly one of the three sources is set.
    pub http_url: Option<String>,
    /// A URL of a blob container, whose blobs are all fetched.
    pub storage_container_url: Option<String>,
    /// A container of the account's own storage account.
    pub auto_storage_container_name: Option<String>,
    /// Only blobs whose name begins so; for the two container sources.
    pub blob_prefix: Option<String>,
    /// Where the file goes (`httpUrl`), or the folder for the blobs, below the working directory.
    pub file_path: Option<String>,
    /// Octal mode of the fetched files; 0770 when absent.
    pub file_mode: Option<String>,
}

/// Files that are kept in a container once a command has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFile {
    /// Which files: a path or a pattern, from the working directory on.
    pub file_pattern: String,
    /// Where they are kept.
    pub destination: OutputFileDestination,
    /// When they are kept.
    pub upload_options: OutputFileUploadOptions,
}

/// Where output files are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFileDestination {
    /// A container of blobs.
    pub container: Option<OutputFileContainer>,
}

/// A container in which output files are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFileContainer {
    /// Its URL, with a signature that allows writing.
    pub container_url: String,
    /// Name of the blob or, when the pattern has wildcards, what comes before the names.
    pub path: Option<String>,
    /// Headers of the request that makes a blob.
    #[serde(default)]
    pub upload_headers: Vec<UploadHeader>,
}

/// A header of the request that makes a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadHeader {
    /// Its name.
    pub name: String,
    /// Its value; empty when absent.
    #[serde(default)]
    pub value: Option<String>,
}

/// When output files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFileUploadOptions {
    /// After which ends of the command.
    pub upload_condition: UploadCondition,
}

/// Ends of a command after which output files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadCondition {
    /// Exit code 0.
    #[serde(rename = "tasksuccess")]
    Success,
    /// Any other exit code.
    #[serde(rename = "taskfailure")]
    Failure,
    /// All exit codes.
    #[serde(rename = "taskcompletion")]
    Completion,
}

impl UploadCondition {
    /// Whether files are kept after this exit code.
    pub fn holds_for(self, exit_code: i32) -> bool {
        match self {
            Self::Success => exit_code == 0,
            Self::Failure => exit_code != 0,
            Self::Completion => true,
        }
    }
}

/// A variable for the process of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentSetting {
    /// Name of the variable.
    pub name: String,
    /// Its value; empty when absent.
    #[serde(default)]
    pub value: String,
}

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// A named account of the pool.
    pub username: Option<String>,
    /// A user that the node makes by itself.
    pub auto_user: Option<AutoUser>,
}

/// A user that a node makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoUser {
    /// One user for each task, or one for the pool.
    #[serde(default)]
    pub scope: AutoUserScope,
    /// Whether it may administer the node.
    #[serde(default)]
    pub elevation_level: ElevationLevel,
}

/// How long an auto user lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoUserScope {
    /// Made for one task.
    Task,
    /// Shared by all tasks of the node.
    #[default]
    Pool,
}

/// Whether a user may administer the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElevationLevel {
    /// An ordinary user.
    #[default]
    NonAdmin,
    /// The root user of the node.
    Admin,
}

/// The start task of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartTaskSpec {
    /// The program and its arguments; no shell reads it.
    pub command_line: String,
    /// Files fetched before the command.
    #[serde(default)]
    pub resource_files: Vec<ResourceFile>,
    /// Variables of the command.
    #[serde(default)]
    pub environment_settings: Vec<EnvironmentSetting>,
    /// Who runs the command; a non-admin pool user when absent.
    pub user_identity: Option<UserIdentity>,
    /// Runs after a failed one; -1 has no end.
    #[serde(default)]
    pub max_task_retry_count: i32,
    /// Whether the node takes tasks only after it succeeded.
    #[serde(default)]
    pub wait_for_success: bool,
}
