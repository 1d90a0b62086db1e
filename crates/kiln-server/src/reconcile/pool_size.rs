//! Gives each pool the nodes that it is to have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::node::{self, Node, NodeFact, NodeLife, NodeState, Pending, Treatment};
use kiln_domain::batch::pool::{
    self, AllocationState, Pool, PoolFact, PoolLife, PoolSpec, PoolState, ResizeError, Targets,
};
use kiln_domain::batch::sizing::{self, Room};
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use tracing::{error, info};

use super::deadlines::Deadlines;
use crate::batch::Outbox;
use crate::config::Quotas;
use crate::link::reports;
use crate::server::Server;
use crate::{clock, kept, pool_usage, secrets};

/// Looks at pools until it is dropped.
pub async fn run(server: Arc<Server>) {
    let mut deadlines = Deadlines::default();
    loop {
        let keys = tokio::select! {
            biased;
            () = deadlines.next() => deadlines.take_due(clock::now()),
            keys = server.signals.pools().take() => keys,
        };
        for pool_key in keys {
            match settle(&server, pool_key).await {
                Ok(at) => deadlines.set(pool_key, at),
                Err(cause) => {
                    error!(error = %crate::chain(&cause), pool_key, "a pool could not be sized");
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.pools().mark(pool_key);
                }
            }
        }
    }
}

/// Looks at a pool and its nodes; gives the time of the next look, if nothing else asks for it.
async fn settle(server: &Arc<Server>, pool_key: i64) -> Result<Option<Timestamp>, StoreError> {
    let quotas = server.config.quotas;
    let (returns_after, looking) = (server.config.spot.returns_after, Arc::clone(server));
    let looked = server
        .store
        .write(move |tx| {
            let is_vacant = |node_id: &str| !looking.provisioner.is_alive(node_id);
            look(tx, pool_key, quotas, (returns_after, &is_vacant), clock::now())
        })
        .await?;
    let Some(Looked { pool, nodes, next_at, outbox }) = looked else { return Ok(None) };
    outbox.send(server);
    for node in nodes {
        super::nodes::settle(server, &node, &pool).await?;
    }
    Ok(next_at)
}

/// What a look at a pool found and left.
struct Looked {
    pool: Pool,
    nodes: Vec<Node>,
    next_at: Option<Timestamp>,
    outbox: Outbox,
}

fn look(
    tx: &mut Tx<'_>,
    pool_key: i64,
    quotas: Quotas,
    returning: Returning<'_>,
    now: Timestamp,
) -> Result<Option<Looked>, StoreError> {
    let Some(pool) = tx.pool_by_key(pool_key)? else { return Ok(None) };
    let nodes = tx.nodes_of_pool(pool_key)?;
    let mut outbox = Outbox::default();
    let life = match (pool.life.state, pool.life.allocation) {
        (PoolState::Deleting, _) if nodes.is_empty() => {
            tx.delete_pool(pool_key)?;
            tx.announce(Change::PoolGone { pool_key });
            info!(pool = pool.id, "pool deleted");
            return Ok(None);
        }
        (PoolState::Deleting, _) => {
            for node in &nodes {
                retire(tx, &node.id, Treatment::Requeue, now, &mut outbox)?;
            }
            pool.life.clone()
        }
        (PoolState::Active, AllocationState::Resizing) => {
            resize(tx, &pool, &nodes, quotas, now, &mut outbox)?
        }
        (PoolState::Active, AllocationState::Stopping) => stop(tx, &pool, &nodes, now)?,
        (PoolState::Active, AllocationState::Steady) => pool.life.clone(),
    };
    if life != pool.life {
        tx.update_pool(pool_key, &life)?;
    }
    let pool = Pool { life, ..pool };
    let returning_at = return_capacity(tx, pool_key, returning, now)?;
    let next_at = pool.life.resize_deadline().into_iter().chain(returning_at).min();
    Ok(Some(Looked { nodes: tx.nodes_of_pool(pool_key)?, pool, next_at, outbox }))
}

/// Goes on with a resize: adds what is missing, lets go what is too much, and ends it when
/// neither is left to do or its time is over.
fn resize(
    tx: &mut Tx<'_>,
    pool: &Pool,
    nodes: &[Node],
    quotas: Quotas,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<PoolLife, StoreError> {
    let spec = kept::pool_spec(pool)?;
    let room = room(tx, pool, &spec, quotas)?;
    let sizing = sizing::size(&pool.life, nodes, &with_managers(tx, nodes)?, room);
    let mut life = pool.life.clone();
    let added = [(true, sizing.add.dedicated), (false, sizing.add.low_priority)];
    for (is_dedicated, count) in added {
        for _ in 0..count {
            tx.insert_node(&new_node(pool.key, &spec, &mut life, is_dedicated, now))?;
        }
    }
    if sizing.add.dedicated > 0 || sizing.add.low_priority > 0 {
        let (dedicated, low_priority) = (sizing.add.dedicated, sizing.add.low_priority);
        pool_usage::change(tx, pool.key, dedicated.into(), low_priority.into(), now)?;
    }
    for node in nodes.iter().filter(|node| sizing.remove.contains(&node.id)) {
        retire(tx, &node.id, life.treatment, now, outbox)?;
    }
    let is_leaving = |node: &Node| node.life.state == NodeState::LeavingPool;
    let fact = if !tx.nodes_of_pool(pool.key)?.iter().any(is_leaving) {
        finished(sizing.errors)
    } else if life.resize_deadline().is_some_and(|at| at <= now) {
        keep_waiting_nodes(tx, nodes, now)?;
        let message = "The resize did not come to its end within its time";
        PoolFact::ResizeFailed(vec![ResizeError::new("AllocationTimedOut", message)])
    } else {
        return Ok(life);
    };
    Ok(after(pool, life, fact, now))
}

/// Winds down a resize that was called off: what waits to go stays, what goes is gone.
fn stop(
    tx: &mut Tx<'_>,
    pool: &Pool,
    nodes: &[Node],
    now: Timestamp,
) -> Result<PoolLife, StoreError> {
    keep_waiting_nodes(tx, nodes, now)?;
    let nodes = tx.nodes_of_pool(pool.key)?;
    if nodes.iter().any(|node| node.life.state == NodeState::LeavingPool) {
        return Ok(pool.life.clone());
    }
    let count = |is_dedicated| {
        let own = nodes.iter().filter(|node| node.life.is_dedicated == is_dedicated);
        u32::try_from(own.count()).unwrap_or(u32::MAX)
    };
    let present = Targets { dedicated: count(true), low_priority: count(false) };
    let errors = if present == pool.life.targets {
        Vec::new()
    } else {
        vec![ResizeError::new("ResizeStopped", "The resize was stopped by a client")]
    };
    Ok(after(pool, pool.life.clone(), finished(errors), now))
}

fn finished(errors: Vec<ResizeError>) -> PoolFact {
    if errors.is_empty() { PoolFact::SizeReached } else { PoolFact::ResizeFailed(errors) }
}

/// The end of a resize is refused to nobody.
fn after(pool: &Pool, life: PoolLife, fact: PoolFact, now: Timestamp) -> PoolLife {
    let pool = Pool { life, ..pool.clone() };
    pool::step(&pool, fact, now).unwrap_or(pool.life)
}

/// Nodes that wait for their tasks before they go need not go.
fn keep_waiting_nodes(tx: &mut Tx<'_>, nodes: &[Node], now: Timestamp) -> Result<(), StoreError> {
    for node in nodes.iter().filter(|node| node.life.pending != Some(Pending::Turn)) {
        let Some(node) = tx.node(&node.id)? else { continue };
        let life = node::step(&node.life, NodeFact::Stay, now);
        reports::keep_node(tx, &node, &life)?;
    }
    Ok(())
}

/// What the account of a pool may still have, and what a node of the pool takes of it.
fn room(tx: &Tx<'_>, pool: &Pool, spec: &PoolSpec, quotas: Quotas) -> Result<Room, StoreError> {
    let (mut dedicated, mut low_priority) = (0, 0);
    for other in tx.pools_after(&pool.account, "", usize::MAX)? {
        let cores = u64::from(kept::pool_spec(&other)?.cores_per_node());
        for node in tx.nodes_of_pool(other.key)? {
            *(if node.life.is_dedicated { &mut dedicated } else { &mut low_priority }) += cores;
        }
    }
    Ok(Room {
        dedicated_cores: quotas.dedicated_cores.saturating_sub(dedicated),
        low_priority_cores: quotas.low_priority_cores.saturating_sub(low_priority),
        cores_per_node: spec.cores_per_node(),
        is_connected: spec.enable_inter_node_communication,
    })
}

/// The nodes on which a job manager runs: they go last.
fn with_managers(tx: &Tx<'_>, nodes: &[Node]) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for node in nodes.iter().filter(|node| node.life.tasks_running > 0) {
        for task in tx.tasks_of_node(&node.id)? {
            let job = tx.job_by_key(task.job_key)?;
            if job.is_some_and(|job| kept::is_job_manager(&job, &task.id)) {
                found.insert(node.id.clone());
            }
        }
    }
    Ok(found)
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
    let kind = if is_dedicated { 'd' } else { 'p' };
    Node {
        id: format!("tvmps_{}_{kind}", secrets::hex_id()),
        pool_key,
        secret: secrets::key(),
        start_task: None,
        life: NodeLife::new(number, is_dedicated, spec.task_slots_per_node, now),
    }
}

/// A node begins to leave, or to wait for what it has to wait for first.
fn retire(
    tx: &mut Tx<'_>,
    node_id: &str,
    treatment: Treatment,
    now: Timestamp,
    outbox: &mut Outbox,
) -> Result<(), StoreError> {
    // Read anew: one that left before may have taken a task along.
    let Some(node) = tx.node(node_id)? else { return Ok(()) };
    let mut life = node.life.clone();
    reports::treat_tasks(tx, node_id, &mut life, treatment, now, outbox)?;
    life = node::step(&life, NodeFact::Leave(treatment.pending()), now);
    reports::keep_node(tx, &node, &life)
}

/// When a preempted node has a machine again: after this time, and only once the agent on the
/// one that was taken away is gone, whose end is told.
type Returning<'f> = (Duration, &'f dyn Fn(&str) -> bool);

/// Gives preempted nodes a machine again when their time has come; gives the time at which
/// the next one has its turn.
fn return_capacity(
    tx: &mut Tx<'_>,
    pool_key: i64,
    (returns_after, is_vacant): Returning<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut next_at = None;
    for node in tx.nodes_of_pool(pool_key)? {
        if node.life.state != NodeState::Preempted {
            continue;
        }
        let at = node.life.state_at.plus(Span::from_std(returns_after));
        if at <= now && is_vacant(&node.id) {
            let life = node::step(&node.life, NodeFact::CapacityReturned, now);
            reports::keep_node(tx, &node, &life)?;
        } else if at > now {
            next_at = next_at.into_iter().chain([at]).min();
        }
    }
    Ok(next_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kiln_domain::batch::node::{NodeFact, NodeLife, NodeState, RecentTask, Treatment, step};
    use kiln_domain::batch::pool::{self, AllocationState, Pool, PoolFact, PoolLife, Targets};
    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;
    use kiln_store::{Store, StoreError};

    use super::{Looked, look, new_node};
    use crate::config::Quotas;

    const RETURNS_AFTER: Duration = Duration::from_secs(10);

    /// A steady pool of one node that runs a task, which is to go once the task is over.
    async fn waiting(store: &Store) -> i64 {
        store
            .write(|tx| {
                let document = r#"{"id":"p","vmSize":"small","targetDedicatedNodes":1}"#;
                let spec = serde_json::from_str(document).expect("a specification");
                let mut life = PoolLife::new(&spec, Timestamp(0));
                let key = tx.insert_pool("a", "p", document, &life)?;
                let mut node = new_node(key, &spec, &mut life, true, Timestamp(0));
                let task = RecentTask { job_key: 1, task_id: "t".into() };
                for fact in [
                    NodeFact::AgentArrived { waits_for_start_task: false },
                    NodeFact::Booted,
                    NodeFact::TaskPlaced { slots: 1, task },
                ] {
                    node.life = step(&node.life, fact, Timestamp(0));
                }
                tx.insert_node(&node)?;
                let mut pool = tx.pool_by_key(key)?.expect("it was added");
                let targets = Targets { dedicated: 0, low_priority: 0 };
                let treatment = Treatment::TaskCompletion;
                let resized = PoolFact::Resized { targets, timeout: None, treatment };
                for fact in [PoolFact::SizeReached, resized] {
                    pool.life = pool::step(&pool, fact, Timestamp(0)).expect("it may");
                }
                tx.update_pool(key, &pool.life)?;
                Ok::<_, StoreError>(key)
            })
            .await
            .expect("a pool")
    }

    async fn looked_at(store: &Store, key: i64, at: Span) -> (Pool, NodeLife, Option<Timestamp>) {
        looked_at_with(store, key, at, false).await
    }

    /// The same, with the node's agent still there or not.
    async fn looked_at_with(
        store: &Store,
        key: i64,
        at: Span,
        has_agent: bool,
    ) -> (Pool, NodeLife, Option<Timestamp>) {
        let now = Timestamp(0).plus(at);
        let looked = store.write(move |tx| {
            let is_vacant = |_: &str| !has_agent;
            look(tx, key, Quotas::default(), (RETURNS_AFTER, &is_vacant), now)
        });
        let Looked { pool, mut nodes, next_at, .. } =
            looked.await.expect("a look").expect("the pool is there");
        (pool, nodes.remove(0).life, next_at)
    }

    #[tokio::test]
    async fn a_resize_that_takes_too_long_is_given_up() {
        let data = tempfile::tempdir().expect("a directory");
        let store = Store::open(data.path(), Box::new(drop)).expect("a store");
        let key = waiting(&store).await;
        let (pool, node, next_at) = looked_at(&store, key, Span::minutes(1)).await;
        assert_eq!(pool.life.allocation, AllocationState::Resizing);
        assert_eq!(node.state, NodeState::LeavingPool);
        assert_eq!(next_at, Some(Timestamp(0).plus(Span::minutes(15))));
        let (pool, node, next_at) = looked_at(&store, key, Span::minutes(15)).await;
        assert_eq!(pool.life.allocation, AllocationState::Steady);
        assert_eq!(pool.life.resize_errors[0].code, "AllocationTimedOut");
        assert_eq!((node.state, next_at), (NodeState::Running, None));
    }

    #[tokio::test]
    async fn a_preempted_node_waits_for_a_machine() {
        let data = tempfile::tempdir().expect("a directory");
        let store = Store::open(data.path(), Box::new(drop)).expect("a store");
        let key = waiting(&store).await;
        store
            .write(move |tx| {
                let node = tx.nodes_of_pool(key)?.remove(0);
                let life = step(&node.life, NodeFact::Preempted, Timestamp(0));
                let mut pool = tx.pool_by_key(key)?.expect("it was added").life;
                pool.targets.dedicated = 1;
                tx.update_pool(key, &pool)?;
                tx.update_node(&node.id, &life)
            })
            .await
            .expect("a preempted node");
        let (_, node, next_at) = looked_at(&store, key, Span::seconds(9)).await;
        assert_eq!(node.state, NodeState::Preempted);
        assert_eq!(next_at, Some(Timestamp(0).plus(Span::seconds(10))));
        // Its agent is not gone yet: what was to end it may have failed.
        let (_, node, next_at) = looked_at_with(&store, key, Span::seconds(10), true).await;
        assert_eq!((node.state, next_at), (NodeState::Preempted, None));
        let (_, node, _) = looked_at(&store, key, Span::seconds(10)).await;
        assert_eq!((node.state, node.allocated_at), (NodeState::Creating, Timestamp(0)));
    }
}
