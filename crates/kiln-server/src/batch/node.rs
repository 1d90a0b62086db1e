//! Nodes: get, list.

use kiln_domain::batch::gang::Gang;
use kiln_domain::batch::node::Node;
use kiln_domain::batch::pool::Pool;
use kiln_domain::rejection::Rejection;
use kiln_store::View;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::node::{recent_task, tree};
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, metadata};
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;
use super::pool;

/// `GET /pools/P/nodes`.
pub(super) fn list(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let pool = call.server.store.read(|view| pool::find(view, &call.account, pool_id))?;
    Page::of(call, Shape::Node, Some(List::Nodes))?.collect(metadata::NODES, |after, limit| {
        call.server.store.read(|view| {
            let nodes = view.nodes_after(pool.key, after, limit)?;
            let shown = |node: Node| Ok((node.id.clone(), show(view, &node, &pool, call)?));
            nodes.into_iter().map(shown).collect::<Result<_, OpError>>()
        })
    })
}

/// `GET /pools/P/nodes/N`.
pub(super) fn get(call: &Call, pool_id: &str, node_id: &str) -> Result<Answer, Refusal> {
    let tree = call.server.store.read(|view| {
        let (pool, node) = find(view, &call.account, pool_id, node_id)?;
        show(view, &node, &pool, call)
    })?;
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

fn show(view: &View<'_>, node: &Node, pool: &Pool, call: &Call) -> Result<Value, OpError> {
    let mut recent = Vec::new();
    for ran in &node.life.recent_tasks {
        // A task that was deleted is not shown any more.
        let Some(task) = view.task(ran.job_key, &ran.task_id)? else { continue };
        let Some(job) = view.job_by_key(ran.job_key)? else { continue };
        let instances = task.life.gang.iter().flat_map(Gang::instances);
        let here = instances.filter(|(_, instance)| instance.node_id == node.id);
        let subtask = here.map(|(number, _)| number).find(|number| *number > 0);
        let task = kiln_wire::batch::task::tree(&task, &job.id, &call.base_url);
        recent.push(recent_task(&job.id, subtask, &task));
    }
    Ok(tree(node, &pool.id, &pool.document, recent, &call.base_url))
}
