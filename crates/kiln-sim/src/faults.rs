//! What goes wrong in a run, and how often: each run has faults of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::chance::Chance;

/// What nobody can live with. A run with it must be found broken: it shows that the model sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The disk forgets with each crash what it said was durable.
    Disk,
    /// Agents report other exit codes than those of what ran.
    Agent,
}

/// What goes wrong in a run. Numbers are times in a hundred.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// A commit is cut off by a crash of the server, before or after it is durable.
    pub(crate) crash_in_commit: f64,
    /// The disk takes long for a commit.
    pub(crate) slow_commit: f64,
    /// The disk refuses a commit.
    pub(crate) failed_commit: f64,
    /// A connection breaks soon, with what is under way.
    pub(crate) broken_link: f64,
    /// A connection carries nothing for a while.
    pub(crate) stalled_link: f64,
    /// What a connection carries is late.
    pub(crate) late_bytes: f64,
    /// A client's request, or its answer, is lost.
    pub(crate) lost_request: f64,
    /// An agent can not be started.
    pub(crate) failed_start: f64,
    /// A node can not be made ready.
    pub(crate) failed_boot: f64,
    /// Seconds between two crashes of the server, about; 0 for none.
    pub(crate) crash_each_s: u64,
    /// Seconds between two agents that are killed, about; 0 for none.
    pub(crate) kill_each_s: u64,
    /// Seconds between two times that the clock on the wall is set, about; 0 for none.
    pub(crate) clock_set_each_s: u64,
    /// What the server can not live with.
    pub(crate) lie: Option<Lie>,
    is_over: AtomicBool,
}

impl Faults {
    /// Faults of a run: some kinds, of which some come often.
    pub(crate) fn drawn(chance: &Chance) -> Self {
        let often = |most: f64| match chance.below(3) {
            0 => 0.0,
            1 => most / 10.0,
            _ => most,
        };
        let each = |least_s: u64, most_s: u64| match chance.below(3) {
            0 => 0,
            _ => least_s + chance.below(most_s - least_s),
        };
        Self {
            crash_in_commit: often(3.0),
            slow_commit: often(20.0),
            failed_commit: often(5.0),
            broken_link: often(80.0),
            stalled_link: often(30.0),
            late_bytes: often(30.0),
            lost_request: often(20.0),
            failed_start: often(5.0),
            failed_boot: often(10.0),
            crash_each_s: each(5, 60),
            kill_each_s: each(3, 40),
            clock_set_each_s: each(10, 60),
            lie: None,
            is_over: AtomicBool::new(false),
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing goes wrong any more.
    pub(crate) fn are_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether a fault that comes so often happens now.
    pub(crate) fn happens(&self, chance: &Chance, percent: f64) -> bool {
        !self.are_over() && chance.is(percent)
    }
}
