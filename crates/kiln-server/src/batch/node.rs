//! Nodes: get, list.

use kiln_domain::batch::node::Node;
use kiln_domain::batch::pool::Pool;
use kiln_domain::rejection::Rejection;
use kiln_store::View;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::node::tree;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, metadata};
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;
use super::pool;
use crate::server::ip_address;

/// `GET /pools/P/nodes`.
pub(super) fn list(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let pool = call.server.store.read(|view| pool::find(view, &call.account, pool_id))?;
    Page::of(call, Shape::Node, Some(List::Nodes))?.collect(metadata::NODES, |after, limit| {
        let nodes = call.server.store.read(|view| view.nodes_after(pool.key, after, limit));
        let nodes = nodes.map_err(OpError::Store)?;
        Ok(nodes.into_iter().map(|node| (node.id.clone(), show(&node, &pool, call))).collect())
    })
}

/// `GET /pools/P/nodes/N`.
pub(super) fn get(call: &Call, pool_id: &str, node_id: &str) -> Result<Answer, Refusal> {
    let (pool, node) =
        call.server.store.read(|view| find(view, &call.account, pool_id, node_id))?;
    let tree = show(&node, &pool, call);
    Page::of(call, Shape::Node, None)?.single(metadata::NODES, tree)
}

/// The node of that id, and its pool.
pub(super) fn find(
    view: &View<'_>,
    account: &str,
    pool_id: &str,
    node_id: &str,
) -> Result<(Pool, Node), OpError> {
    let pool = pool::find(view, account, pool_id)?;
    let not_found = || Rejection::NodeNotFound { node: node_id.to_owned() };
    let node =
        view.node(node_id)?.filter(|node| node.pool_key == pool.key).ok_or_else(not_found)?;
    Ok((pool, node))
}

fn show(node: &Node, pool: &Pool, call: &Call) -> Value {
    tree(node, &pool.id, &pool.document, &ip_address(node.life.number), &call.base_url)
}
