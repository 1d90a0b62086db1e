//! Samples of the pools that size themselves: taken each half minute, kept in memory.
//!
//! Which pools these are is told by the loop that evaluates their formulas. After a start the
//! histories begin anew, as they do when autoscale is switched on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_domain::autoscale::{History, Measurement, Metric, Reading, Sample, measured};
use kiln_domain::batch::node::{NodeLife, NodeState};
use kiln_domain::batch::pool::Pool;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, View};
use tracing::error;

use crate::server::Server;
use crate::{clock, kept};

/// Samples of the pools that size themselves.
#[derive(Debug)]
pub struct Samples {
    period: Duration,
    histories: Mutex<HashMap<i64, History>>,
    /// What the nodes that are linked measured last.
    nodes: Mutex<HashMap<String, Reading>>,
}

impl Samples {
    /// No samples yet; one is to be taken each `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, histories: Mutex::default(), nodes: Mutex::default() }
    }

    /// Samples a pool from now on.
    pub fn begin(&self, pool_key: i64) {
        self.histories().entry(pool_key).or_insert_with(|| History::new(Span::of_std(self.period)));
    }

    /// Forgets a pool.
    pub fn end(&self, pool_key: i64) {
        self.histories().remove(&pool_key);
    }

    /// What `f` makes of the history of a pool, which may be empty.
    pub fn with<T>(&self, pool_key: i64, f: impl FnOnce(&History) -> T) -> T {
        match self.histories().get(&pool_key) {
            Some(history) => f(history),
            None => f(&History::new(Span::of_std(self.period))),
        }
    }

    /// A node measured itself.
    pub fn measured(&self, node_id: &str, now: Measurement) {
        let mut nodes = self.nodes();
        match nodes.get_mut(node_id) {
            Some(reading) => reading.now = now,
            None => drop(nodes.insert(node_id.to_owned(), Reading { before: None, now })),
        }
    }

    /// A node is not heard of any more.
    pub fn forget_node(&self, node_id: &str) {
        self.nodes().remove(node_id);
    }

    /// What nodes measured since the last time they were asked for.
    fn take_readings(&self, node_ids: impl Iterator<Item = String>) -> Vec<Reading> {
        let mut nodes = self.nodes();
        let mut readings = Vec::new();
        for node_id in node_ids {
            if let Some(reading) = nodes.get_mut(&node_id) {
                readings.push(*reading);
                reading.before = Some(reading.now);
            }
        }
        readings
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<String, Reading>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> Vec<i64> {
        self.histories().keys().copied().collect()
    }

    fn push(&self, pool_key: i64, sample: Sample) {
        if let Some(history) = self.histories().get_mut(&pool_key) {
            history.push(sample);
        }
    }

    fn histories(&self) -> MutexGuard<'_, HashMap<i64, History>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes samples until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        clock::pause(server.samples.period).await;
        for pool_key in server.samples.keys() {
            match take(&server, pool_key) {
                Ok(Some(sample)) => server.samples.push(pool_key, sample),
                Ok(None) => {}
                Err(cause) => {
                    error!(error = %crate::chain(&cause), pool_key, "a pool could not be sampled");
                }
            }
        }
    }
}

fn take(server: &Server, pool_key: i64) -> Result<Option<Sample>, StoreError> {
    server.store.read(|view| {
        let Some(pool) = view.pool_by_key(pool_key)? else { return Ok(None) };
        let nodes = view.nodes_of_pool(pool_key)?;
        let readings = server.samples.take_readings(nodes.into_iter().map(|node| node.id));
        let counted = count(server, view, &pool, clock::now())?;
        Ok(Some(measured(counted, &readings)))
    })
}

/// What can be counted of a pool at this moment.
pub fn count(
    server: &Server,
    view: &View<'_>,
    pool: &Pool,
    now: Timestamp,
) -> Result<Sample, StoreError> {
    let load = server.signals.board().load_of(&pool.account, &pool.id);
    let (mut n_succeeded, mut n_failed) = (0_i64, 0_i64);
    for job_key in load.job_keys {
        let counts = view.task_counts(job_key)?;
        n_succeeded = n_succeeded.saturating_add(counts.succeeded.tasks);
        n_failed = n_failed.saturating_add(counts.failed.tasks);
    }
    let nodes = view.nodes_of_pool(pool.key)?;
    let n_nodes =
        |is_so: fn(&NodeLife) -> bool| nodes.iter().filter(|node| is_so(&node.life)).count() as f64;
    let slots = kept::pool_spec(pool)?.task_slots_per_node;
    let (waiting, running) = (load.waiting as f64, load.running as f64);
    Ok(Sample::new(now)
        .with(Metric::ActiveTasks, waiting)
        .with(Metric::RunningTasks, running)
        .with(Metric::PendingTasks, waiting + running)
        .with(Metric::SucceededTasks, n_succeeded as f64)
        .with(Metric::FailedTasks, n_failed as f64)
        .with(Metric::TaskSlotsPerNode, f64::from(slots))
        .with(Metric::CurrentDedicatedNodes, n_nodes(|life| life.is_dedicated))
        .with(Metric::CurrentLowPriorityNodes, n_nodes(|life| !life.is_dedicated))
        .with(Metric::PreemptedNodeCount, n_nodes(|life| life.state == NodeState::Preempted))
        .with(
            Metric::UsableNodeCount,
            n_nodes(|life| matches!(life.state, NodeState::Idle | NodeState::Running)),
        ))
}
