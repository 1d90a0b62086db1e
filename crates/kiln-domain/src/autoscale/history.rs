//! The samples taken of a pool.

use std::collections::VecDeque;

use super::metric::Metric;
use crate::span::Span;
use crate::time::Timestamp;

/// What was so of a pool at one time. Not everything is known at every time: a pool without
/// nodes has no processors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    values: [Option<f64>; Metric::ALL.len()],
}

impl Sample {
    /// A sample that says nothing yet.
    pub const fn new(at: Timestamp) -> Self {
        Self { at, values: [None; Metric::ALL.len()] }
    }

    /// The same sample, which also says this.
    #[must_use]
    pub fn with(mut self, metric: Metric, value: f64) -> Self {
        if let Some(place) = self.values.get_mut(metric as usize) {
            *place = Some(value);
        }
        self
    }

    /// What it says of `metric`.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.get(metric as usize).copied().flatten()
    }
}

/// The samples of a pool, oldest first; the oldest make room for new ones.
#[derive(Clone, Debug)]
pub struct History {
    period: Span,
    samples: VecDeque<Sample>,
}

impl History {
    /// Samples that are kept: four hours at one each half minute.
    pub const SAMPLES_MAX: usize = 480;

    /// A history without samples; one is to be taken each `period`.
    pub const fn new(period: Span) -> Self {
        Self { period, samples: VecDeque::new() }
    }

    /// Time from a sample to the next.
    pub const fn period(&self) -> Span {
        self.period
    }

    /// Adds the newest sample.
    pub fn push(&mut self, sample: Sample) {
        if self.samples.len() == Self::SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// What was sampled of `metric`, oldest first.
    pub fn of(&self, metric: Metric) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> {
        self.samples.iter().filter_map(move |it| Some((it.at, it.value(metric)?)))
    }
}
