//! Autoscale formulas: refused with a position within the text, or computed within bounds.
#![no_main]

use kiln_domain::autoscale::{History, Metric, Sample, Scene, evaluate};
use kiln_domain::batch::pool::Targets;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use libfuzzer_sys::fuzz_target;

const PERIOD_SECONDS: i64 = 30;

fuzz_target!(|data: &[u8]| {
    let Ok(formula) = std::str::from_utf8(data) else { return };
    let mut history = History::new(Span::seconds(PERIOD_SECONDS));
    let mut latest = Sample::new(Timestamp(0));
    for number in 0..20_i32 {
        let at = Timestamp(0).plus(Span::seconds(PERIOD_SECONDS * i64::from(number)));
        latest = Metric::ALL
            .into_iter()
            .fold(Sample::new(at), |sample, metric| sample.with(metric, f64::from(number)));
        history.push(latest);
    }
    let targets = Targets { dedicated: 2, low_priority: 1 };
    let scene = Scene { now: latest.at, targets, history: &history, latest, seed: 7 };
    let (run, wish) = evaluate(formula, &scene);
    assert_eq!(run.failure.is_none(), wish.is_some());
    assert!(run.results.starts_with("$TargetDedicatedNodes="), "{}", run.results);
    let (again, same) = evaluate(formula, &scene);
    assert_eq!((again, same), (run, wish), "the same scene gives the same result");
});
