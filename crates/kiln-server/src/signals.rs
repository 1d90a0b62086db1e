//! What committed changes wake: the board of the dispatch loop, and the reconcilers.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_domain::batch::change::Change;
use kiln_scheduler::Board;
use tokio::sync::Notify;

/// Changes that wait for the next look at the board at the most: more are applied at once.
const COMMITTED_MAX: usize = 16 * 1024;

/// Told of every commit, on the writer's thread and in commit order.
#[derive(Debug, Default)]
pub struct Signals {
    board: Mutex<Board>,
    /// What was committed since the board was last looked at, in order.
    committed: Mutex<Vec<Change>>,
    dispatch: Notify,
    pools: DirtyKeys,
    scaling: DirtyKeys,
    jobs: DirtyKeys,
    dependents: DirtyKeys,
    schedules: DirtyKeys,
    certificates: DirtyKeys,
    kept_nodes: DirtyKeys,
    kept_tasks: Notify,
    gone: Notify,
    /// Whether pools of which tasks change are noted.
    notes_tasks: bool,
    task_pools: DirtyKeys,
}

/// Keys that a reconciler is to look at.
#[derive(Debug, Default)]
pub struct DirtyKeys {
    keys: Mutex<BTreeSet<i64>>,
    wake: Notify,
}

impl Signals {
    /// Nothing is there yet. `notes_tasks` is for those who want to hear of pools of which tasks
    /// come, start and end; it costs a little for each of these tasks.
    pub fn new(notes_tasks: bool) -> Self {
        Self { notes_tasks, ..Self::default() }
    }

    /// Takes over what a commit changed. The writer waits for this: what concerns the board is
    /// left to whoever looks at it next.
    pub fn observe(&self, changes: Vec<Change>) {
        changes.iter().for_each(|change| self.wake(change));
        let n_waiting = {
            let mut committed = self.committed();
            committed.extend(changes);
            committed.len()
        };
        if n_waiting > COMMITTED_MAX {
            drop(self.board());
        }
        self.dispatch.notify_one();
    }

    /// Wakes who looks after what changed, the board aside.
    fn wake(&self, change: &Change) {
        match change {
            Change::PoolSize { pool_key } => self.pools.mark(*pool_key),
            Change::PoolScaling { pool_key } => self.scaling.mark(*pool_key),
            Change::JobEnd { job_key } => self.jobs.mark(*job_key),
            Change::JobDependents { job_key } => self.dependents.mark(*job_key),
            Change::JobSchedule { schedule_key } => self.schedules.mark(*schedule_key),
            Change::Certificate { certificate_key } => self.certificates.mark(*certificate_key),
            Change::PoolGone { .. } => self.gone.notify_waiters(),
            Change::JobGone { .. } => {
                self.kept_tasks.notify_one();
                self.gone.notify_waiters();
            }
            Change::TaskGone { .. } => self.kept_tasks.notify_one(),
            Change::Pool { .. }
            | Change::Node { .. }
            | Change::NodeGone { .. }
            | Change::Job { .. }
            | Change::JobNodeExcluded { .. }
            | Change::JobNodeAdmitted { .. }
            | Change::Task { .. }
            | Change::JobTaskEnd { .. } => {}
        }
    }

    fn committed(&self) -> MutexGuard<'_, Vec<Change>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The board as it is after all that was committed, for a moment.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let committed = std::mem::take(&mut *self.committed());
        for change in committed {
            if let Change::JobTaskEnd { job_key } = change
                && !board.goes_on(job_key)
            {
                self.jobs.mark(job_key);
            }
            if self.notes_tasks
                && let Change::Task { job_key, .. } | Change::TaskGone { job_key, .. } = change
                && let Some(pool_key) = board.pool_of_job(job_key)
            {
                self.task_pools.mark(pool_key);
            }
            board.apply(change);
        }
        board
    }

    /// Waits until the board changed.
    pub async fn board_changed(&self) {
        self.dispatch.notified().await;
    }

    /// Pools to look at.
    pub fn pools(&self) -> &DirtyKeys {
        &self.pools
    }

    /// Certificates to look at.
    pub fn certificates(&self) -> &DirtyKeys {
        &self.certificates
    }

    /// Pools whose sizing themselves is to be looked at.
    pub fn scaling(&self) -> &DirtyKeys {
        &self.scaling
    }

    /// Pools of which tasks came, started or ended, if that is noted.
    pub fn task_pools(&self) -> &DirtyKeys {
        &self.task_pools
    }

    /// Jobs to look at.
    pub fn jobs(&self) -> &DirtyKeys {
        &self.jobs
    }

    /// Jobs in which dependent tasks are to be counted.
    pub fn dependents(&self) -> &DirtyKeys {
        &self.dependents
    }

    /// Job schedules to look at.
    pub fn schedules(&self) -> &DirtyKeys {
        &self.schedules
    }

    /// What nodes left of tasks, by its key: to be looked through.
    pub fn kept_nodes(&self) -> &DirtyKeys {
        &self.kept_nodes
    }

    /// Told each time files of tasks may be due that are kept though their nodes are gone.
    pub fn kept_tasks(&self) -> &Notify {
        &self.kept_tasks
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
