//! A false clock: no time passes while anything is left to do, then all time until the next
//! thing is due.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kiln_clock::{Pause, Source};
use kiln_domain::time::Timestamp;

use crate::chance::Chance;

/// When runs begin: 2030-01-01.
const BEGIN_TICKS: i64 = 18_934_560_000_000_000;
/// Nanoseconds by which a wait is too long at the most, as real ones are.
const LATE_NS_MAX: u64 = 1_000_000;
/// Nanoseconds of a tick.
const TICK_NS: u64 = 100;

/// A false clock, and all chance; clones are one clock.
#[derive(Clone, Debug)]
pub(crate) struct FalseClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    chance: Arc<Chance>,
    /// Only differences to it are told.
    began_at: Instant,
    state: Mutex<State>,
}

/// When a wait is over; chance decides between those that are over at the same time.
type Due = (u64, u64, u64);

#[derive(Debug, Default)]
struct State {
    elapsed_ns: u64,
    set_forward_ticks: i64,
    waits: BTreeMap<Due, Waker>,
    n_waits: u64,
    n_steps: u64,
}

impl FalseClock {
    pub(crate) fn new(chance: Arc<Chance>) -> Self {
        Self(Arc::new(Inner { chance, began_at: kiln_clock::tick(), state: Mutex::default() }))
    }

    /// Goes on to the next wait that is over. Called when there is nothing else to do.
    pub(crate) fn advance(&self) {
        let first = {
            let mut state = self.state();
            state.n_steps += 1;
            let first = state.waits.pop_first();
            if let Some(((at, ..), _)) = &first {
                state.elapsed_ns = state.elapsed_ns.max(*at);
            }
            first
        };
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// Time since the run began, whatever was done to the clock on the wall.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.state().elapsed_ns)
    }

    /// Steps so far.
    pub(crate) fn n_steps(&self) -> u64 {
        self.state().n_steps
    }

    /// Sets the clock on the wall forward, or back.
    pub(crate) fn set_forward(&self, ticks: i64) {
        let mut state = self.state();
        state.set_forward_ticks = state.set_forward_ticks.saturating_add(ticks);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for FalseClock {
    fn now(&self) -> Timestamp {
        let state = self.state();
        let elapsed = i64::try_from(state.elapsed_ns / TICK_NS).unwrap_or(i64::MAX);
        Timestamp(BEGIN_TICKS.saturating_add(elapsed).saturating_add(state.set_forward_ticks))
    }

    fn tick(&self) -> Instant {
        self.0.began_at + self.elapsed()
    }

    fn pause(&self, length: Duration) -> Pause {
        let (late, tie) = (self.0.chance.below(LATE_NS_MAX), self.0.chance.below(u64::MAX));
        let mut state = self.state();
        state.n_waits += 1;
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let at = state.elapsed_ns.saturating_add(length).saturating_add(late);
        let due = (at, tie, state.n_waits);
        drop(state);
        Box::pin(Wait { clock: self.clone(), due })
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0.chance.fill(bytes);
    }
}

struct Wait {
    clock: FalseClock,
    due: Due,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if self.due.0 <= state.elapsed_ns {
            state.waits.remove(&self.due);
            return Poll::Ready(());
        }
        drop(state.waits.insert(self.due, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let waker = self.clock.state().waits.remove(&self.due);
        drop(waker);
    }
}
