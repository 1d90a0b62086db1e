//! What every kind of task runs: a command line with its files, variables and user.

use serde::{Deserialize, Serialize};

use super::container::ContainerSettings;
use crate::rejection::Rejection;

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
    /// Whose rights open the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_reference: Option<IdentityReference>,
}

/// Whether resource files of the member `name` may be asked for.
///
/// # Errors
/// When one has no source or several, or misses what its source needs.
pub fn check_resource_files(name: &str, files: &[ResourceFile]) -> Result<(), Rejection> {
    let invalid = |member: &str, value: &str, reason: &str| Rejection::InvalidProperty {
        name: format!("{name}.{member}"),
        value: value.to_owned(),
        reason: reason.to_owned(),
    };
    for file in files {
        let sources =
            [&file.http_url, &file.storage_container_url, &file.auto_storage_container_name];
        if sources.into_iter().flatten().count() != 1 {
            let reason = "Exactly one of httpUrl, storageContainerUrl and \
                          autoStorageContainerName must be given";
            return Err(invalid("httpUrl", file.http_url.as_deref().unwrap_or_default(), reason));
        }
        let path = file.file_path.as_deref().unwrap_or_default();
        if file.http_url.is_some() && path.is_empty() {
            return Err(invalid("filePath", path, "A file from a URL needs a path"));
        }
        if path.split(['/', '\\']).any(|name| name == "..") {
            return Err(invalid("filePath", path, "It must not lead out of the working directory"));
        }
        let prefix = file.blob_prefix.as_deref().unwrap_or_default();
        if file.http_url.is_some() && !prefix.is_empty() {
            return Err(invalid("blobPrefix", prefix, "Only containers have blobs with a prefix"));
        }
        let mode = file.file_mode.as_deref().unwrap_or("0");
        if u32::from_str_radix(mode, 8).is_err() {
            return Err(invalid("fileMode", mode, "It must be an octal number"));
        }
    }
    Ok(())
}

/// An identity of the pool, whose rights open storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityReference {
    /// Azure's name of it.
    pub resource_id: Option<String>,
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
    /// Whose rights open the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_reference: Option<IdentityReference>,
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
    /// The container that it runs in, if it does.
    pub container_settings: Option<ContainerSettings>,
}

/// What of the Batch service a command may use, with a token that it finds in its environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthenticationTokenSettings {
    /// All that it may use.
    pub access: Vec<AccessScope>,
}

/// A part of the Batch service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessScope {
    /// The job of the task, with all it has.
    Job,
}

#[cfg(test)]
mod tests {
    use super::{ResourceFile, check_resource_files};

    #[track_caller]
    fn check(file: &str, expected: &str) {
        let file: ResourceFile = serde_json::from_str(file).expect("a resource file");
        let said = check_resource_files("resourceFiles", &[file])
            .map_or_else(|rejection| rejection.to_string(), |()| "fine".to_owned());
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn a_resource_file_has_one_source() {
        check(r#"{"httpUrl":"http://h/f","filePath":"f"}"#, "fine");
        check(r#"{"storageContainerUrl":"http://h/c","blobPrefix":"a"}"#, "fine");
        check(r#"{"autoStorageContainerName":"c","filePath":"d","fileMode":"0644"}"#, "fine");
        check(r#"{"filePath":"f"}"#, "httpUrl");
        check(r#"{"httpUrl":"http://h/f","storageContainerUrl":"http://h/c"}"#, "httpUrl");
        check(r#"{"httpUrl":"http://h/f"}"#, "filePath");
        check(r#"{"httpUrl":"http://h/f","filePath":"a/../../f"}"#, "filePath");
        check(r#"{"httpUrl":"http://h/f","filePath":"f","blobPrefix":"a"}"#, "blobPrefix");
        check(r#"{"httpUrl":"http://h/f","filePath":"f","fileMode":"rwx"}"#, "fileMode");
    }
}
