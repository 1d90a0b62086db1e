//! Samples of the pools that size themselves: taken each half minute, kept in memory.
//!
//! Which pools these are is told by the loop that evaluates their formulas. After a start the
//! histories begin anew, as they do when autoscale is switched on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_domain::autoscale::{History, Metric, Sample};
use kiln_domain::batch::node::NodeState;
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
}

impl Samples {
    /// No samples yet; one is to be taken each `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, histories: Mutex::default() }
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
    server.store.read(|view| match view.pool_by_key(pool_key)? {
        Some(pool) => count(server, view, &pool, clock::now()).map(Some),
        None => Ok(None),
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
    let (mut n_dedicated, mut n_low_priority, mut n_usable) = (0_u32, 0_u32, 0_u32);
    for node in view.nodes_of_pool(pool.key)? {
        if node.life.is_dedicated {
            n_dedicated = n_dedicated.saturating_add(1);
        } else {
            n_low_priority = n_low_priority.saturating_add(1);
        }
        let is_usable = matches!(node.life.state, NodeState::Idle | NodeState::Running);
        n_usable = n_usable.saturating_add(u32::from(is_usable));
    }
    let slots = kept::pool_spec(pool)?.task_slots_per_node;
    let (waiting, running) = (load.waiting as f64, load.running as f64);
    Ok(Sample::new(now)
        .with(Metric::ActiveTasks, waiting)
        .with(Metric::RunningTasks, running)
        .with(Metric::PendingTasks, waiting + running)
        .with(Metric::SucceededTasks, n_succeeded as f64)
        .with(Metric::FailedTasks, n_failed as f64)
        .with(Metric::TaskSlotsPerNode, f64::from(slots))
        .with(Metric::CurrentDedicatedNodes, f64::from(n_dedicated))
        .with(Metric::CurrentLowPriorityNodes, f64::from(n_low_priority))
        .with(Metric::PreemptedNodeCount, 0.0)
        .with(Metric::UsableNodeCount, f64::from(n_usable)))
}
