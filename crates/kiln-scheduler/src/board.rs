//! What waits and what is free.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::{JobDefaultOrder, TaskSchedulingPolicy};
use kiln_domain::batch::task::TaskState;

use crate::hold::Waiter;
use crate::job::{Job, Placed, Shape, Terms, Turn, Waiting};
use crate::pool::{Pool, PoolName};

/// What waits and what is free, for all accounts.
#[derive(Debug, Default)]
pub struct Board {
    pub(crate) pools: BTreeMap<i64, Pool>,
    pub(crate) jobs: BTreeMap<i64, Job>,
    keys: HashMap<PoolName, i64>,
    /// The jobs that have a task that may start, by pool.
    queues: HashMap<PoolName, BTreeSet<Turn>>,
    /// The jobs that have tasks on nodes which may give way, by pool.
    givers: HashMap<PoolName, BTreeSet<(i32, i64)>>,
    /// The jobs that have tasks on nodes, by pool.
    running: HashMap<PoolName, BTreeSet<(i32, i64)>>,
    /// The jobs whose managers wait to run again, by pool.
    restarting: HashMap<PoolName, BTreeSet<Turn>>,
    /// The tasks for which room is kept, by the keys of their pools.
    held: BTreeMap<i64, Waiter>,
    /// Counts the tasks that were placed.
    n_placed: u64,
    changed: BTreeSet<i64>,
    /// What waited in jobs that are gone: it may be a million tasks, and freeing them takes time.
    pub(crate) forgotten: Vec<BTreeMap<i64, Waiting>>,
}

/// Tasks of jobs that are gone that are freed with each change.
const FREED_PER_CHANGE: usize = 32;

impl Board {
    /// Takes over a committed change.
    pub fn apply(&mut self, change: Change) {
        self.free_some();
        match change {
            Change::Pool { pool_key, account, pool_id, policy, is_connected } => {
                let name = (account, pool_id.to_ascii_lowercase());
                self.put_pool(pool_key, name, policy, is_connected);
            }
            Change::PoolGone { pool_key } => self.remove_pool(pool_key),
            Change::Node { pool_key, node_id, slots, is_dedicated } => {
                if let Some(pool) = self.pools.get_mut(&pool_key) {
                    pool.offer(&node_id, slots, is_dedicated);
                    self.changed.insert(pool_key);
                }
            }
            Change::NodeGone { pool_key, node_id } => self.remove_node(pool_key, &node_id),
            Change::Job {
                job_key,
                account,
                pool_id,
                priority,
                is_open,
                parallel_tasks_max,
                allows_preemption,
            } => {
                let pool = (account, pool_id.to_ascii_lowercase());
                let terms = Terms { priority, is_open, parallel_tasks_max, allows_preemption };
                self.put_job(job_key, pool, terms);
            }
            Change::JobGone { job_key } => self.remove_job(job_key),
            Change::JobNodeExcluded { job_key, node_id } => {
                self.admit_node(job_key, node_id, false);
            }
            Change::JobNodeAdmitted { job_key, node_id } => self.admit_node(job_key, node_id, true),
            Change::Task {
                job_key,
                task_id,
                sequence,
                needs,
                state,
                displaces,
                is_ready,
                node_ids,
            } => {
                self.forget_task(job_key, sequence);
                let shape = Shape::of(&needs, displaces);
                match state {
                    TaskState::Active if is_ready => {
                        self.wait(job_key, sequence, shape, task_id, needs.affinity);
                    }
                    TaskState::Preparing | TaskState::Running => {
                        self.place(job_key, sequence, shape, task_id, node_ids);
                    }
                    TaskState::Active | TaskState::Completed => {}
                }
                self.after(job_key);
            }
            Change::TaskGone { job_key, sequence } => {
                self.forget_task(job_key, sequence);
                self.after(job_key);
            }
            // These speak to the reconcilers.
            Change::PoolSize { .. }
            | Change::PoolScaling { .. }
            | Change::JobEnd { .. }
            | Change::JobTaskEnd { .. }
            | Change::JobDependents { .. }
            | Change::JobSchedule { .. }
            | Change::Certificate { .. } => {}
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

    /// Whether a job takes its turns and has tasks, on nodes or waiting for one.
    pub fn goes_on(&self, job_key: i64) -> bool {
        self.jobs.get(&job_key).is_some_and(Job::goes_on)
    }

    /// The key of a pool that is there.
    pub(crate) fn pool_key(&self, name: &PoolName) -> Option<i64> {
        self.keys.get(name).copied()
    }

    /// The jobs of a pool of which tasks may start, in the order of their turns.
    pub(crate) fn turns_of(&self, pool: &Pool) -> impl Iterator<Item = Turn> {
        self.queues.get(&pool.name).into_iter().flatten().copied()
    }

    /// The jobs of a pool whose managers wait to run again, in the order of their turns.
    pub(crate) fn restarting(&self, pool: &Pool) -> impl Iterator<Item = Turn> {
        self.restarting.get(&pool.name).into_iter().flatten().copied()
    }

    /// The jobs of a pool with tasks on nodes, the least urgent first.
    pub(crate) fn running_of(&self, pool: &Pool) -> impl Iterator<Item = (i32, i64, &Job)> {
        let running = self.running.get(&pool.name).into_iter().flatten();
        running.filter_map(|(priority, key)| Some((*priority, *key, self.jobs.get(key)?)))
    }

    /// How many tasks were placed so far.
    pub(crate) fn n_placed(&self) -> u64 {
        self.n_placed
    }

    /// The task for which room of a pool is kept.
    pub(crate) fn held_in(&self, pool_key: i64) -> Option<Waiter> {
        self.held.get(&pool_key).copied()
    }

    /// Keeps room in a pool for the task that a plan says, and for no other.
    pub fn hold(&mut self, pool_key: i64, waiter: Option<Waiter>) {
        match waiter {
            Some(waiter) => self.held.insert(pool_key, waiter),
            None => self.held.remove(&pool_key),
        };
    }

    /// The jobs of a pool whose tasks on nodes may give way, the least urgent first.
    pub(crate) fn givers_of(&self, pool: &Pool) -> impl Iterator<Item = (i32, i64, &Job)> {
        let givers = self.givers.get(&pool.name).into_iter().flatten();
        givers.filter_map(|(priority, key)| Some((*priority, *key, self.jobs.get(key)?)))
    }

    fn put_pool(
        &mut self,
        key: i64,
        name: PoolName,
        policy: TaskSchedulingPolicy,
        is_connected: bool,
    ) {
        self.keys.insert(name.clone(), key);
        let pool = self.pools.entry(key).or_insert_with(|| Pool::new(name.clone(), policy));
        pool.policy = policy;
        pool.is_connected = is_connected;
        self.changed.insert(key);
        // Its jobs may have queued before it was there, or in another order.
        let queued: Vec<i64> =
            self.queues.get(&name).into_iter().flatten().map(|it| it.key).collect();
        for job_key in queued {
            self.after(job_key);
        }
    }

    fn remove_pool(&mut self, pool_key: i64) {
        self.held.remove(&pool_key);
        if let Some(pool) = self.pools.remove(&pool_key)
            && self.keys.get(&pool.name) == Some(&pool_key)
        {
            self.keys.remove(&pool.name);
        }
    }

    fn remove_node(&mut self, pool_key: i64, node_id: &str) {
        if let Some(pool) = self.pools.get_mut(&pool_key) {
            pool.remove(node_id);
        }
    }

    fn admit_node(&mut self, job_key: i64, node_id: String, is_admitted: bool) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        if is_admitted {
            job.excluded.remove(&*node_id);
            self.after(job_key);
        } else {
            job.excluded.insert(node_id.into());
        }
    }

    fn put_job(&mut self, job_key: i64, pool: PoolName, terms: Terms) {
        let moves = self.jobs.get(&job_key).is_some_and(|job| job.pool != pool);
        if moves {
            self.unqueue(job_key);
        }
        let job = self.jobs.entry(job_key).or_insert_with(|| Job::new(pool.clone(), terms));
        job.pool = pool;
        job.terms = terms;
        self.after(job_key);
    }

    fn remove_job(&mut self, job_key: i64) {
        self.unqueue(job_key);
        let Some(job) = self.jobs.remove(&job_key) else { return };
        for placed in job.placed() {
            self.free(&job.pool, placed);
        }
        self.forgotten.extend(job.waiting.into_values());
    }

    fn free_some(&mut self) {
        for _ in 0..FREED_PER_CHANGE {
            let Some(tasks) = self.forgotten.last_mut() else { return };
            if tasks.pop_first().is_none() {
                self.forgotten.pop();
            }
        }
    }

    fn wait(
        &mut self,
        job_key: i64,
        sequence: i64,
        shape: Shape,
        id: String,
        affinity: Option<String>,
    ) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        job.wait(sequence, shape, Waiting { id: id.into(), affinity: affinity.map(Box::from) });
    }

    fn place(
        &mut self,
        job_key: i64,
        sequence: i64,
        shape: Shape,
        id: String,
        node_ids: Vec<String>,
    ) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        self.n_placed = self.n_placed.saturating_add(1);
        job.served = self.n_placed;
        if let Some(pool) = self.keys.get(&job.pool).and_then(|key| self.pools.get_mut(key)) {
            for id in &node_ids {
                pool.take(id, shape);
            }
        }
        let node_ids = node_ids.into_iter().map(Box::from).collect();
        job.place(sequence, Placed { id: id.into(), shape, node_ids });
    }

    fn forget_task(&mut self, job_key: i64, sequence: i64) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        if let Some(placed) = job.forget(sequence) {
            let pool = job.pool.clone();
            self.free(&pool, &placed);
        }
    }

    fn free(&mut self, pool: &PoolName, placed: &Placed) {
        let Some(key) = self.keys.get(pool) else { return };
        if let Some(pool) = self.pools.get_mut(key) {
            for id in &placed.node_ids {
                pool.give_back(id, placed.shape);
            }
        }
        self.changed.insert(*key);
    }

    /// A job changed: it takes its place in the queue of its pool, which is to be looked at.
    fn after(&mut self, job_key: i64) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        let key = self.keys.get(&job.pool);
        let pool = key.and_then(|key| self.pools.get(key));
        let order = pool.map_or(JobDefaultOrder::None, |pool| pool.policy.job_default_order);
        let turn = job.turn(job_key, order);
        put(&mut self.queues, &job.pool, &mut job.queued, turn);
        let restarting = turn.filter(|turn| turn.restarts.0);
        put(&mut self.restarting, &job.pool, &mut job.restarts, restarting);
        let giving = job.giving(job_key);
        put(&mut self.givers, &job.pool, &mut job.gives, giving);
        let running = job.running(job_key);
        put(&mut self.running, &job.pool, &mut job.runs, running);
        self.changed.extend(key);
    }

    fn unqueue(&mut self, job_key: i64) {
        let Some(job) = self.jobs.get_mut(&job_key) else { return };
        put(&mut self.queues, &job.pool, &mut job.queued, None);
        put(&mut self.restarting, &job.pool, &mut job.restarts, None);
        put(&mut self.givers, &job.pool, &mut job.gives, None);
        put(&mut self.running, &job.pool, &mut job.runs, None);
    }
}

/// Moves a job to its place among others of its pool, or away from them.
fn put<P: Ord + Copy>(
    places: &mut HashMap<PoolName, BTreeSet<P>>,
    pool: &PoolName,
    known: &mut Option<P>,
    place: Option<P>,
) {
    if *known == place {
        return;
    }
    let others = places.entry(pool.clone()).or_default();
    if let Some(left) = std::mem::replace(known, place) {
        others.remove(&left);
    }
    others.extend(place);
    if others.is_empty() {
        places.remove(pool);
    }
}
