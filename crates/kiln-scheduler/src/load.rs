//! How much a pool has to do.

use crate::board::Board;
use crate::job::Job;

/// How much a pool has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Tasks that may start and wait; each instance of a task counts.
    pub waiting: u64,
    /// Tasks on nodes; each instance of a task counts.
    pub running: u64,
    /// The store's keys of its jobs.
    pub job_keys: Vec<i64>,
}

impl Board {
    /// How much a pool has to do, whether it is there yet or not. Tasks of jobs that start none
    /// do not wait: a job that was terminated keeps some for ever.
    pub fn load_of(&self, account: &str, pool_id: &str) -> Load {
        let name = (account.to_owned(), pool_id.to_ascii_lowercase());
        let mut load = Load::default();
        for (key, job) in self.jobs.iter().filter(|(_, job)| job.pool == name) {
            load.job_keys.push(*key);
            load.waiting = load.waiting.saturating_add(waiting(job));
            let running = job.placed().map(|placed| u64::from(placed.shape.instances)).sum();
            load.running = load.running.saturating_add(running);
        }
        load
    }

    /// The pool that runs a job, once both are there.
    pub fn pool_of_job(&self, job_key: i64) -> Option<i64> {
        self.pool_key(&self.jobs.get(&job_key)?.pool)
    }
}

fn waiting(job: &Job) -> u64 {
    if !job.terms.is_open {
        return 0;
    }
    let mut waiting = 0_u64;
    for (shape, tasks) in &job.waiting {
        let n_tasks = u64::try_from(tasks.len()).unwrap_or(u64::MAX);
        waiting = waiting.saturating_add(n_tasks.saturating_mul(u64::from(shape.instances)));
    }
    waiting
}
