//! How a Kiln is, as its endpoint for operators tells.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::ClientError;
use crate::transport::{Access, Call, Service, Transport};

/// How a Kiln is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its release.
    pub version: String,
    /// Whether it can keep what it is sent.
    pub is_ready: bool,
    /// Why it can not.
    pub why_not_ready: Option<String>,
    /// What is so; nothing before all of it runs.
    pub seen: Option<Seen>,
}

/// What is so at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct Seen {
    pub tasks: BTreeMap<String, i64>,
    pub nodes: BTreeMap<String, i64>,
    pub agents: i64,
    pub waiting_operations: i64,
    pub database_bytes: i64,
    pub database_log_bytes: i64,
    pub disk_free_bytes: i64,
    pub disk_size_bytes: i64,
}

/// Asks the endpoint for operators at `url`.
///
/// # Errors
/// When it is not reached, or answers something else.
pub async fn status(url: &str) -> Result<Status, ClientError> {
    let transport = Transport::new(Service::Batch, url, Access::Public)?;
    let response = transport.send(Call::new(Method::GET, "/status".to_owned())).await?;
    transport.json(response).await
}
