//! Gives each pool the nodes that it is to have.

use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{self, Node, NodeFact, NodeLife, NodeState};
use kiln_domain::batch::pool::{self, Pool, PoolFact, PoolLife, PoolSpec, PoolState};
use kiln_domain::batch::task::TaskFact;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use kiln_wire::node::ToAgent;
use tracing::{error, info};

use super::nodes::End;
use crate::link::reports;
use crate::server::Server;
use crate::{clock, kept, secrets};

/// Looks at pools until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        for pool_key in server.signals.pools().take().await {
            if let Err(cause) = settle(&server, pool_key).await {
                error!(error = %crate::chain(&cause), pool_key, "a pool could not be sized");
                clock::pause(clock::AFTER_FAILURE).await;
                server.signals.pools().mark(pool_key);
            }
        }
    }
}

/// What is left to do after a commit.
#[derive(Debug, Default)]
struct Todo {
    start: Vec<Node>,
    leave: Vec<String>,
}

async fn settle(server: &Arc<Server>, pool_key: i64) -> Result<(), StoreError> {
    let looked = server.store.write(move |tx| look(tx, pool_key, clock::now())).await?;
    let Some((pool, todo)) = looked else { return Ok(()) };
    for node_id in todo.leave {
        if server.links.is_up(&node_id) {
            server.links.send(&node_id, [ToAgent::Leave]);
        } else {
            server.provisioner.kill(&node_id);
            super::nodes::check(server, &node_id, End::Found).await?;
        }
    }
    for node in todo.start {
        super::nodes::start(server, &node, &pool).await?;
    }
    Ok(())
}

fn look(
    tx: &mut Tx<'_>,
    pool_key: i64,
    now: Timestamp,
) -> Result<Option<(Pool, Todo)>, StoreError> {
    let Some(pool) = tx.pool_by_key(pool_key)? else { return Ok(None) };
    let nodes = tx.nodes_of_pool(pool_key)?;
    let mut life = pool.life.clone();
    let mut todo = Todo::default();
    for is_dedicated in [true, false] {
        let mut staying: Vec<&Node> = nodes
            .iter()
            .filter(|node| node.life.is_dedicated == is_dedicated)
            .filter(|node| node.life.state != NodeState::LeavingPool)
            .collect();
        let wanted = usize::try_from(life.wanted(is_dedicated)).unwrap_or(usize::MAX);
        if staying.len() < wanted {
            let spec = kept::pool_spec(&pool)?;
            for _ in staying.len()..wanted {
                let node = new_node(pool_key, &spec, &mut life, is_dedicated, now);
                tx.insert_node(&node)?;
                todo.start.push(node);
            }
        }
        // Those with least to lose go first, the newest of them before the oldest.
        staying.sort_by_key(|node| (node.life.tasks_running, std::cmp::Reverse(node.life.number)));
        for node in staying.iter().take(staying.len().saturating_sub(wanted)) {
            retire(tx, node, now)?;
            todo.leave.push(node.id.clone());
        }
    }
    // Repeated for nodes that leave already: the command may have been lost.
    let leaving = nodes.iter().filter(|node| node.life.state == NodeState::LeavingPool);
    todo.leave.extend(leaving.map(|node| node.id.clone()));
    if pool.life.state == PoolState::Deleting && nodes.is_empty() {
        tx.delete_pool(pool_key)?;
        tx.announce(Change::PoolGone { pool_key });
        info!(pool = pool.id, "pool deleted");
        return Ok(None);
    }
    if todo.leave.is_empty()
        && let Ok(steady) =
            pool::step(&Pool { life: life.clone(), ..pool.clone() }, PoolFact::SizeReached, now)
    {
        life = steady;
    }
    if life != pool.life {
        tx.update_pool(pool_key, &life)?;
    }
    Ok(Some((pool, todo)))
}

fn new_node(
    pool_key: i64,
    spec: &PoolSpec,
    pool_life: &mut PoolLife,
    is_dedicated: bool,
    now: Timestamp,
) -> Node {
    pool_life.nodes_made = pool_life.nodes_made.saturating_add(1);
    let number = pool_life.nodes_made;
    let mut life = NodeLife::new(number, is_dedicated, spec.task_slots_per_node, now);
    life.start_task.clone_from(&spec.start_task);
    let kind = if is_dedicated { 'd' } else { 'p' };
    Node {
        id: format!("tvmps_{}_{kind}", secrets::hex_id()),
        pool_key,
        secret: secrets::key(),
        life,
    }
}

/// A node begins to leave: its tasks wait again.
fn retire(tx: &mut Tx<'_>, node: &Node, now: Timestamp) -> Result<(), StoreError> {
    let mut life = node.life.clone();
    reports::take_tasks_off(tx, &node.id, &mut life, &TaskFact::Requeued, now)?;
    life = node::step(&life, NodeFact::Leave, now);
    tx.update_node(&node.id, &life)?;
    tx.announce(Change::NodeGone { pool_key: node.pool_key, node_id: node.id.clone() });
    Ok(())
}
