//! The board of the dispatch loop, built once from what is kept.

use std::collections::HashMap;

use kiln_domain::batch::change::Change;
use kiln_domain::batch::pool::TaskSchedulingPolicy;
use kiln_domain::batch::task::Task;
use kiln_store::{Store, StoreError};

use crate::batch::{task_change, waiting_change};
use crate::kept;
use crate::signals::Signals;

/// Waiting tasks of one job that are read at once.
const REBUILD_TASKS: usize = 10_000;

/// Builds the board from what is kept of all that has not completed.
pub(super) fn rebuild(store: &Store, signals: &Signals) -> Result<(), StoreError> {
    store.read(|view| {
        for pool in view.all_pools()? {
            let (policy, is_connected) = kept::pool_spec(&pool).map_or_else(
                |_damaged| (TaskSchedulingPolicy::default(), false),
                |spec| (spec.task_scheduling_policy, spec.takes_gangs()),
            );
            let (pool_key, account, pool_id) = (pool.key, pool.account, pool.id);
            let mut changes = vec![
                Change::Pool { pool_key, account, pool_id, policy, is_connected },
                Change::PoolScaling { pool_key },
            ];
            for node in view.nodes_of_pool(pool_key)? {
                let (slots, is_dedicated) = (node.life.open_slots(), node.life.is_dedicated);
                changes.push(Change::Node { pool_key, node_id: node.id, slots, is_dedicated });
            }
            signals.observe(changes);
        }
        for schedule_key in view.all_job_schedule_keys()? {
            signals.observe(vec![Change::JobSchedule { schedule_key }]);
        }
        for certificate_key in view.all_certificate_keys()? {
            signals.observe(vec![Change::Certificate { certificate_key }]);
        }
        for job_key in view.jobs_with_turns()? {
            signals.observe(vec![Change::JobDependents { job_key }]);
        }
        let mut on_nodes: HashMap<i64, Vec<Task>> = HashMap::new();
        for task in view.tasks_on_nodes()? {
            on_nodes.entry(task.job_key).or_default().push(task);
        }
        for job in view.open_jobs()? {
            let Ok(spec) = kept::job_spec(&job) else { continue };
            signals.observe(vec![
                crate::batch::job_change(&job, &spec),
                Change::JobEnd { job_key: job.key },
            ]);
            for node_id in view.excluded_nodes(job.key)? {
                signals.observe(vec![Change::JobNodeExcluded { job_key: job.key, node_id }]);
            }
            let on_nodes = on_nodes.remove(&job.key).unwrap_or_default();
            signals.observe(on_nodes.iter().map(|task| task_change(task, &task.life)).collect());
            let mut after = 0;
            loop {
                let tasks = view.waiting_tasks_after(job.key, after, REBUILD_TASKS)?;
                let Some(last) = tasks.last() else { break };
                after = last.sequence;
                signals.observe(tasks.into_iter().map(|it| waiting_change(job.key, it)).collect());
            }
        }
        Ok(())
    })
}
