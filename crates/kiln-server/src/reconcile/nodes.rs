//! Starts the agents of nodes, and deals with their ends.

use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{self, Node, NodeError, NodeFact, NodeState};
use kiln_domain::batch::pool::Pool;
use kiln_domain::time::{TICKS_PER_SECOND, Timestamp};
use kiln_provision::Exit;
use kiln_store::{StoreError, Tx};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::batch::Outbox;
use crate::clock;
use crate::link::reports;
use crate::preparation::Steps;
use crate::server::Server;

/// An agent that ends sooner than this after its start is not started again.
const LIFE_MIN_TICKS: i64 = 3 * TICKS_PER_SECOND;

/// Takes in the ends of agents until it is dropped.
pub async fn run(server: Arc<Server>, mut exits: mpsc::Receiver<Exit>) {
    while let Some(Exit { node_id }) = exits.recv().await {
        while let Err(cause) = check(&server, &node_id, End::Seen).await {
            error!(error = %crate::chain(&cause), node_id, "a node could not be looked after");
            clock::pause(clock::AFTER_FAILURE).await;
        }
    }
}

/// After a start: finds the agents that outlived the last server and sees to the others.
///
/// # Errors
/// When the store fails.
pub async fn recover(server: &Arc<Server>) -> Result<(), StoreError> {
    let pools = server.store.read(|view| view.all_pools())?;
    let mut known = Vec::new();
    for pool in pools {
        for node in server.store.read(|view| view.nodes_of_pool(pool.key))? {
            if server.provisioner.adopt(&node.id) {
                info!(node_id = node.id, "the agent lives on");
            } else {
                check(server, &node.id, End::Found).await?;
            }
            known.push(node.id);
        }
        server.signals.pools().mark(pool.key);
    }
    for directory in server.provisioner.directories() {
        if !known.contains(&directory) {
            server.provisioner.kill(&directory);
            remove_directory(server, &directory);
        }
    }
    Ok(())
}

/// Ends the agent of a node that lives but has no link, and did not come back in time: its
/// end is seen then, and the node is started again.
///
/// # Errors
/// When the store fails.
pub fn end_unheard(server: &Server, node_id: &str, incarnation: &str) -> Result<(), StoreError> {
    if server.links.is_up(node_id) {
        return Ok(());
    }
    let node = server.store.read(|view| view.node(node_id))?;
    let is_same = node.is_some_and(|node| {
        node.life.state != NodeState::Unknown
            && node.life.incarnation.as_deref() == Some(incarnation)
    });
    if is_same {
        warn!(node_id, "the agent of a node is not heard of; it is ended");
        server.provisioner.kill(node_id);
    }
    Ok(())
}

/// How it is known that an agent does not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was seen to end.
    Seen,
    /// It was not there when looked for: it may never have been started.
    Found,
}

/// The agent of a node does not live: a leaving node is gone, any other is started again.
pub(super) async fn check(server: &Arc<Server>, node_id: &str, end: End) -> Result<(), StoreError> {
    let id = node_id.to_owned();
    let now = clock::now();
    let lost = server.store.write(move |tx| lose(tx, &id, end, now)).await?;
    match lost {
        Lost::Unknown => {}
        Lost::Gone => remove_directory(server, node_id),
        Lost::Again(node, pool) => {
            warn!(node_id, "the agent of a node was lost; it is started again");
            start(server, &node, &pool).await?;
        }
        Lost::Hopeless => {
            warn!(
                node_id,
                "the agent of a node ends at once; the node is unusable: see its agent.log"
            );
        }
    }
    Ok(())
}

enum Lost {
    Unknown,
    Gone,
    Again(Box<Node>, Box<Pool>),
    Hopeless,
}

fn lose(tx: &mut Tx<'_>, node_id: &str, end: End, now: Timestamp) -> Result<Lost, StoreError> {
    let Some(node) = tx.node(node_id)? else { return Ok(Lost::Unknown) };
    let Some(pool) = tx.pool_by_key(node.pool_key)? else { return Ok(Lost::Unknown) };
    if node.life.state == NodeState::LeavingPool {
        Steps::new(tx, now, &mut Outbox::default()).on_node_lost(node_id)?;
        tx.delete_node(node_id)?;
        tx.announce(Change::PoolSize { pool_key: node.pool_key });
        return Ok(Lost::Gone);
    }
    let mut life = node.life.clone();
    reports::lose_tasks(tx, node_id, &mut life, now)?;
    // Asked of the time before this loss is written.
    let is_hopeless = life.state != NodeState::Idle
        && life.state != NodeState::Running
        && now.0.saturating_sub(life.state_at.0) < LIFE_MIN_TICKS
        && (end == End::Seen || life.incarnation.is_some());
    life = if is_hopeless {
        let error = NodeError {
            code: "AgentFailed".to_owned(),
            message: "The agent of the node ended as soon as it was started.".to_owned(),
            details: Vec::new(),
        };
        node::step(&life, NodeFact::BootFailed(error), now)
    } else {
        node::step(&life, NodeFact::AgentLost, now)
    };
    reports::keep_node(tx, &node, &life)?;
    if is_hopeless {
        return Ok(Lost::Hopeless);
    }
    Ok(Lost::Again(Box::new(Node { life, ..node }), Box::new(pool)))
}

/// Starts the agent of a node.
pub(super) async fn start(
    server: &Arc<Server>,
    node: &Node,
    pool: &Pool,
) -> Result<(), StoreError> {
    let config = server.node_config(node, pool);
    let config = serde_json::to_vec(&config).expect("settings of a node are always JSON");
    let Err(cause) = server.provisioner.start(&node.id, &config).await else {
        // It may have left its pool while its agent was being started.
        if server.store.read(|view| view.node(&node.id))?.is_none() {
            server.provisioner.kill(&node.id);
        }
        return Ok(());
    };
    error!(error = %crate::chain(&cause), node_id = node.id, "a node could not be started");
    let message = crate::chain(&cause).to_string();
    let (id, now) = (node.id.clone(), clock::now());
    server
        .store
        .write(move |tx| {
            let Some(node) = tx.node(&id)? else { return Ok(()) };
            let code = "NodeStartFailed".to_owned();
            let error = NodeError { code, message, details: Vec::new() };
            let life = node::step(&node.life, NodeFact::BootFailed(error), now);
            reports::keep_node(tx, &node, &life)
        })
        .await
}

fn remove_directory(server: &Server, node_id: &str) {
    if let Err(cause) = server.provisioner.remove_directory(node_id) {
        warn!(error = %crate::chain(&cause), node_id, "the directory of a node is left behind");
    }
}
