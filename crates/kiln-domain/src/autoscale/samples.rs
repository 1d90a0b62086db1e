//! The methods of sample data.

use super::evaluate::Scene;
use super::failure::{Failure, FailureKind, Position};
use super::metric::Metric;
use super::value::{Value, shown, whole};
use crate::span::Span;
use crate::time::Timestamp;

/// Computes a method of the samples of `metric`; `at` is where its arguments begin.
pub(super) fn call(
    metric: Metric,
    method: &str,
    arguments: &[Value],
    scene: &Scene<'_>,
    at: Position,
) -> Result<Value, Failure> {
    let failed = |reason: String| Failure::evaluation(at, reason);
    match method {
        "GetSample" => get_sample(metric, arguments, scene, at),
        "GetSamplePercent" => {
            let window = Window::of(arguments, scene).map_err(failed)?;
            Ok(Value::Number(window.percent(metric, scene)))
        }
        "GetSamplePeriod" if arguments.is_empty() => Ok(Value::Interval(scene.history.period())),
        "Count" if arguments.is_empty() => {
            Ok(Value::Number(scene.history.of(metric).count() as f64))
        }
        "HistoryBeginTime" if arguments.is_empty() => {
            let oldest = scene.history.of(metric).next();
            Ok(Value::Time(oldest.map_or(scene.now, |(at, _)| at)))
        }
        "GetSamplePeriod" | "Count" | "HistoryBeginTime" => {
            Err(failed(format!("{method} takes no arguments")))
        }
        _ => Err(failed(format!("Undefined method: {}.{method}", metric.name()))),
    }
}

/// The newest there is: that of the moment, else the last one kept, else 0.
pub(super) fn latest(metric: Metric, scene: &Scene<'_>) -> f64 {
    let kept = || scene.history.of(metric).next_back().map(|(_, value)| value);
    scene.latest.value(metric).or_else(kept).unwrap_or(0.0)
}

fn get_sample(
    metric: Metric,
    arguments: &[Value],
    scene: &Scene<'_>,
    at: Position,
) -> Result<Value, Failure> {
    let failed = |reason: String| Failure::evaluation(at, reason);
    if let [count] = arguments
        && let Some(count) = count.number()
    {
        let count = usize::try_from(whole(count)).ok().filter(|_| count >= 0.0);
        let count = count.ok_or_else(|| failed("The count must not be negative".to_owned()))?;
        let mut samples: Vec<f64> = newest_first(metric, scene).take(count).collect();
        samples.reverse();
        return Ok(Value::Vector(samples.into()));
    }
    let (bounds, wanted) = match arguments {
        [bounds @ .., last] if !bounds.is_empty() && last.number().is_some() => {
            (bounds, last.number())
        }
        _ => (arguments, None),
    };
    let window = Window::of(bounds, scene).map_err(failed)?;
    if let Some(wanted) = wanted {
        let received = window.percent(metric, scene);
        if received < wanted {
            let (name, wanted, received) = (metric.name(), shown(wanted), shown(received));
            return Err(Failure {
                kind: FailureKind::InsufficientSamples,
                at,
                reason: format!(
                    "Insufficient data from data set: {name} wanted {wanted}%, received {received}%"
                ),
            });
        }
    }
    Ok(Value::Vector(window.values(metric, scene).into()))
}

fn newest_first(metric: Metric, scene: &Scene<'_>) -> impl Iterator<Item = f64> {
    let kept = scene.history.of(metric).rev().map(|(_, value)| value);
    scene.latest.value(metric).into_iter().chain(kept)
}

/// A time in the past, later than its begin and not later than its end.
struct Window {
    from: Timestamp,
    to: Timestamp,
}

impl Window {
    /// A window from one bound to now, or between two in any order; an interval is looked
    /// back from now.
    fn of(bounds: &[Value], scene: &Scene<'_>) -> Result<Self, String> {
        let bound = |value: &Value| match value {
            Value::Time(at) => Ok(*at),
            Value::Interval(back) => Ok(scene.now.plus(back.negative())),
            Value::Number(_) | Value::Vector(_) | Value::Text(_) | Value::Option(_) => {
                Err(format!(
                    "A window is bounded by timestamps and timeintervals, not by {}",
                    value.kind()
                ))
            }
        };
        let (one, other) = match bounds {
            [start] => (bound(start)?, scene.now),
            [start, end] => (bound(start)?, bound(end)?),
            _ => return Err("One or two bounds of the window are needed".to_owned()),
        };
        Ok(Self { from: one.min(other), to: one.max(other) })
    }

    fn has(&self, at: Timestamp) -> bool {
        self.from < at && at <= self.to
    }

    /// All samples in it, that of the moment with them, oldest first.
    fn values(&self, metric: Metric, scene: &Scene<'_>) -> Vec<f64> {
        let latest = scene.latest.value(metric).map(|value| (scene.latest.at, value));
        let all = scene.history.of(metric).chain(latest);
        all.filter(|(at, _)| self.has(*at)).map(|(_, value)| value).collect()
    }

    /// Samples kept of it, of a hundred that should have been taken; the one of the moment is
    /// none of them.
    fn percent(&self, metric: Metric, scene: &Scene<'_>) -> f64 {
        let period = scene.history.period().max(Span::from_ticks(1));
        let length = self.to.0.saturating_sub(self.from.0);
        let expected = (length / period.ticks()).max(1);
        let received = scene.history.of(metric).filter(|(at, _)| self.has(*at)).count();
        (received as f64 / expected as f64 * 100.0).min(100.0)
    }
}
