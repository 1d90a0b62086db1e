//! Time, which is all that this program is about.

use std::time::{Duration, Instant, SystemTime};

use kiln_domain::time::Timestamp;

/// The time now, to measure with.
#[expect(clippy::disallowed_methods, reason = "how long something takes is what is measured")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "requests and reports say when they are made")]
pub(crate) fn time() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// Waits for `length`.
#[expect(clippy::disallowed_methods, reason = "states of nodes and tasks are not announced")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

pub(crate) fn milliseconds(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}

/// The value of which this share of all is smaller.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n_smaller =
        values.iter().enumerate().filter(|(at, _)| (*at as f64) < share * values.len() as f64);
    let at = n_smaller.count().min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// The middle of some values; there is at least one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}
