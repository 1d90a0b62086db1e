//! What committed changes wake: the board of the dispatch loop, and the reconcilers.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_domain::batch::change::Change;
use kiln_scheduler::Board;
use tokio::sync::Notify;

/// Told of every commit, on the writer's thread and in commit order.
#[derive(Debug, Default)]
pub struct Signals {
    board: Mutex<Board>,
    dispatch: Notify,
    pools: DirtyKeys,
    jobs: DirtyKeys,
    schedules: DirtyKeys,
    gone: Notify,
}

/// Keys that a reconciler is to look at.
#[derive(Debug, Default)]
pub struct DirtyKeys {
    keys: Mutex<BTreeSet<i64>>,
    wake: Notify,
}

impl Signals {
    /// Takes over what a commit changed.
    pub fn observe(&self, changes: Vec<Change>) {
        let mut board = self.board();
        for change in changes {
            match &change {
                Change::PoolSize { pool_key } => self.pools.mark(*pool_key),
                Change::JobEnd { job_key } => self.jobs.mark(*job_key),
                Change::JobSchedule { schedule_key } => self.schedules.mark(*schedule_key),
                Change::PoolGone { .. } | Change::JobGone { .. } => self.gone.notify_waiters(),
                Change::Pool { .. }
                | Change::Node { .. }
                | Change::NodeGone { .. }
                | Change::Job { .. }
                | Change::JobNodeExcluded { .. }
                | Change::JobNodeAdmitted { .. }
                | Change::Task { .. }
                | Change::TaskGone { .. } => {}
            }
            board.apply(change);
        }
        drop(board);
        self.dispatch.notify_one();
    }

    /// The board, for a moment.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the board changed.
    pub async fn board_changed(&self) {
        self.dispatch.notified().await;
    }

    /// Pools to look at.
    pub fn pools(&self) -> &DirtyKeys {
        &self.pools
    }

    /// Jobs to look at.
    pub fn jobs(&self) -> &DirtyKeys {
        &self.jobs
    }

    /// Job schedules to look at.
    pub fn schedules(&self) -> &DirtyKeys {
        &self.schedules
    }

    /// Told each time a pool or a job is gone.
    pub fn gone(&self) -> &Notify {
        &self.gone
    }
}

impl DirtyKeys {
    /// Asks for a look at `key`.
    pub fn mark(&self, key: i64) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.wake.notify_one();
    }

    /// The keys to look at; waits until there is one.
    pub async fn take(&self) -> BTreeSet<i64> {
        loop {
            let keys =
                std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
            if !keys.is_empty() {
                return keys;
            }
            self.wake.notified().await;
        }
    }
}
