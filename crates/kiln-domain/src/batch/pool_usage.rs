//! What pools used: time of the cores of their machines, and what their nodes measured.
//!
//! A [`Meter`] knows how many machines a pool has had since when. Whoever changes that number
//! first has the time until then counted, so that no list of nodes that are gone is needed.

use crate::autoscale::Measurement;
use crate::limits::{POOL_USAGE_INTERVAL_MINUTES, POOL_USAGE_INTERVALS_COUNTED_MAX};
use crate::span::Span;
use crate::time::{TICKS_PER_SECOND, Timestamp};

/// The machines that a pool has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machines {
    /// Of dedicated nodes.
    pub dedicated: u32,
    /// Of Spot nodes.
    pub low_priority: u32,
}

/// How many machines a pool has had since its use was last counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Until when its use is counted.
    pub counted_until: Timestamp,
    /// The machines it has had since.
    pub machines: Machines,
    /// Cores of each machine.
    pub cores: u32,
}

/// Time of cores within one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreTime {
    /// When the interval begins.
    pub interval: Timestamp,
    /// Until when this was counted.
    pub until: Timestamp,
    /// Time of the cores of dedicated nodes.
    pub dedicated: Span,
    /// Time of the cores of all nodes.
    pub all: Span,
}

/// What nodes measured that they took; sums over nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumption {
    /// Time of nodes that this is about.
    pub measured: Span,
    /// Time that processors worked.
    pub cpu_worked: Span,
    /// Time that processors were there to work.
    pub cpu_available: Span,
    /// Bytes of memory in use, times the seconds that they were.
    pub memory_byte_seconds: f64,
    /// Bytes of disks in use, times the seconds that they were.
    pub disk_byte_seconds: f64,
    /// The most bytes of memory that one node had in use.
    pub peak_memory_bytes: u64,
    /// The most bytes of its disk that one node had in use.
    pub peak_disk_bytes: u64,
    /// Reads from disks.
    pub disk_read_ops: u64,
    /// Writes to disks.
    pub disk_write_ops: u64,
    /// Bytes read from disks.
    pub disk_read_bytes: u64,
    /// Bytes written to disks.
    pub disk_write_bytes: u64,
    /// Bytes received.
    pub network_in_bytes: u64,
    /// Bytes sent.
    pub network_out_bytes: u64,
}

/// The interval that `at` lies in: when it begins.
#[must_use]
pub fn interval_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_sub(at.0.rem_euclid(interval().ticks())))
}

/// When the interval ends that begins at `begin`.
#[must_use]
pub fn end_of(begin: Timestamp) -> Timestamp {
    begin.plus(interval())
}

/// The intervals that a client sees who asks for the time from `start` to `end`.
///
/// Those that begin from the first time on and before the second one; who asks for no time sees
/// the last interval that is over.
#[must_use]
pub fn intervals_shown(
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let current = interval_of(now);
    let last = Timestamp(current.0.saturating_sub(interval().ticks()));
    match (start, end) {
        (None, None) => (last, current),
        (Some(start), None) => (interval_of(start), Timestamp(i64::MAX)),
        (None, Some(end)) => (last, end),
        (Some(start), Some(end)) => (interval_of(start), end),
    }
}

fn interval() -> Span {
    Span::minutes(POOL_USAGE_INTERVAL_MINUTES)
}

impl Machines {
    /// The same with `dedicated` and `low_priority` more, or fewer.
    #[must_use]
    pub fn changed(self, dedicated: i64, low_priority: i64) -> Self {
        let changed = |count: u32, by: i64| {
            u32::try_from(i64::from(count).saturating_add(by).max(0)).unwrap_or(u32::MAX)
        };
        Self {
            dedicated: changed(self.dedicated, dedicated),
            low_priority: changed(self.low_priority, low_priority),
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(self) -> u32 {
        self.dedicated.saturating_add(self.low_priority)
    }
}

impl Meter {
    /// A meter that begins to count now.
    #[must_use]
    pub fn new(machines: Machines, cores: u32, now: Timestamp) -> Self {
        Self { counted_until: now, machines, cores }
    }

    /// Time of the cores of dedicated nodes that is not counted yet.
    #[must_use]
    pub fn dedicated_until(&self, now: Timestamp) -> Span {
        times(now.span_since(self.counted_until), self.machines.dedicated, self.cores)
    }

    /// What is to be counted until `now`, apart by intervals: nothing where the clock was set
    /// back, and no more than the latest of many years.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> Vec<CoreTime> {
        if self.machines.total() == 0 {
            return Vec::new();
        }
        let longest = interval().ticks().saturating_mul(POOL_USAGE_INTERVALS_COUNTED_MAX);
        let mut from = self.counted_until.max(Timestamp(now.0.saturating_sub(longest)));
        let mut counted = Vec::new();
        while from < now {
            let begin = interval_of(from);
            let until = end_of(begin).min(now);
            let length = until.span_since(from);
            counted.push(CoreTime {
                interval: begin,
                until,
                dedicated: times(length, self.machines.dedicated, self.cores),
                all: times(length, self.machines.total(), self.cores),
            });
            from = until;
        }
        counted
    }
}

fn times(length: Span, machines: u32, cores: u32) -> Span {
    let cores = i64::from(machines).saturating_mul(i64::from(cores));
    Span::from_ticks(length.ticks().saturating_mul(cores))
}

impl Consumption {
    /// What a node took between two measurements. One whose counters fell began anew.
    #[must_use]
    pub fn between(before: &Measurement, now: &Measurement) -> Self {
        let measured = now.at.span_since(before.at);
        let seconds = measured.ticks() as f64 / TICKS_PER_SECOND as f64;
        let rise = |of: fn(&Measurement) -> u64| of(now).saturating_sub(of(before));
        let worked = now.cpu.minus(before.cpu).max(Span::ZERO);
        let available = times(measured, 1, now.processors);
        Self {
            measured,
            cpu_worked: worked.min(available),
            cpu_available: available,
            memory_byte_seconds: now.memory_bytes as f64 * seconds,
            disk_byte_seconds: now.disk_bytes as f64 * seconds,
            disk_read_ops: rise(|it| it.disk_read_ops),
            disk_write_ops: rise(|it| it.disk_write_ops),
            disk_read_bytes: rise(|it| it.disk_read_bytes),
            disk_write_bytes: rise(|it| it.disk_write_bytes),
            network_in_bytes: rise(|it| it.network_in_bytes),
            network_out_bytes: rise(|it| it.network_out_bytes),
            ..Self::at(now)
        }
    }

    /// What one measurement alone tells: how much was in use.
    #[must_use]
    pub fn at(now: &Measurement) -> Self {
        let (peak_memory_bytes, peak_disk_bytes) = (now.memory_bytes, now.disk_bytes);
        Self { peak_memory_bytes, peak_disk_bytes, ..Self::default() }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let sum = |of: fn(&Self) -> u64| of(self).saturating_add(of(other));
        Self {
            measured: self.measured.plus(other.measured),
            cpu_worked: self.cpu_worked.plus(other.cpu_worked),
            cpu_available: self.cpu_available.plus(other.cpu_available),
            memory_byte_seconds: self.memory_byte_seconds + other.memory_byte_seconds,
            disk_byte_seconds: self.disk_byte_seconds + other.disk_byte_seconds,
            peak_memory_bytes: self.peak_memory_bytes.max(other.peak_memory_bytes),
            peak_disk_bytes: self.peak_disk_bytes.max(other.peak_disk_bytes),
            disk_read_ops: sum(|it| it.disk_read_ops),
            disk_write_ops: sum(|it| it.disk_write_ops),
            disk_read_bytes: sum(|it| it.disk_read_bytes),
            disk_write_bytes: sum(|it| it.disk_write_bytes),
            network_in_bytes: sum(|it| it.network_in_bytes),
            network_out_bytes: sum(|it| it.network_out_bytes),
        }
    }

    /// Share of the processors that worked, in percent.
    #[must_use]
    pub fn cpu_percent(&self) -> f64 {
        ratio(self.cpu_worked.ticks() as f64 * 100.0, self.cpu_available)
    }

    /// Bytes of memory that a node had in use on average.
    #[must_use]
    pub fn average_memory_bytes(&self) -> f64 {
        ratio(self.memory_byte_seconds * TICKS_PER_SECOND as f64, self.measured)
    }

    /// Bytes of its disk that a node had in use on average.
    #[must_use]
    pub fn average_disk_bytes(&self) -> f64 {
        ratio(self.disk_byte_seconds * TICKS_PER_SECOND as f64, self.measured)
    }
}

/// Nothing was measured in no time.
fn ratio(dividend: f64, divisor: Span) -> f64 {
    if divisor > Span::ZERO { dividend / divisor.ticks() as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Consumption, CoreTime, Machines, Meter, intervals_shown};
    use crate::autoscale::Measurement;
    use crate::span::Span;
    use crate::time::Timestamp;

    fn minute(minute: i64) -> Timestamp {
        Timestamp(0).plus(Span::minutes(minute))
    }

    fn meter(from: i64, dedicated: u32, low_priority: u32) -> Meter {
        Meter::new(Machines { dedicated, low_priority }, 2, minute(from))
    }

    /// What is counted, as `interval-until: dedicated of all`, all in minutes.
    #[track_caller]
    fn check(meter: Meter, now: i64, expected: &[&str]) {
        let minutes = |ticks: i64| ticks / Span::minutes(1).ticks();
        let shown = |it: CoreTime| {
            let (dedicated, all) = (minutes(it.dedicated.ticks()), minutes(it.all.ticks()));
            let (interval, until) = (minutes(it.interval.0), minutes(it.until.0));
            format!("{interval}-{until}: {dedicated} of {all}")
        };
        let counted: Vec<_> = meter.count(minute(now)).into_iter().map(shown).collect();
        assert_eq!(counted, expected);
    }

    #[test]
    fn time_of_cores_is_counted_by_intervals() {
        check(meter(5, 1, 0), 10, &["0-10: 10 of 10"]);
        check(meter(5, 3, 1), 10, &["0-10: 30 of 40"]);
        check(meter(25, 1, 1), 70, &["0-30: 10 of 20", "30-60: 60 of 120", "60-70: 20 of 40"]);
        check(meter(30, 1, 0), 60, &["30-60: 60 of 60"]);
        check(meter(5, 0, 0), 100, &[]);
        check(meter(50, 1, 0), 50, &[]);
        check(meter(50, 1, 0), 10, &[]);
    }

    #[test]
    fn a_clock_that_is_wrong_by_years_counts_a_bounded_time() {
        let counted = meter(0, 1, 0).count(minute(1_000_000_000));
        assert!(counted.len() <= 10_001, "{}", counted.len());
        assert_eq!(counted.last().map(|it| it.until), Some(minute(1_000_000_000)));
    }

    proptest! {
        #[test]
        fn what_is_counted_in_parts_is_what_is_counted_at_once(
            from in 0_i64..500, first in 0_i64..500, second in 0_i64..500, nodes in 0_u32..5,
        ) {
            let total = |meter: Meter, until: i64| -> i64 {
                meter.count(minute(until)).iter().map(|it| it.dedicated.ticks()).sum()
            };
            let at_once = total(meter(from, nodes, 1), from + first + second);
            let in_parts = total(meter(from, nodes, 1), from + first)
                + total(meter(from + first, nodes, 1), from + first + second);
            prop_assert_eq!(at_once, in_parts);
            prop_assert_eq!(at_once, Span::minutes((first + second) * 2 * i64::from(nodes)).ticks());
        }
    }

    #[test]
    fn who_asks_for_no_time_sees_the_last_interval_that_is_over() {
        let shown = |start: Option<i64>, end: Option<i64>| {
            intervals_shown(start.map(minute), end.map(minute), minute(100))
        };
        assert_eq!(shown(None, None), (minute(60), minute(90)));
        assert_eq!(shown(Some(35), None), (minute(30), Timestamp(i64::MAX)));
        assert_eq!(shown(Some(35), Some(70)), (minute(30), minute(70)));
        assert_eq!(shown(None, Some(70)), (minute(60), minute(70)));
    }

    fn measurement(seconds: i64, worked: i64, gib: u64, counted: u64) -> Measurement {
        Measurement {
            at: Timestamp(0).plus(Span::seconds(seconds)),
            processors: 2,
            cpu: Span::seconds(worked),
            memory_bytes: gib << 30,
            disk_bytes: gib << 32,
            disk_read_bytes: counted,
            disk_write_bytes: 2 * counted,
            disk_read_ops: 3 * counted,
            disk_write_ops: 4 * counted,
            network_in_bytes: 5 * counted,
            network_out_bytes: 6 * counted,
        }
    }

    #[test]
    fn what_nodes_took_is_averaged_over_their_time() {
        let busy = Consumption::between(&measurement(0, 0, 9, 10), &measurement(30, 60, 4, 20));
        let idle = Consumption::between(&measurement(0, 0, 0, 0), &measurement(10, 0, 0, 7));
        let both = busy.plus(&idle);
        assert_eq!(both.cpu_percent(), 75.0);
        assert_eq!(both.average_memory_bytes(), (3_u64 << 30) as f64);
        assert_eq!(both.average_disk_bytes(), (3_u64 << 32) as f64);
        assert_eq!((both.peak_memory_bytes, both.peak_disk_bytes), (4 << 30, 4 << 32));
        assert_eq!((both.disk_read_bytes, both.network_out_bytes), (17, 102));
    }

    #[test]
    fn an_agent_that_begins_anew_took_nothing_meanwhile() {
        let took = Consumption::between(&measurement(10, 50, 1, 90), &measurement(40, 1, 1, 1));
        assert_eq!((took.cpu_worked, took.disk_read_bytes), (Span::ZERO, 0));
        let nothing = Consumption::default();
        assert_eq!((nothing.cpu_percent(), nothing.average_memory_bytes()), (0.0, 0.0));
    }
}
