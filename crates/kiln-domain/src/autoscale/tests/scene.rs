//! A pool to compute formulas against.

use crate::autoscale::{History, Metric, Run, Sample, Scene, evaluate};
use crate::batch::pool::Targets;
use crate::span::Span;
use crate::time::Timestamp;

/// A Thursday.
const NOW: &str = "2016-10-13T19:18:47.8050001Z";

pub(super) fn now() -> Timestamp {
    Timestamp::parse_iso(NOW).expect("a time")
}

/// A pool of 2 dedicated and no Spot nodes whose tasks were sampled every half minute, the
/// last time ten seconds ago, and are 7 now.
pub(super) fn evaluate_in(pending: &[f64], formula: &str) -> Run {
    let mut history = History::new(Span::seconds(30));
    for (idx, value) in (0_i64..).zip(pending) {
        let n_later = i64::try_from(pending.len()).expect("a few") - 1 - idx;
        let at = now().plus(Span::seconds(-10 - 30 * n_later));
        history.push(Sample::new(at).with(Metric::PendingTasks, *value));
    }
    let scene = Scene {
        now: now(),
        targets: Targets { dedicated: 2, low_priority: 0 },
        history: &history,
        latest: Sample::new(now())
            .with(Metric::PendingTasks, 7.0)
            .with(Metric::CurrentDedicatedNodes, 2.0),
        seed: 1,
    };
    evaluate(formula, &scene).0
}

/// What is said of a formula whose pool was never sampled.
pub(super) fn said(formula: &str) -> String {
    said_of(&evaluate_in(&[], formula))
}

pub(super) fn said_of(run: &Run) -> String {
    match &run.failure {
        None => run.results.clone(),
        Some(failure) => format!("{:?}, {failure}", failure.kind),
    }
}
