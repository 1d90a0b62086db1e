//! Starts the agents of nodes, and deals with their ends.

use std::sync::Arc;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{self, Node, NodeError, NodeFact, NodeLife, NodeState, Pending};
use kiln_domain::batch::pool::Pool;
use kiln_domain::limits::AGENT_QUICK_ENDS_MAX;
use kiln_domain::time::{TICKS_PER_SECOND, Timestamp};
use kiln_provision::Exit;
use kiln_store::{StoreError, Tx, View};
use kiln_wire::node::ToAgent;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::kept_files;
use crate::batch::Outbox;
use crate::link::{self, reports};
use crate::preparation::Steps;
use crate::secrets;
use crate::server::Server;
use crate::{clock, pool_usage};

/// An agent that ends sooner than this after its start may be one that always will.
const LIFE_MIN_TICKS: i64 = 3 * TICKS_PER_SECOND;

/// Takes in the ends of agents until it is dropped.
pub async fn run(server: Arc<Server>, mut exits: mpsc::Receiver<Exit>) {
    while let Some(Exit { node_id, pid }) = exits.recv().await {
        while let Err(cause) = check(&server, &node_id, End::Seen { pid }).await {
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
                let (incarnation, within) =
                    (node.life.incarnation, server.config.heartbeat_deadline);
                server.unheard.expect(&node.id, incarnation, clock::tick(), within);
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

/// Does what is left to do for a node where it stands: starts its agent, ends it, or tells it
/// to boot once more.
pub(super) async fn settle(
    server: &Arc<Server>,
    node: &Node,
    pool: &Pool,
) -> Result<(), StoreError> {
    match wanted(&node.life) {
        Wanted::Nothing => Ok(()),
        Wanted::Agent if server.provisioner.is_alive(&node.id) => Ok(()),
        Wanted::Agent => start(server, node, pool).await,
        Wanted::End if !server.provisioner.is_alive(&node.id) => {
            check(server, &node.id, End::Found).await
        }
        Wanted::End if server.links.is_up(&node.id) => {
            server.links.send(&node.id, [ToAgent::Leave]);
            Ok(())
        }
        Wanted::End | Wanted::NoAgent => {
            server.provisioner.kill(&node.id);
            Ok(())
        }
        Wanted::Boot if server.links.is_up(&node.id) => boot_again(server, &node.id).await,
        // It is told when it links.
        Wanted::Boot => Ok(()),
        Wanted::WordOfRetention => {
            server.links.send(&node.id, [ToAgent::AwaitRetention]);
            Ok(())
        }
    }
}

/// What is left to do for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// An agent, which it does not have yet.
    Agent,
    /// The end of the agent it had, so that its operation goes on.
    End,
    /// No agent: its machine is gone, without a word.
    NoAgent,
    /// One more boot by the agent it has.
    Boot,
    /// Word that the files of its tasks were kept for long enough.
    WordOfRetention,
}

fn wanted(life: &NodeLife) -> Wanted {
    match (life.state, life.pending) {
        (NodeState::Preempted | NodeState::Deallocated, _) => Wanted::NoAgent,
        _ if !life.wants_agent() => Wanted::End,
        // One that had an agent is seen to when that one ends.
        (NodeState::Creating | NodeState::Starting, _) if life.incarnation.is_none() => {
            Wanted::Agent
        }
        (NodeState::Rebooting, Some(Pending::Turn)) => Wanted::Boot,
        (_, Some(Pending::RetainedData)) => Wanted::WordOfRetention,
        (_, _) => Wanted::Nothing,
    }
}

/// Tells the living agent of a node to boot once more.
async fn boot_again(server: &Arc<Server>, node_id: &str) -> Result<(), StoreError> {
    let (id, now) = (node_id.to_owned(), clock::now());
    let ordered = server
        .store
        .write(move |tx| {
            let Some(node) = tx.node(&id)? else { return Ok(None) };
            let Some(pool) = tx.pool_by_key(node.pool_key)? else { return Ok(None) };
            let ordered = |waits_for_start_task| NodeFact::BootOrdered { waits_for_start_task };
            let life = reports::begin_boot(tx, &node, &pool, &node.life, ordered, now)?;
            reports::keep_node(tx, &node, &life)?;
            let node = tx.node(&id)?;
            Ok::<_, StoreError>(node.map(|node| (pool, node)))
        })
        .await?;
    if let Some((pool, node)) = ordered {
        server.links.send(node_id, [link::prepare(server, &pool, &node)?]);
    }
    Ok(())
}

/// How it is known that an agent does not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was seen to end.
    Seen {
        /// Its process.
        pid: i32,
    },
    /// It was not there when looked for: it may never have been started.
    Found,
}

/// The agent of a node does not live: what follows depends on where the node stands.
pub(super) async fn check(server: &Arc<Server>, node_id: &str, end: End) -> Result<(), StoreError> {
    if let End::Seen { pid } = end
        && server.provisioner.has_another(node_id, pid)
    {
        return Ok(());
    }
    let (id, now) = (node_id.to_owned(), clock::now());
    let account = server.store.read(|view| account_of_ended(view, node_id, now))?;
    let left = match account {
        // Before it is written that it is gone, or begins anew: it does so only without its files.
        Some(account) => retire(server, node_id, &account).await?,
        None => None,
    };
    let (lost, outbox) = server
        .store
        .write(move |tx| {
            let mut outbox = Outbox::default();
            Ok::<_, StoreError>((lose(tx, &id, end, now, &mut outbox)?, outbox))
        })
        .await?;
    outbox.send(server);
    if let Some(key) = left {
        server.signals.kept_nodes().mark(key);
    }
    match lost {
        Lost::Unknown => {}
        Lost::Gone => remove_directory(server, node_id),
        Lost::Again(node, pool) => {
            info!(node_id, "the agent of a node ended; another one is started");
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
    /// There is no such node.
    Unknown,
    /// It left its pool, or has no machine.
    Gone,
    /// It begins anew.
    Again(Box<Node>, Box<Pool>),
    /// It would only end again.
    Hopeless,
}

fn lose(
    tx: &mut Tx<'_>,
    node_id: &str,
    end: End,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<Lost, StoreError> {
    let Some(node) = tx.node(node_id)? else { return Ok(Lost::Unknown) };
    let Some(pool) = tx.pool_by_key(node.pool_key)? else { return Ok(Lost::Unknown) };
    let mut life = node.life.clone();
    reports::lose_tasks(tx, node_id, &mut life, now, outbox)?;
    if node.life.state == NodeState::LeavingPool {
        let pool_key = node.pool_key;
        Steps::new(tx, now, outbox).on_node_lost(node_id)?;
        tx.delete_node(node_id)?;
        pool_usage::on_node(tx, pool_key, &life, None, now)?;
        tx.announce(Change::NodeGone { pool_key, node_id: node.id });
        tx.announce(Change::PoolSize { pool_key });
        return Ok(Lost::Gone);
    }
    if ends_at_once(&life, end, now) {
        life.quick_ends = life.quick_ends.saturating_add(1);
    }
    let is_hopeless = life.quick_ends >= AGENT_QUICK_ENDS_MAX;
    let fact = if is_hopeless {
        let message = "The agent of the node ended as soon as it was started, several times.";
        life.quick_ends = 0;
        NodeFact::Failed(NodeError::new("AgentFailed", message))
    } else {
        NodeFact::AgentLost
    };
    life = node::step(&life, fact, now);
    reports::keep_node(tx, &node, &life)?;
    if life.state == NodeState::Preempted {
        // It may have waited for this to have a machine again.
        tx.announce(Change::PoolSize { pool_key: node.pool_key });
    }
    Ok(if is_hopeless {
        Lost::Hopeless
    } else if life.wants_agent() {
        Lost::Again(Box::new(Node { life, ..node }), Box::new(pool))
    } else {
        Lost::Gone
    })
}

/// Whether an agent that ended would do so again and again: it did nothing yet, and that for
/// a moment only.
fn ends_at_once(life: &NodeLife, end: End, now: Timestamp) -> bool {
    let is_young = now.0.saturating_sub(life.state_at.0) < LIFE_MIN_TICKS;
    let was_there = matches!(end, End::Seen { .. }) || life.incarnation.is_some();
    let is_booting = matches!(
        life.state,
        NodeState::Creating
            | NodeState::Starting
            | NodeState::WaitingForStartTask
            | NodeState::StartTaskFailed
            | NodeState::Unusable
            | NodeState::Unknown
    );
    is_booting && is_young && was_there
}

/// Starts the agent of a node.
pub(super) async fn start(
    server: &Arc<Server>,
    node: &Node,
    pool: &Pool,
) -> Result<(), StoreError> {
    let secret = secrets::key();
    let (id, kept) = (node.id.clone(), secret.clone());
    // Drawn for each agent: one before it that is still about proves nothing any more.
    server.store.write(move |tx| tx.update_node_secret(&id, &kept)).await?;
    let node = &Node { secret, ..node.clone() };
    let config = server.node_config(node, pool);
    let config = serde_json::to_vec(&config).expect("settings of a node are always JSON");
    let Err(cause) = server.provisioner.start(&node.id, &config).await else {
        // It may have been told to go while its agent was being started.
        match server.store.read(|view| view.node(&node.id))? {
            Some(now) if now.life.wants_agent() => {
                let incarnation = now.life.incarnation;
                let within = server.config.hello_deadline;
                server.unheard.expect(&node.id, incarnation, clock::tick(), within);
            }
            Some(_) | None => server.provisioner.kill(&node.id),
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
            let error = NodeError::new("NodeStartFailed", message);
            let life = node::step(&node.life, NodeFact::Failed(error), now);
            reports::keep_node(tx, &node, &life)
        })
        .await
}

/// The account of a node that ends with its agent, or begins anew without its files; `None` when
/// another agent goes on with them.
fn account_of_ended(
    view: &View<'_>,
    node_id: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let Some(node) = view.node(node_id)? else { return Ok(None) };
    let begins_anew = node.life.state == NodeState::Reimaging;
    let goes_on = node::step(&node.life, NodeFact::AgentLost, now).wants_agent();
    if goes_on && !begins_anew {
        return Ok(None);
    }
    Ok(view.pool_by_key(node.pool_key)?.map(|pool| pool.account))
}

/// Takes what a node left out of its place: what it has of tasks is kept, the rest is removed.
async fn retire(
    server: &Arc<Server>,
    node_id: &str,
    account: &str,
) -> Result<Option<i64>, StoreError> {
    let left = kept_files::take_over(server, node_id, account).await?;
    remove_directory(server, node_id);
    Ok(left)
}

fn remove_directory(server: &Server, node_id: &str) {
    if let Err(cause) = server.provisioner.remove_directory(node_id) {
        warn!(error = %crate::chain(&cause), node_id, "the directory of a node is left behind");
    }
}
