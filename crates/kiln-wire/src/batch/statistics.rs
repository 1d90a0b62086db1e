//! Statistics in the newest shape.

use kiln_domain::batch::pool_usage::Consumption;
use kiln_domain::batch::task::TaskLife;
use kiln_domain::batch::usage::Tally;
use kiln_domain::span::Span;
use kiln_domain::time::{TICKS_PER_SECOND, Timestamp};
use serde_json::Value;

use super::resource::Tree;

/// Bytes of one GiB, in which the service counts.
const GIB: f64 = 1_073_741_824.0;
const SECONDS_PER_HOUR: i64 = 3600;

/// The time that statistics cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// From when on.
    pub from: Timestamp,
    /// When they last changed.
    pub until: Timestamp,
}

/// The URL of a resource's statistics.
pub fn url(resource_url: &str) -> String {
    format!("{resource_url}/stats")
}

/// What the runs of a task took; `None` as long as none was counted.
pub fn of_task(life: &TaskLife, url: &str) -> Option<Value> {
    let usage = life.usage?;
    let sum = usage.sum;
    let mut tree = begun(url, Covered { from: life.created_at, until: usage.counted_at });
    set_span(&mut tree, "userCPUTime", sum.user_cpu);
    set_span(&mut tree, "kernelCPUTime", sum.kernel_cpu);
    set_span(&mut tree, "wallClockTime", sum.wall_clock);
    tree.set("readIOps", sum.read_ops);
    tree.set("writeIOps", sum.write_ops);
    tree.set("readIOGiB", gib_of(sum.read_bytes));
    tree.set("writeIOGiB", gib_of(sum.write_bytes));
    set_span(&mut tree, "waitTime", life.waited());
    Some(tree.into_value())
}

/// The sums over the tasks of a job, of a job schedule or of an account.
pub fn of_jobs(tally: &Tally, covered: Covered, url: &str) -> Value {
    let mut tree = begun(url, covered);
    set_span(&mut tree, "userCPUTime", tally.user_cpu);
    set_span(&mut tree, "kernelCPUTime", tally.kernel_cpu);
    set_span(&mut tree, "wallClockTime", tally.wall_clock);
    tree.set("readIOps", tally.read_ops);
    tree.set("writeIOps", tally.write_ops);
    tree.set("readIOGiB", gib(tally.read_bytes));
    tree.set("writeIOGiB", gib(tally.write_bytes));
    tree.set("numSucceededTasks", tally.succeeded);
    tree.set("numFailedTasks", tally.failed);
    tree.set("numTaskRetries", tally.retries);
    set_span(&mut tree, "waitTime", tally.wait);
    tree.into_value()
}

/// What a pool used, or all pools of an account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolFigures {
    /// Time of the cores of dedicated nodes.
    pub dedicated_core_time: Span,
    /// The time that this covers.
    pub usage_covers: Covered,
    /// What nodes measured.
    pub consumption: Consumption,
    /// The time that these cover.
    pub resources_cover: Covered,
}

/// What a pool used.
pub fn of_pool(figures: &PoolFigures, url: &str) -> Value {
    add_figures(begun(url, figures.usage_covers), figures)
}

/// What all pools of an account used. The service says the times of the parts only.
pub fn of_pools(figures: &PoolFigures, url: &str) -> Value {
    let mut tree = Tree::empty();
    tree.set("url", url);
    add_figures(tree, figures)
}

fn add_figures(mut tree: Tree, figures: &PoolFigures) -> Value {
    let mut usage = Tree::empty();
    usage.set_covered(figures.usage_covers);
    set_span(&mut usage, "dedicatedCoreTime", figures.dedicated_core_time);
    tree.set("usageStats", usage.into_value());
    let it = &figures.consumption;
    let mut resources = Tree::empty();
    resources.set_covered(figures.resources_cover);
    resources.set("diskReadIOps", it.disk_read_ops);
    resources.set("diskWriteIOps", it.disk_write_ops);
    for (name, amount) in [
        ("avgCPUPercentage", it.cpu_percent()),
        ("avgMemoryGiB", it.average_memory_bytes() / GIB),
        ("peakMemoryGiB", gib_of(it.peak_memory_bytes)),
        ("avgDiskGiB", it.average_disk_bytes() / GIB),
        ("peakDiskGiB", gib_of(it.peak_disk_bytes)),
        ("diskReadGiB", gib_of(it.disk_read_bytes)),
        ("diskWriteGiB", gib_of(it.disk_write_bytes)),
        ("networkReadGiB", gib_of(it.network_in_bytes)),
        ("networkWriteGiB", gib_of(it.network_out_bytes)),
    ] {
        resources.set(name, amount);
    }
    tree.set("resourceStats", resources.into_value());
    tree.into_value()
}

/// What a pool used in one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolMetrics {
    /// The pool.
    pub pool_id: String,
    /// The size of its nodes.
    pub vm_size: String,
    /// The interval; one that is not over yet ends where its use is counted.
    pub covers: Covered,
    /// Time of the cores of all its nodes.
    pub core_time: Span,
    /// Bytes that nodes received.
    pub network_in_bytes: u64,
    /// Bytes that nodes sent.
    pub network_out_bytes: u64,
}

/// What a pool used in one interval. Only old api-versions show the traffic.
pub fn of_interval(metrics: &PoolMetrics) -> Value {
    let mut tree = Tree::empty();
    tree.set("poolId", metrics.pool_id.as_str());
    tree.set_time("startTime", metrics.covers.from);
    tree.set_time("endTime", metrics.covers.until);
    tree.set("vmSize", metrics.vm_size.as_str());
    tree.set("totalCoreHours", hours(metrics.core_time));
    tree.set("dataIngressGiB", gib_of(metrics.network_in_bytes));
    tree.set("dataEgressGiB", gib_of(metrics.network_out_bytes));
    tree.into_value()
}

#[expect(clippy::cast_precision_loss, reason = "the service counts hours with a fraction too")]
fn hours(span: Span) -> f64 {
    span.ticks() as f64 / (TICKS_PER_SECOND * SECONDS_PER_HOUR) as f64
}

fn begun(url: &str, covered: Covered) -> Tree {
    let mut tree = Tree::empty();
    tree.set("url", url);
    tree.set_covered(covered);
    tree
}

impl Tree {
    fn set_covered(&mut self, covered: Covered) {
        self.set_time("startTime", covered.from);
        self.set_time("lastUpdateTime", covered.until);
    }
}

fn set_span(tree: &mut Tree, name: &str, span: Span) {
    tree.set(name, span.to_string());
}

#[expect(clippy::cast_precision_loss, reason = "the service counts GiB with a fraction too")]
fn gib(bytes: i64) -> f64 {
    bytes as f64 / GIB
}

#[expect(clippy::cast_precision_loss, reason = "the service counts GiB with a fraction too")]
fn gib_of(bytes: u64) -> f64 {
    bytes as f64 / GIB
}
