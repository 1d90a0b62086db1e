//! Extensions of nodes: list, get.
//!
//! Kiln keeps the extensions of a pool and installs none, and says so of each.

use kiln_domain::rejection::Rejection;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::{Shape, metadata};
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::node::find;
use super::page::Page;
use crate::kept;

/// `GET /pools/P/nodes/N/extensions`.
pub(super) fn list(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let extensions = of_node(call, pool, node)?;
    Page::of(call, Shape::NodeExtension, None)?.cut(metadata::EXTENSIONS, extensions)
}

/// `GET /pools/P/nodes/N/extensions/E`.
pub(super) fn get(call: &Call, pool: &str, node: &str, extension: &str) -> Result<Answer, Refusal> {
    let is_named = |it: &Value| it.pointer("/vmExtension/name") == Some(&extension.into());
    let found = of_node(call, pool, node)?.into_iter().find(is_named);
    let not_found = || Rejection::NodeExtensionNotFound {
        node: node.to_owned(),
        extension: extension.to_owned(),
    };
    let found = found.ok_or_else(not_found)?;
    Page::of(call, Shape::NodeExtension, None)?.single(metadata::EXTENSIONS, found)
}

fn of_node(call: &Call, pool: &str, node: &str) -> Result<Vec<Value>, Refusal> {
    let (pool, _) = call.server.store.read(|view| find(view, &call.account, pool, node))?;
    let document = kept::document(&pool.document, "pool specification").map_err(OpError::Store)?;
    let extensions = document.pointer("/virtualMachineConfiguration/extensions");
    let extensions = extensions.and_then(Value::as_array).into_iter().flatten();
    Ok(extensions.map(not_installed).collect())
}

fn not_installed(extension: &Value) -> Value {
    json!({
        "provisioningState": "Canceled",
        "vmExtension": extension,
        "instanceView": {
            "name": extension.get("name"),
            "statuses": [{
                "code": "ProvisioningState/canceled",
                "displayStatus": "Not installed",
                "level": "Warning",
                "message": "Kiln installs no extensions: nodes have what their machine has",
            }],
        },
    })
}
