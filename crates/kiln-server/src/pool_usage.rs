//! Counts what pools use: time of cores whenever their machines come or go and now and then,
//! and what their nodes measure.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_domain::autoscale::Measurement;
use kiln_domain::batch::node::{Node, NodeLife};
use kiln_domain::batch::pool::{Pool, PoolSpec};
use kiln_domain::batch::pool_usage::{Consumption, CoreTime, Machines, Meter, end_of, interval_of};
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{MeteredPool, PoolUsage, StoreError, Tx, View};
use tracing::error;

use crate::server::Server;
use crate::{clock, kept};

/// Pools whose use is counted in one commit at the most.
const POOLS_PER_COMMIT_MAX: usize = 200;

/// What nodes measured since it was last kept.
#[derive(Debug, Default)]
pub struct Measured(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The latest measurement of each node that is linked.
    nodes: HashMap<String, Measurement>,
    /// What nodes took, by the keys of their pools.
    taken: BTreeMap<i64, (MeteredPool, Consumption)>,
}

impl Measured {
    /// A node of a pool measured itself.
    pub fn add(&self, pool: &MeteredPool, node_id: &str, now: Measurement) {
        let mut inner = self.inner();
        let before = inner.nodes.insert(node_id.to_owned(), now);
        let took = before
            .map_or_else(|| Consumption::at(&now), |before| Consumption::between(&before, &now));
        inner.add(pool, &took);
    }

    /// A node is not heard of any more.
    pub fn forget_node(&self, node_id: &str) {
        self.inner().nodes.remove(node_id);
    }

    fn take(&self) -> BTreeMap<i64, (MeteredPool, Consumption)> {
        std::mem::take(&mut self.inner().taken)
    }

    /// What was taken could not be kept: it is kept with what comes.
    fn give_back(&self, taken: BTreeMap<i64, (MeteredPool, Consumption)>) {
        let mut inner = self.inner();
        for (pool, took) in taken.into_values() {
            inner.add(&pool, &took);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, pool: &MeteredPool, took: &Consumption) {
        let sum = self.taken.entry(pool.key);
        let (_, sum) = sum.or_insert_with(|| (pool.clone(), Consumption::default()));
        *sum = sum.plus(took);
    }
}

/// How a pool is called where its use is kept.
pub(crate) fn named(pool: &Pool, spec: &PoolSpec) -> MeteredPool {
    let (account, id) = (pool.account.clone(), pool.id.clone());
    MeteredPool { key: pool.key, account, id, vm_size: spec.vm_size.clone() }
}

/// Counts until it is dropped: each so often, and at the end of each interval.
pub async fn run(server: Arc<Server>) {
    let mut counted_at = clock::now();
    loop {
        let interval_ends_in = end_of(interval_of(counted_at)).since(clock::now());
        clock::pause(server.config.usage_period.min(interval_ends_in)).await;
        let now = clock::now();
        if let Err(cause) = count_all(&server, counted_at, now).await {
            error!(error = %crate::chain(&cause), "what pools use could not be counted");
            clock::pause(clock::AFTER_FAILURE).await;
        }
        counted_at = now;
    }
}

/// Keeps what nodes measured since `before`, and counts time until `now`.
async fn count_all(
    server: &Arc<Server>,
    before: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let taken = server.measured.take();
    let kept = taken.clone();
    let keeping = server.store.write(move |tx| keep_measured(tx, &kept, before, now)).await;
    if keeping.is_err() {
        server.measured.give_back(taken);
    }
    keeping?;
    let mut after = 0;
    loop {
        let next = move |view: &View<'_>| view.metered_pools_after(after, POOLS_PER_COMMIT_MAX);
        let keys = server.store.read(next)?;
        let Some(last) = keys.last() else { return Ok(()) };
        after = *last;
        let counting =
            move |tx: &mut Tx<'_>| keys.into_iter().try_for_each(|key| change(tx, key, 0, 0, now));
        server.store.write(counting).await?;
    }
}

fn keep_measured(
    tx: &mut Tx<'_>,
    taken: &BTreeMap<i64, (MeteredPool, Consumption)>,
    before: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let interval = interval_of(before);
    let until = end_of(interval).min(now);
    let time = CoreTime { interval, until, dedicated: Span::ZERO, all: Span::ZERO };
    for (pool, consumption) in taken.values() {
        let consumption = *consumption;
        let usage = PoolUsage { updated_at: now, dedicated_core_time: Span::ZERO, consumption };
        tx.add_pool_usage(pool, &usage)?;
        tx.add_pool_interval(pool, &time, &consumption)?;
    }
    Ok(())
}

/// A node changed, or went (nothing is after): its machine may count no more, or again.
pub(crate) fn on_node(
    tx: &mut Tx<'_>,
    pool_key: i64,
    before: &NodeLife,
    after: Option<&NodeLife>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let by = match (before.has_machine(), after.is_some_and(NodeLife::has_machine)) {
        (true, true) | (false, false) => return Ok(()),
        (true, false) => -1,
        (false, true) => 1,
    };
    let (dedicated, low_priority) = if before.is_dedicated { (by, 0) } else { (0, by) };
    change(tx, pool_key, dedicated, low_priority, now)
}

/// Counts what a pool used until now; from now on it has so many machines more, or fewer.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    pool_key: i64,
    dedicated: i64,
    low_priority: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(pool) = tx.pool_by_key(pool_key)? else { return Ok(()) };
    let spec = kept::pool_spec(&pool)?;
    let meter = meter_of(tx, pool_key, &spec, now)?;
    count(tx, &named(&pool, &spec), &meter, now)?;
    let machines = meter.machines.changed(dedicated, low_priority);
    tx.put_pool_meter(pool_key, &Meter::new(machines, spec.cores_per_node(), now))
}

fn meter_of(
    view: &View<'_>,
    pool_key: i64,
    spec: &PoolSpec,
    now: Timestamp,
) -> Result<Meter, StoreError> {
    let new = || Meter::new(Machines::default(), spec.cores_per_node(), now);
    Ok(view.pool_meter(pool_key)?.unwrap_or_else(new))
}

/// Adds what a meter counts to all that it is part of.
fn count(
    tx: &mut Tx<'_>,
    pool: &MeteredPool,
    meter: &Meter,
    now: Timestamp,
) -> Result<(), StoreError> {
    let nothing = Consumption::default();
    let mut dedicated_core_time = Span::ZERO;
    for time in meter.count(now) {
        dedicated_core_time = dedicated_core_time.plus(time.dedicated);
        tx.add_pool_interval(pool, &time, &nothing)?;
    }
    let usage = PoolUsage { updated_at: now, dedicated_core_time, consumption: nothing };
    tx.add_pool_usage(pool, &usage)
}

/// After a start: what was used meanwhile counts for the nodes whose agents went on.
///
/// # Errors
/// When the store fails.
pub async fn begin(server: &Arc<Server>) -> Result<(), StoreError> {
    let now = clock::now();
    let mut found = Vec::new();
    for pool in server.store.read(|view| view.all_pools())? {
        let nodes = server.store.read(|view| view.nodes_of_pool(pool.key))?;
        let living = nodes.iter().filter(|node| server.provisioner.is_alive(&node.id));
        found.push((pool, machines_of(nodes.iter()), machines_of(living)));
    }
    let keeping = move |tx: &mut Tx<'_>| {
        for (pool, machines, living) in found {
            let spec = kept::pool_spec(&pool)?;
            let meter = Meter { machines: living, ..meter_of(tx, pool.key, &spec, now)? };
            if machines.total() > 0 || meter.machines.total() > 0 {
                count(tx, &named(&pool, &spec), &meter, now)?;
                let meter = Meter::new(machines, spec.cores_per_node(), now);
                tx.put_pool_meter(pool.key, &meter)?;
            }
        }
        Ok(())
    };
    server.store.write(keeping).await
}

fn machines_of<'n>(nodes: impl Iterator<Item = &'n Node>) -> Machines {
    let with_machine = nodes.filter(|node| node.life.has_machine());
    with_machine.fold(Machines::default(), |sum, node| {
        if node.life.is_dedicated { sum.changed(1, 0) } else { sum.changed(0, 1) }
    })
}
