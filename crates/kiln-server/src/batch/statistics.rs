//! Statistics: of resources, where a client expands them, and of all there ever were.

use kiln_domain::batch::job::Job;
use kiln_domain::batch::job_schedule::JobSchedule;
use kiln_domain::batch::pool::Pool;
use kiln_domain::batch::pool_usage::{Consumption, Meter};
use kiln_domain::batch::task::Task;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{AccountKind, JobUsage, PoolUsage, View};
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::statistics::{
    Covered, PoolFigures, of_jobs as jobs_tree, of_pool, of_pools, of_task, url,
};
use kiln_wire::batch::{Shape, metadata};
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;
use super::page::Page;

/// `GET /lifetimejobstats`.
pub(super) fn lifetime_of_jobs(call: &Call) -> Result<Answer, Refusal> {
    let tree = call.server.store.read(|view| {
        let account = view.account(AccountKind::Batch, &call.account)?;
        let from = account.map_or(call.now, |account| account.created_at);
        let nothing = JobUsage { tally: Default::default(), updated_at: from };
        let JobUsage { tally, updated_at } = view.usage_of_jobs(&call.account)?.unwrap_or(nothing);
        let url = format!("{}/lifetimejobstats", call.base_url);
        Ok::<_, OpError>(jobs_tree(&tally, Covered { from, until: updated_at }, &url))
    })?;
    Page::of(call, Shape::JobStatistics, None)?.single(metadata::JOB_STATISTICS, tree)
}

/// `GET /lifetimepoolstats`.
pub(super) fn lifetime_of_pools(call: &Call) -> Result<Answer, Refusal> {
    let tree = call.server.store.read(|view| {
        let account = view.account(AccountKind::Batch, &call.account)?;
        let from = account.map_or(call.now, |account| account.created_at);
        let meters = view.pool_meters(&call.account)?;
        let figures = figures(view.usage_of_pools(&call.account)?, &meters, from, call.now);
        let url = format!("{}/lifetimepoolstats", call.base_url);
        Ok::<_, OpError>(of_pools(&figures, &url))
    })?;
    Page::of(call, Shape::PoolStatistics, None)?.single(metadata::POOL_STATISTICS, tree)
}

/// Adds its statistics to a pool, once it had a node.
pub(super) fn add_to_pool(
    view: &View<'_>,
    pool: &Pool,
    now: Timestamp,
    tree: &mut Value,
) -> Result<(), OpError> {
    if let Some(usage) = view.usage_of_pool(pool.key)? {
        let meter = view.pool_meter(pool.key)?;
        let figures = figures(Some(usage), meter.as_slice(), pool.life.created_at, now);
        let stats = of_pool(&figures, &url_of(tree));
        add(tree, stats);
    }
    Ok(())
}

/// What was kept, with the time of cores that is not kept yet.
fn figures(
    kept: Option<PoolUsage>,
    meters: &[Meter],
    from: Timestamp,
    now: Timestamp,
) -> PoolFigures {
    let nothing = PoolUsage {
        updated_at: from,
        dedicated_core_time: Span::ZERO,
        consumption: Consumption::default(),
    };
    let kept = kept.unwrap_or(nothing);
    let turning = meters.iter().filter(|meter| meter.machines.total() > 0);
    let until = if turning.clone().next().is_some() { now } else { kept.updated_at };
    let open = turning.map(|meter| meter.dedicated_until(now));
    PoolFigures {
        dedicated_core_time: open.fold(kept.dedicated_core_time, Span::plus),
        usage_covers: Covered { from, until },
        consumption: kept.consumption,
        resources_cover: Covered { from, until: kept.updated_at },
    }
}

/// Adds its statistics to a job, once it has some.
pub(super) fn add_to_job(view: &View<'_>, job: &Job, tree: &mut Value) -> Result<(), OpError> {
    if let Some(JobUsage { tally, updated_at }) = view.usage_of_job(job.key)? {
        let covered = Covered { from: job.life.created_at, until: updated_at };
        let stats = jobs_tree(&tally, covered, &url_of(tree));
        add(tree, stats);
    }
    Ok(())
}

/// Adds the statistics of all jobs it ever made to a job schedule, once there are some.
pub(super) fn add_to_schedule(
    view: &View<'_>,
    schedule: &JobSchedule,
    tree: &mut Value,
) -> Result<(), OpError> {
    if let Some(JobUsage { tally, updated_at }) = view.usage_of_schedule(schedule.key)? {
        let covered = Covered { from: schedule.life.created_at, until: updated_at };
        let stats = jobs_tree(&tally, covered, &url_of(tree));
        add(tree, stats);
    }
    Ok(())
}

/// Adds its statistics to a task, once it has some.
pub(super) fn add_to_task(task: &Task, tree: &mut Value) {
    if let Some(stats) = of_task(&task.life, &url_of(tree)) {
        add(tree, stats);
    }
}

/// The URL of the statistics of a resource that knows its own.
fn url_of(tree: &Value) -> String {
    url(tree.get("url").and_then(Value::as_str).unwrap_or_default())
}

fn add(tree: &mut Value, stats: Value) {
    if let Value::Object(members) = tree {
        members.insert("stats".to_owned(), stats);
    }
}
