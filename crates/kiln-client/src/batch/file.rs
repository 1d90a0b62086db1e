//! Files of tasks and nodes.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;

use super::{BatchClient, Pages};
use crate::ClientError;

/// The status of a refusal to read past the end of a file.
const RANGE_NOT_SATISFIABLE: u16 = 416;

/// A file or directory of a task or node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    /// Its path.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// About its content; directories have none.
    pub properties: Option<FileProperties>,
}

/// About the content of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileProperties {
    /// Bytes, as a decimal number.
    pub content_length: String,
    /// When it last changed, ISO 8601.
    pub last_modified: String,
}

impl BatchClient {
    /// The files of a task; with all that lies deeper if `recursive`.
    pub fn task_files(&self, job_id: &str, task_id: &str, recursive: bool) -> Pages<File> {
        let call = Self::call(Method::GET, &["jobs", job_id, "tasks", task_id, "files"]);
        Pages::new(self.transport.clone(), call.query("recursive", recursive.to_string()))
    }

    /// The content of a task's file, such as `stdout.txt`.
    ///
    /// # Errors
    /// When the service refuses (`FileNotFound`) or can not be reached.
    pub async fn task_file(
        &self,
        job_id: &str,
        task_id: &str,
        file_path: &str,
    ) -> Result<Bytes, ClientError> {
        self.content(&["jobs", job_id, "tasks", task_id, "files", file_path]).await
    }

    /// The content of a node's file, such as `startup/stderr.txt`.
    ///
    /// # Errors
    /// When the service refuses (`FileNotFound`) or can not be reached.
    pub async fn node_file(
        &self,
        pool_id: &str,
        node_id: &str,
        file_path: &str,
    ) -> Result<Bytes, ClientError> {
        self.content(&["pools", pool_id, "nodes", node_id, "files", file_path]).await
    }

    /// The content of a task's file from its byte `first` on; nothing where it has no more.
    ///
    /// # Errors
    /// When the service refuses (`FileNotFound`) or can not be reached.
    pub async fn task_file_from(
        &self,
        job_id: &str,
        task_id: &str,
        file_path: &str,
        first: u64,
    ) -> Result<Bytes, ClientError> {
        let segments = ["jobs", job_id, "tasks", task_id, "files", file_path];
        let call = Self::call(Method::GET, &segments)
            .header("accept", "application/octet-stream")
            .header("ocp-range", format!("bytes={first}-"));
        match self.transport.send(call).await {
            Ok(response) => self.transport.read(response).await,
            Err(ClientError::Service(refused)) if refused.status == RANGE_NOT_SATISFIABLE => {
                Ok(Bytes::new())
            }
            Err(error) => Err(error),
        }
    }

    /// About the content of a task's file: its length.
    ///
    /// # Errors
    /// When the service refuses (`FileNotFound`) or can not be reached.
    pub async fn task_file_length(
        &self,
        job_id: &str,
        task_id: &str,
        file_path: &str,
    ) -> Result<u64, ClientError> {
        let segments = ["jobs", job_id, "tasks", task_id, "files", file_path];
        let response = self.transport.send(Self::call(Method::HEAD, &segments)).await?;
        let length = response.headers().get("content-length").and_then(|it| it.to_str().ok());
        Ok(length.and_then(|it| it.parse().ok()).unwrap_or(0))
    }

    async fn content(&self, segments: &[&str]) -> Result<Bytes, ClientError> {
        let call = Self::call(Method::GET, segments).header("accept", "application/octet-stream");
        let response = self.transport.send(call).await?;
        self.transport.read(response).await
    }
}
