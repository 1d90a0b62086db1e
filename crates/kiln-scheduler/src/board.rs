//! What waits and what is free.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use kiln_domain::batch::change::Change;
use kiln_domain::batch::task::TaskState;

/// Names a pool before its key is known: the account, and the id in lower case.
pub(crate) type PoolName = (String, String);

/// What waits and what is free, for all accounts.
#[derive(Debug, Default)]
pub struct Board {
    pub(crate) pools: BTreeMap<i64, Pool>,
    pub(crate) jobs: BTreeMap<i64, Job>,
    keys: HashMap<PoolName, i64>,
    queues: HashMap<PoolName, BTreeSet<(Reverse<i32>, i64)>>,
    changed: BTreeSet<i64>,
}

/// A pool and its nodes.
#[derive(Debug)]
pub(crate) struct Pool {
    name: PoolName,
    pub(crate) packs: bool,
    pub(crate) nodes: BTreeMap<String, Node>,
}

/// A node as far as placing tasks goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    /// Slots that may be in use at once; 0 when it takes no task.
    pub(crate) slots: u32,
    /// Slots in use.
    pub(crate) used: u32,
}

/// A job and its waiting tasks.
#[derive(Debug)]
pub(crate) struct Job {
    pool: PoolName,
    priority: i32,
    pub(crate) is_open: bool,
    pub(crate) parallel_tasks_max: Option<u32>,
    pub(crate) waiting: BTreeMap<i64, Waiting>,
    placed: BTreeMap<Box<str>, Placed>,
}

/// A task that waits; its sequence is its key.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: Box<str>,
    pub(crate) slots: u32,
}

/// A task that is on a node.
#[derive(Debug)]
struct Placed {
    node_id: Box<str>,
    slots: u32,
}

impl Job {
    /// Tasks that may start now, by the job's own limit.
    pub(crate) fn may_start(&self) -> usize {
        let limit =
            self.parallel_tasks_max.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(0));
        if self.is_open { limit.saturating_sub(self.placed.len()) } else { 0 }
    }
}

impl Board {
    /// Takes over a committed change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Pool { pool_key, account, pool_id, packs } => {
                let name = (account, pool_id.to_ascii_lowercase());
                self.keys.insert(name.clone(), pool_key);
                let pool = self.pools.entry(pool_key).or_insert_with(|| Pool {
                    name,
                    packs,
                    nodes: BTreeMap::new(),
                });
                pool.packs = packs;
                self.changed.insert(pool_key);
            }
            Change::PoolGone { pool_key } => {
                if let Some(pool) = self.pools.remove(&pool_key)
                    && self.keys.get(&pool.name) == Some(&pool_key)
                {
                    self.keys.remove(&pool.name);
                }
            }
            Change::Node { pool_key, node_id, slots } => {
                if let Some(pool) = self.pools.get_mut(&pool_key) {
                    pool.nodes.entry(node_id).or_default().slots = slots;
                    self.changed.insert(pool_key);
                }
            }
            Change::NodeGone { pool_key, node_id } => {
                if let Some(pool) = self.pools.get_mut(&pool_key) {
                    pool.nodes.remove(&node_id);
                }
            }
            Change::Job { job_key, account, pool_id, priority, is_open, parallel_tasks_max } => {
                let pool = (account, pool_id.to_ascii_lowercase());
                self.put_job(job_key, pool, priority, is_open, parallel_tasks_max);
            }
            Change::JobGone { job_key } => self.remove_job(job_key),
            Change::Task { job_key, task_id, sequence, slots, state, node_id } => {
                let task = Waiting { id: task_id.into(), slots };
                let node_id =
                    node_id.filter(|_| matches!(state, TaskState::Preparing | TaskState::Running));
                let is_waiting = state == TaskState::Active;
                self.put_task(job_key, sequence, task, is_waiting, node_id);
            }
            Change::TaskGone { job_key, task_id } => self.forget_task(job_key, &task_id),
            // These speak to the reconcilers.
            Change::PoolSize { .. } | Change::JobEnd { .. } | Change::JobSchedule { .. } => {}
            // Its tasks are refused when they are assigned there.
            Change::JobNodeExcluded { .. } | Change::JobNodeAdmitted { .. } => {}
        }
    }

    /// The pools that changed since this was last asked: what [`crate::plan`] is for.
    pub fn take_changed(&mut self) -> BTreeSet<i64> {
        std::mem::take(&mut self.changed)
    }

    /// Says that a pool is to be looked at again.
    pub fn mark_changed(&mut self, pool_key: i64) {
        self.changed.insert(pool_key);
    }

    /// The jobs of a pool, the most urgent first.
    pub(crate) fn jobs_of(&self, pool: &Pool) -> impl Iterator<Item = (i32, i64)> {
        let queue = self.queues.get(&pool.name);
        queue.into_iter().flatten().map(|(priority, key)| (priority.0, *key))
    }

    fn put_job(
        &mut self,
        job_key: i64,
        pool: PoolName,
        priority: i32,
        is_open: bool,
        parallel_tasks_max: Option<u32>,
    ) {
        let (waiting, placed) = match self.jobs.remove(&job_key) {
            Some(job) => {
                self.unqueue(&job, job_key);
                (job.waiting, job.placed)
            }
            None => Default::default(),
        };
        self.queues.entry(pool.clone()).or_default().insert((Reverse(priority), job_key));
        self.mark_pool_of(&pool);
        let job = Job { pool, priority, is_open, parallel_tasks_max, waiting, placed };
        self.jobs.insert(job_key, job);
    }

    fn remove_job(&mut self, job_key: i64) {
        let Some(job) = self.jobs.remove(&job_key) else { return };
        self.unqueue(&job, job_key);
        for placed in job.placed.values() {
            self.free(&job.pool, placed);
        }
    }

    fn unqueue(&mut self, job: &Job, job_key: i64) {
        if let Some(queue) = self.queues.get_mut(&job.pool) {
            queue.remove(&(Reverse(job.priority), job_key));
            if queue.is_empty() {
                self.queues.remove(&job.pool);
            }
        }
    }

    /// A task waits, or is on a node, or neither: then it has completed.
    fn put_task(
        &mut self,
        job_key: i64,
        sequence: i64,
        task: Waiting,
        is_waiting: bool,
        node_id: Option<String>,
    ) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        let pool = job.pool.clone();
        let left = job.placed.remove(&task.id);
        job.waiting.remove(&sequence);
        if is_waiting {
            job.waiting.insert(sequence, task);
        } else if let Some(node_id) = node_id {
            let placed = Placed { node_id: node_id.into(), slots: task.slots };
            if let Some(node) = Self::node_mut(&mut self.pools, &self.keys, &pool, &placed) {
                node.used = node.used.saturating_add(task.slots);
            }
            job.placed.insert(task.id, placed);
        }
        if let Some(left) = left {
            self.free(&pool, &left);
        }
        self.mark_pool_of(&pool);
    }

    fn forget_task(&mut self, job_key: i64, task_id: &str) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        let pool = job.pool.clone();
        match job.placed.remove(task_id) {
            Some(left) => self.free(&pool, &left),
            // Deleting a waiting task is rare: its sequence is looked for.
            None => job.waiting.retain(|_, waiting| &*waiting.id != task_id),
        }
    }

    fn free(&mut self, pool: &PoolName, left: &Placed) {
        if let Some(node) = Self::node_mut(&mut self.pools, &self.keys, pool, left) {
            node.used = node.used.saturating_sub(left.slots);
        }
        self.mark_pool_of(pool);
    }

    fn node_mut<'a>(
        pools: &'a mut BTreeMap<i64, Pool>,
        keys: &HashMap<PoolName, i64>,
        pool: &PoolName,
        placed: &Placed,
    ) -> Option<&'a mut Node> {
        pools.get_mut(keys.get(pool)?)?.nodes.get_mut(&*placed.node_id)
    }

    fn mark_pool_of(&mut self, pool: &PoolName) {
        if let Some(key) = self.keys.get(pool) {
            self.changed.insert(*key);
        }
    }
}
