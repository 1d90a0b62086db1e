//! Statistics in the newest shape.

use kiln_domain::batch::task::TaskLife;
use kiln_domain::batch::usage::Tally;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use serde_json::Value;

use super::resource::Tree;

/// Bytes of one GiB, in which the service counts.
const GIB: f64 = 1_073_741_824.0;

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
    tree.set("readIOGiB", gib(i64::try_from(sum.read_bytes).unwrap_or(i64::MAX)));
    tree.set("writeIOGiB", gib(i64::try_from(sum.write_bytes).unwrap_or(i64::MAX)));
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

fn begun(url: &str, covered: Covered) -> Tree {
    let mut tree = Tree::empty();
    tree.set("url", url);
    tree.set_time("startTime", covered.from);
    tree.set_time("lastUpdateTime", covered.until);
    tree
}

fn set_span(tree: &mut Tree, name: &str, span: Span) {
    tree.set(name, span.to_string());
}

#[expect(clippy::cast_precision_loss, reason = "the service counts GiB with a fraction too")]
fn gib(bytes: i64) -> f64 {
    bytes as f64 / GIB
}
