//! All chance of a run: it depends on the seed alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// All chance of a run.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<fastrand::Rng>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// Whether something happens that does so `percent` times in a hundred.
    pub(crate) fn is(&self, percent: f64) -> bool {
        self.rng().f64() * 100.0 < percent
    }

    /// A number below `end`, which is more than 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.rng().u64(..end.max(1))
    }

    /// A length between two numbers of milliseconds.
    pub(crate) fn ms(&self, least: u64, most: u64) -> Duration {
        let micros = self.rng().u64(least.saturating_mul(1000)..=most.saturating_mul(1000));
        Duration::from_micros(micros)
    }

    /// One of these.
    pub(crate) fn pick<'t, T>(&self, of: &'t [T]) -> Option<&'t T> {
        if of.is_empty() { None } else { of.get(self.rng().usize(..of.len())) }
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.rng().fill(bytes);
    }

    fn rng(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
