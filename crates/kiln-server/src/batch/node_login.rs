//! Ways into a node: remote login settings, remote desktop file.

use bytes::Bytes;
use kiln_domain::batch::node::Node;
use kiln_domain::rejection::Rejection;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::{Shape, metadata, node as wire};
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::node::find;
use super::page::Page;
use crate::http::ResponseBody;
use crate::kept;

/// `GET /pools/P/nodes/N/remoteloginsettings`.
pub(super) fn remote_login_settings(
    call: &Call,
    pool: &str,
    node: &str,
) -> Result<Answer, Refusal> {
    let (node, _) = of_kind(call, pool, node, Kind::VirtualMachine)?;
    let tree = json!({
        "remoteLoginIPAddress": wire::PUBLIC_ADDRESS,
        "remoteLoginPort": wire::login_port(node.life.number),
    });
    Page::of(call, Shape::NodeRemoteLogin, None)?.plain(metadata::REMOTE_LOGIN, tree)
}

/// `GET /pools/P/nodes/N/rdp`.
pub(super) fn remote_desktop(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let (node, _) = of_kind(call, pool, node, Kind::CloudService)?;
    let file = wire::remote_desktop_file(node.life.number);
    let answer = Answer::new(200).header("Content-Type", "application/octet-stream");
    Ok(answer.body(ResponseBody::Bytes(Bytes::from(file))))
}

/// What the nodes of a pool are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    VirtualMachine,
    CloudService,
}

/// A node, whose pool must have nodes of this kind: each has its own way in.
fn of_kind(call: &Call, pool: &str, node: &str, kind: Kind) -> Result<(Node, Value), Refusal> {
    let (pool, node) = call.server.store.read(|view| find(view, &call.account, pool, node))?;
    let document = kept::document(&pool.document, "pool specification").map_err(OpError::Store)?;
    let is_service = document.get("cloudServiceConfiguration").is_some();
    let (is_right, wanted) = match kind {
        Kind::VirtualMachine => (!is_service, "virtualMachineConfiguration"),
        Kind::CloudService => (is_service, "cloudServiceConfiguration"),
    };
    if is_right {
        return Ok((node, document));
    }
    let reason = format!("The operation is for nodes of pools created with {wanted}");
    Err(Rejection::NodeOperationInvalid { node: node.id, reason }.into())
}
