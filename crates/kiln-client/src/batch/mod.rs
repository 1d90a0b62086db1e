//! The Batch API: pools, nodes, jobs, tasks and their files.

mod application;
mod autoscale;
mod explanation;
mod file;
mod image;
mod job;
mod node;
mod page;
mod pool;
mod shell;
mod task;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::transport::{Call, Service, Transport, path};
use crate::{ClientError, Credentials};

pub use application::{Application, Package};
pub use autoscale::{AutoScaleError, AutoScaleErrorValue, AutoScaleRun};
pub use explanation::{Dependency, Explanation, Named, NodeVerdict, Reason};
pub use file::{File, FileProperties};
pub use image::{ImageReference, SupportedImage};
pub use job::{Job, NewJob, PoolInfo, TaskCounts};
pub use node::Node;
pub use page::Pages;
pub use pool::{NewPool, Pool, StartTask, VirtualMachineConfiguration};
pub use shell::{
    Bytes64, FromShell, MESSAGE_BYTES_MAX, ShellEar, ShellError, ShellMouth, ShellSpec, Terminal,
    ToShell, WindowSize,
};
pub use task::{ExecutionInfo, FailureInfo, NameValue, NewTask, NodeInfo, Task, TaskAdded};

/// The api-version whose shapes this client speaks.
const API_VERSION: &str = "2025-06-01";
const JSON: &str = "application/json; odata=minimalmetadata";

/// A client of one Batch account.
#[derive(Clone, Debug)]
pub struct BatchClient {
    transport: Transport,
}

impl BatchClient {
    /// A client of the account at `endpoint`, `https://ACCOUNT.REGION.batch.azure.com` or a
    /// Kiln's `http://127.0.0.1:8700`.
    ///
    /// # Errors
    /// When `endpoint` is not a URL.
    pub fn new(endpoint: &str, credentials: Credentials) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(Service::Batch, endpoint, Some(credentials))? })
    }

    fn call(method: Method, segments: &[&str]) -> Call {
        Self::call_of(API_VERSION, method, segments)
    }

    fn call_of(api_version: &str, method: Method, segments: &[&str]) -> Call {
        Call::new(method, path(segments))
            .query("api-version", api_version)
            .header("accept", "application/json")
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        segments: &[&str],
    ) -> Result<T, ClientError> {
        let response = self.transport.send(Self::call(Method::GET, segments)).await?;
        self.transport.json(response).await
    }

    async fn post<T: Serialize>(
        &self,
        segments: &[&str],
        body: &T,
    ) -> Result<reqwest::Response, ClientError> {
        let call = Self::call(Method::POST, segments);
        let asked = format!("POST {}", path(segments));
        let body = serde_json::to_vec(body)
            .map_err(|source| ClientError::Decode { asked, source: source.into() })?;
        self.transport.send(call.header("content-type", JSON).body(body)).await
    }

    async fn delete(&self, segments: &[&str]) -> Result<(), ClientError> {
        self.transport.send(Self::call(Method::DELETE, segments)).await.map(drop)
    }

    fn pages<T>(&self, segments: &[&str]) -> Pages<T> {
        Pages::new(self.transport.clone(), Self::call(Method::GET, segments))
    }
}

/// A file that is brought to a node before a command runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceFile {
    /// Where it comes from: a URL that needs no more authorization.
    pub http_url: String,
    /// Where it goes, below the working directory of the task.
    pub file_path: String,
}

/// A variable for the process of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentSetting {
    /// Name of the variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// A user that the node makes by itself.
    pub auto_user: AutoUser,
}

/// A user that a node makes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoUser {
    /// `pool` or `task`.
    pub scope: String,
    /// `admin` or `nonadmin`.
    pub elevation_level: String,
}

impl UserIdentity {
    /// The administrator of the node.
    pub fn admin() -> Self {
        Self {
            auto_user: AutoUser { scope: "pool".to_owned(), elevation_level: "admin".to_owned() },
        }
    }
}
