//! The board of the dispatch loop, built once from what is kept.

use kiln_domain::batch::change::Change;
use kiln_domain::batch::job::JobState;
use kiln_domain::batch::pool::TaskSchedulingPolicy;
use kiln_store::{Store, StoreError};

use crate::signals::Signals;
use crate::{dispatch, kept};

/// Open tasks of one job that are read at once.
const REBUILD_TASKS: usize = 10_000;

/// Builds the board from what is kept; gives the highest sequence of a waiting task.
pub(super) fn rebuild(store: &Store, signals: &Signals) -> Result<i64, StoreError> {
    let mut last_sequence = 0;
    store.read(|view| {
        for pool in view.all_pools()? {
            let policy = kept::pool_spec(&pool).map_or_else(
                |_damaged| TaskSchedulingPolicy::default(),
                |spec| spec.task_scheduling_policy,
            );
            let (pool_key, account, pool_id) = (pool.key, pool.account, pool.id);
            let mut changes = vec![
                Change::Pool { pool_key, account, pool_id, policy },
                Change::PoolScaling { pool_key },
            ];
            for node in view.nodes_of_pool(pool_key)? {
                let (slots, is_dedicated) = (node.life.open_slots(), node.life.is_dedicated);
                changes.push(Change::Node { pool_key, node_id: node.id, slots, is_dedicated });
            }
            signals.observe(changes);
        }
        for job in view.all_jobs()? {
            // A job that has ended takes no part any more, whatever waits in it.
            if job.life.state == JobState::Completed {
                continue;
            }
            let Ok(spec) = kept::job_spec(&job) else { continue };
            signals.observe(vec![
                crate::batch::job_change(&job, &spec),
                Change::JobEnd { job_key: job.key },
            ]);
            let mut after = 0;
            loop {
                let tasks = view.open_tasks_after(job.key, after, REBUILD_TASKS)?;
                let Some(last) = tasks.last() else { break };
                after = last.sequence;
                last_sequence = last_sequence.max(after);
                let changes =
                    tasks.iter().map(|task| dispatch::task_change(task, &task.life)).collect();
                signals.observe(changes);
            }
        }
        Ok(last_sequence)
    })
}
