//! How soon a task runs that has the pool for itself.
//!
//! The tasks print the time, so what is told of their begin includes the start of that program.

use serde_json::json;

use super::kiln::{Kiln, wait_for};
use super::{quantile, wall_ns};
use crate::bench::batch::Batch;

const NS_PER_MS: f64 = 1_000_000.0;
const PRINTS_TIME: &str = "date +%s%N";

/// Milliseconds: the middle, and what only the slowest hundredth exceeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Spread {
    fn of(mut values_ms: Vec<f64>) -> Self {
        Self { p50_ms: quantile(&mut values_ms, 50), p99_ms: quantile(&mut values_ms, 99) }
    }
}

/// How long single tasks wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    /// From the answer to the request that adds a task to the task's begin.
    pub(super) begin: Spread,
    /// From the request to the moment in which the client learns of the task's end.
    pub(super) whole: Spread,
    /// From the end of a task to the begin of one that depends on it.
    pub(super) dependent: Spread,
}

/// Measures with the pool of the footprint.
pub(super) fn measure(kiln: &Kiln, n_singles: usize) -> Result<Latency, String> {
    let mut batch = kiln.connect()?;
    let pool = json!({ "poolId": "one" });
    batch.post(
        "/jobs",
        &json!({ "id": "single", "poolInfo": pool, "usesTaskDependencies": true }),
    )?;
    let (mut begin, mut whole, mut dependent) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..n_singles {
        let id = format!("s{number:05}");
        let sent_at = wall_ns();
        batch.post("/jobs/single/tasks", &json!({ "id": id, "commandLine": PRINTS_TIME }))?;
        let answered_at = wall_ns();
        wait_for(&mut batch, &format!("/jobs/single/tasks/{id}"))?;
        whole.push((wall_ns() - sent_at) / NS_PER_MS);
        begin.push((printed(&mut batch, &id)? - answered_at) / NS_PER_MS);
    }
    for number in 0..n_singles {
        let (first, then) = (format!("a{number:05}"), format!("b{number:05}"));
        let tasks = json!({ "value": [
            { "id": first, "commandLine": PRINTS_TIME },
            { "id": then, "commandLine": PRINTS_TIME, "dependsOn": { "taskIds": [first] } },
        ]});
        batch.post("/jobs/single/addtaskcollection", &tasks)?;
        wait_for(&mut batch, &format!("/jobs/single/tasks/{then}"))?;
        dependent.push((printed(&mut batch, &then)? - printed(&mut batch, &first)?) / NS_PER_MS);
    }
    let [begin, whole, dependent] = [begin, whole, dependent].map(Spread::of);
    Ok(Latency { begin, whole, dependent })
}

/// The time that a task printed, in nanoseconds.
fn printed(batch: &mut Batch, id: &str) -> Result<f64, String> {
    let text = batch.get_text(&format!("/jobs/single/tasks/{id}/files/stdout.txt"))?;
    text.trim().parse().map_err(|cause| format!("task {id} printed `{text}`: {cause}"))
}
