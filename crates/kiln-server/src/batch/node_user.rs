//! Users of nodes: add, update, delete.

use kiln_domain::batch::node::{self, Node, NodeOperation, NodeUserSpec};
use kiln_domain::rejection::Rejection;
use kiln_wire::batch::Shape;
use kiln_wire::batch::error::Refusal;
use kiln_wire::node::{NodeAnswer, NodeRefusal, NodeRequest, NodeUser};
use tracing::warn;

use super::answer::Answer;
use super::call::Call;
use super::node::find;
use super::spec;
use crate::link::RequestError;
use crate::secrets;

/// `POST /pools/P/nodes/N/users`.
pub(super) async fn add(call: &Call, pool: &str, node: &str) -> Result<Answer, Refusal> {
    let user: NodeUserSpec = spec::read(&call.lift(Shape::NodeUserAdd)?, "user of a node")?;
    let node = admit(call, pool, node)?;
    let name = user.name.clone();
    let request = NodeRequest::AddUser { user: described(user, call)? };
    ask(call, &node, &name, request).await?;
    let url = format!("{}/{name}", call.url());
    Ok(Answer::new(201).header("Location", url.clone()).header("DataServiceId", url))
}

/// `PUT /pools/P/nodes/N/users/U`: what is left out is gone, or has its default.
pub(super) async fn update(
    call: &Call,
    pool: &str,
    node: &str,
    name: &str,
) -> Result<Answer, Refusal> {
    let body = call.lift(Shape::NodeUserUpdate)?;
    let user: NodeUserSpec = spec::read(&body, "user of a node")?;
    let user = NodeUserSpec { name: name.to_owned(), ..user };
    let node = admit(call, pool, node)?;
    let request = NodeRequest::ChangeUser { user: described(user, call)? };
    ask(call, &node, name, request).await?;
    Ok(Answer::new(200).header("DataServiceId", call.url()))
}

/// `DELETE /pools/P/nodes/N/users/U`.
pub(super) async fn delete(
    call: &Call,
    pool: &str,
    node: &str,
    name: &str,
) -> Result<Answer, Refusal> {
    let node = admit(call, pool, node)?;
    ask(call, &node, name, NodeRequest::RemoveUser { name: name.to_owned() }).await?;
    Ok(Answer::new(200))
}

fn admit(call: &Call, pool: &str, node: &str) -> Result<Node, Refusal> {
    let (_, node) = call.server.store.read(|view| find(view, &call.account, pool, node))?;
    node::admit(&node, NodeOperation::ChangeUsers)?;
    Ok(node)
}

/// The user as its node makes it: of its password only what it is checked against.
fn described(user: NodeUserSpec, call: &Call) -> Result<NodeUser, Rejection> {
    let expires_at = user.admit(call.now)?;
    Ok(NodeUser {
        name: user.name,
        is_admin: user.is_admin,
        password_hash: user.password.as_deref().map(secrets::password_hash),
        ssh_public_key: user.ssh_public_key,
        expires_at,
    })
}

async fn ask(call: &Call, node: &Node, name: &str, request: NodeRequest) -> Result<(), Refusal> {
    match call.server.links.request(&node.id, request).await {
        Ok(NodeAnswer::Done | NodeAnswer::Uploading { .. }) => Ok(()),
        Err(RequestError::Refused(NodeRefusal::UserExists)) => {
            let (node, user) = (node.id.clone(), name.to_owned());
            Err(Rejection::NodeUserExists { node, user }.into())
        }
        Err(RequestError::Refused(NodeRefusal::UserNotFound)) => {
            let (node, user) = (node.id.clone(), name.to_owned());
            Err(Rejection::NodeUserNotFound { node, user }.into())
        }
        Err(error) => Err(refusal(node, error)),
    }
}

/// What a client is told when a node did not do what it was asked.
pub(super) fn refusal(node: &Node, error: RequestError) -> Refusal {
    let id = node.id.clone();
    match error {
        RequestError::Unreachable => Rejection::NodeUnreachable { node: id }.into(),
        RequestError::Timeout => Refusal::operation_timed_out(),
        RequestError::Refused(NodeRefusal::Unsupported { reason }) => {
            Rejection::NodeOperationInvalid { node: id, reason }.into()
        }
        RequestError::Refused(
            refused @ (NodeRefusal::UserExists
            | NodeRefusal::UserNotFound
            | NodeRefusal::Failed { .. }),
        ) => {
            warn!(node_id = id, ?refused, "a node could not do what it was asked");
            Refusal::internal_error()
        }
    }
}
