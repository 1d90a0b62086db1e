//! Sizes of pools: resize, stop a resize, remove nodes.

use std::collections::BTreeSet;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{self, Node, NodeFact, NodeState, Treatment};
use kiln_domain::batch::pool::{self, Pool, PoolFact, Targets};
use kiln_domain::limits::REMOVED_NODES_MAX;
use kiln_domain::rejection::Rejection;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::Tx;
use kiln_wire::batch::Shape;
use kiln_wire::batch::error::Refusal;
use serde::Deserialize;

use super::answer::Answer;
use super::call::Call;
use super::conditions::Conditions;
use super::error::OpError;
use super::outbox::Outbox;
use super::pool::find;
use super::spec;
use crate::kept;
use crate::link::reports;

/// The size that a client wants.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResizeBody {
    target_dedicated_nodes: Option<u32>,
    target_low_priority_nodes: Option<u32>,
    resize_timeout: Span,
    node_deallocation_option: Treatment,
}

/// The nodes that a client wants no more.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoveBody {
    node_list: BTreeSet<String>,
    resize_timeout: Span,
    node_deallocation_option: Treatment,
}

/// `POST /pools/P/resize`.
pub(super) async fn resize(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let body: ResizeBody = spec::read(&call.lift(Shape::PoolResize)?, "size of a pool")?;
    if body.target_dedicated_nodes.is_none() && body.target_low_priority_nodes.is_none() {
        return Err(Refusal::missing_property("targetDedicatedNodes"));
    }
    pool::check_timeout(body.resize_timeout)?;
    take(call, pool_id, move |tx, pool, now, _| {
        refuse_self_scaling(pool)?;
        let targets = Targets {
            dedicated: body.target_dedicated_nodes.unwrap_or(pool.life.targets.dedicated),
            low_priority: body.target_low_priority_nodes.unwrap_or(pool.life.targets.low_priority),
        };
        let (timeout, treatment) = (Some(body.resize_timeout), body.node_deallocation_option);
        keep(tx, pool, PoolFact::Resized { targets, timeout, treatment }, now)
    })
    .await
}

/// `POST /pools/P/stopresize`.
pub(super) async fn stop_resize(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    take(call, pool_id, |tx, pool, now, _| keep(tx, pool, PoolFact::ResizeStopped, now)).await
}

/// `POST /pools/P/removenodes`.
pub(super) async fn remove_nodes(call: &Call, pool_id: &str) -> Result<Answer, Refusal> {
    let body: RemoveBody = spec::read(&call.lift(Shape::PoolRemoveNodes)?, "list of nodes")?;
    let count = body.node_list.len();
    if !(1..=REMOVED_NODES_MAX).contains(&count) {
        let reason = format!("At least one and at most {REMOVED_NODES_MAX} nodes are removed");
        return Err(Rejection::property("nodeList", count, reason).into());
    }
    pool::check_timeout(body.resize_timeout)?;
    take(call, pool_id, move |tx, pool, now, outbox| {
        refuse_self_scaling(pool)?;
        let nodes = tx.nodes_of_pool(pool.key)?;
        let is_there = |id: &&String| nodes.iter().any(|node| node.id == **id);
        if let Some(missing) = body.node_list.iter().find(|id| !is_there(id)) {
            return Err(Rejection::NodeNotFound { node: missing.clone() }.into());
        }
        let (timeout, treatment) = (Some(body.resize_timeout), body.node_deallocation_option);
        let (leaving, staying): (Vec<Node>, Vec<Node>) =
            nodes.into_iter().partition(|node| body.node_list.contains(&node.id));
        let targets = sizes(&staying);
        let modified_at = keep(tx, pool, PoolFact::Resized { targets, timeout, treatment }, now)?;
        for node in leaving {
            // The one before may have taken a task along.
            let Some(node) = tx.node(&node.id)? else { continue };
            let mut life = node.life.clone();
            reports::treat_tasks(tx, &node.id, &mut life, treatment, now, outbox)?;
            life = node::step(&life, NodeFact::Leave(treatment.pending()), now);
            reports::keep_node(tx, &node, &life)?;
        }
        Ok(modified_at)
    })
    .await
}

/// How many nodes stay, of each kind.
fn sizes(staying: &[Node]) -> Targets {
    let count = |is_dedicated| {
        let own = staying.iter().filter(|node| {
            node.life.is_dedicated == is_dedicated && node.life.state != NodeState::LeavingPool
        });
        u32::try_from(own.count()).unwrap_or(u32::MAX)
    };
    Targets { dedicated: count(true), low_priority: count(false) }
}

/// A pool that is sized by its formula is sized by nothing else.
fn refuse_self_scaling(pool: &Pool) -> Result<(), OpError> {
    if kept::pool_spec(pool)?.enable_auto_scale {
        return Err(Rejection::PoolScalesItself { pool: pool.id.clone() }.into());
    }
    Ok(())
}

fn keep(
    tx: &mut Tx<'_>,
    pool: &Pool,
    fact: PoolFact,
    now: Timestamp,
) -> Result<Timestamp, OpError> {
    let life = pool::step(pool, fact, now)?;
    tx.update_pool(pool.key, &life)?;
    tx.announce(Change::PoolSize { pool_key: pool.key });
    Ok(life.modified_at)
}

/// Does something with a pool whose conditions hold; answers with its tag.
async fn take(
    call: &Call,
    pool_id: &str,
    act: impl FnOnce(&mut Tx<'_>, &Pool, Timestamp, &mut Outbox) -> Result<Timestamp, OpError>
    + Send
    + 'static,
) -> Result<Answer, Refusal> {
    let conditions = Conditions::of(call)?;
    let (account, pool_id, now) = (call.account.clone(), pool_id.to_owned(), call.now);
    let (modified_at, outbox) = call
        .server
        .store
        .write(move |tx| {
            let pool = find(tx, &account, &pool_id)?;
            conditions.check(pool.life.modified_at)?;
            let mut outbox = Outbox::default();
            Ok::<_, OpError>((act(tx, &pool, now, &mut outbox)?, outbox))
        })
        .await?;
    outbox.send(&call.server);
    Ok(Answer::done(202, call, modified_at))
}
