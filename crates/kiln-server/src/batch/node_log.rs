//! Logs of nodes: upload.

use kiln_domain::batch::node::{self, NodeOperation};
use kiln_domain::time::Timestamp;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::{Shape, metadata};
use kiln_wire::node::{NodeAnswer, NodeRequest, SecretUrl};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::node::find;
use super::node_user;
use super::page::Page;
use crate::node_files;

/// `POST /pools/P/nodes/N/uploadbatchservicelogs`.
pub(super) async fn upload(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::NodeUploadLogs)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).and_then(Timestamp::parse_iso);
    let (pool, node) = call.server.store.read(|view| find(view, &call.account, pool, node))?;
    node::admit(&node, NodeOperation::UploadLogs)?;
    let directory = format!(
        "{}-{}/{}/{}/{}",
        call.account,
        mark(&call.account),
        pool.id,
        node.id,
        call.request_id
    );
    let mut container_url = text("containerUrl").unwrap_or_default().to_owned();
    if body.get("identityReference").is_some() {
        let opened = node_files::open_container(&call.server, &mut container_url, call.now);
        opened.map_err(OpError::Store)?;
    }
    let request = NodeRequest::UploadLogs {
        container_url: SecretUrl(container_url),
        directory: directory.clone(),
        from: time("startTime").unwrap_or(Timestamp(0)),
        until: time("endTime"),
    };
    let n_files = match call.server.links.request(&node.id, request).await {
        Ok(NodeAnswer::Uploading { n_files }) => n_files,
        Ok(NodeAnswer::Done) => 0,
        Err(error) => return Err(node_user::refusal(&node, error)),
    };
    let tree = json!({ "virtualDirectoryName": directory, "numberOfFilesUploaded": n_files });
    Page::of(call, Shape::NodeUploadLogsResult, None)?.plain(metadata::UPLOAD_LOGS_RESULT, tree)
}

/// Sixteen digits that go with the name of an account, as in the names that the service makes.
fn mark(account: &str) -> String {
    let digest = Sha256::digest(account.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02X}")).collect()
}
