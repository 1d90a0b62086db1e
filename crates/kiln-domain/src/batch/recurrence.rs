//! When a job schedule is due.
//!
//! A schedule is due at its *anchor* (`doNotRunUntil`, or its creation) and then once in each
//! interval. A due time may be used for one job, within its window and before the next due
//! time; then it is lost. So what to do depends only on the schedule, on the last due time that
//! was used and on the clock: a server that was down, a job that ran too long and a clock that
//! was set are all the same to it.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::{self, Timestamp};

/// The `schedule` of a job schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recurrence {
    /// No job is made before.
    #[serde(deserialize_with = "time::some_iso")]
    pub do_not_run_until: Option<Timestamp>,
    /// No job is made from then on.
    #[serde(deserialize_with = "time::some_iso")]
    pub do_not_run_after: Option<Timestamp>,
    /// Time after a due time in which it can be used; until the next one when absent.
    pub start_window: Option<Span>,
    /// Time between two due times; there is only one when absent.
    pub recurrence_interval: Option<Span>,
}

/// When a schedule is to make its next job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Due {
    /// From this due time on; it may have come already.
    At(Timestamp),
    /// Not any more, though clients may prolong the schedule until its end.
    NotBefore(Timestamp),
    /// Not any more.
    Never,
}

impl Recurrence {
    /// Whether a schedule may have these times.
    ///
    /// # Errors
    /// When one of them is too short.
    pub fn admit(&self) -> Result<(), Rejection> {
        let shortest = Span::minutes(limits::SCHEDULE_SPAN_MIN_MINUTES);
        for (name, span) in [
            ("schedule.recurrenceInterval", self.recurrence_interval),
            ("schedule.startWindow", self.start_window),
        ] {
            if let Some(span) = span.filter(|span| *span < shortest) {
                let reason =
                    format!("It must be at least {} minute", limits::SCHEDULE_SPAN_MIN_MINUTES);
                return Err(Rejection::property(name, span, reason));
            }
        }
        Ok(())
    }

    /// When the next job of a schedule is due that was made at `created_at` and used the due
    /// time `used` last.
    pub fn due(&self, created_at: Timestamp, used: Option<Timestamp>, now: Timestamp) -> Due {
        let Some(at) = self.next_open(self.anchor(created_at), used, now) else {
            return Due::Never;
        };
        match self.do_not_run_after {
            Some(end) if end <= at.max(now) => Due::NotBefore(end),
            Some(_) | None => Due::At(at),
        }
    }

    /// The time to remember in place of `used`, when that lies further ahead than the next due
    /// time: it was read off a clock that was wrong, and nothing would be due until it shows that
    /// again.
    pub fn rewound(
        &self,
        created_at: Timestamp,
        used: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let interval = self.interval()?;
        let current = last_until(now, self.anchor(created_at), interval);
        (current.plus(interval) < used).then_some(current)
    }

    fn anchor(&self, created_at: Timestamp) -> Timestamp {
        self.do_not_run_until.unwrap_or(created_at)
    }

    fn interval(&self) -> Option<Span> {
        self.recurrence_interval.filter(|it| *it < Span::MAX)
    }

    /// The first due time that was not used and whose window is not over.
    fn next_open(
        &self,
        anchor: Timestamp,
        used: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let Some(interval) = self.interval() else {
            let is_lost = self.start_window.is_some_and(|window| anchor.plus(window) <= now);
            return (used.is_none() && !is_lost).then_some(anchor);
        };
        // Of those that have come, only the last can still be used.
        let current = anchor.max(last_until(now, anchor, interval));
        let next = after(current, anchor, interval);
        let window = self.start_window.unwrap_or(interval).min(interval);
        let at = if current.plus(window) <= now { next } else { current };
        Some(match used {
            // The clock was set back a little after the next one was used.
            Some(used) if used == next => after(next, anchor, interval),
            // Used, or over with the times that the schedule had before.
            Some(used) if at <= used => next,
            Some(_) | None => at,
        })
    }
}

/// The last time of the grid of `anchor` and `interval` that is not later than `at`.
fn last_until(at: Timestamp, anchor: Timestamp, interval: Span) -> Timestamp {
    let passed = at.0.saturating_sub(anchor.0);
    Timestamp(at.0.saturating_sub(passed.rem_euclid(interval.ticks().max(1))))
}

/// The first time of the grid that is later than `at`, which may be before the anchor.
fn after(at: Timestamp, anchor: Timestamp, interval: Span) -> Timestamp {
    last_until(at, anchor, interval).plus(interval).max(anchor)
}

#[cfg(test)]
mod tests {
    use super::{Due, Recurrence};
    use crate::span::Span;
    use crate::time::Timestamp;

    /// Minutes after the creation of the schedule.
    fn at(minutes: i64) -> Timestamp {
        Timestamp(0).plus(Span::minutes(minutes))
    }

    fn recurrence(json: &str) -> Recurrence {
        serde_json::from_str(json).expect("a schedule")
    }

    /// What is due at each minute, `used` having been used last; minutes in, minutes out.
    #[track_caller]
    fn check(json: &str, used: Option<i64>, expected: &[(i64, &str)]) {
        let recurrence = recurrence(json);
        for (now, said) in expected {
            let minutes = |it: Timestamp| it.0 / Span::minutes(1).ticks();
            let due = match recurrence.due(at(0), used.map(at), at(*now)) {
                Due::At(at) => format!("at {}", minutes(at)),
                Due::NotBefore(end) => format!("none, until {}", minutes(end)),
                Due::Never => "never".to_owned(),
            };
            assert_eq!(due, *said, "{json} used {used:?} at minute {now}");
        }
    }

    #[test]
    fn a_schedule_without_interval_is_due_once() {
        check("{}", None, &[(0, "at 0"), (500, "at 0")]);
        check("{}", Some(0), &[(0, "never"), (500, "never")]);
        let later = r#"{"doNotRunUntil":"1970-01-01T01:00:00Z"}"#;
        check(later, None, &[(0, "at 60"), (60, "at 60"), (61, "at 60")]);
        let endless = r#"{"recurrenceInterval":"P10675199DT2H48M5.4775807S"}"#;
        check(endless, Some(0), &[(500, "never")]);
    }

    #[test]
    fn due_times_are_the_anchor_and_whole_intervals_after_it() {
        let hourly = r#"{"recurrenceInterval":"PT1H"}"#;
        check(hourly, None, &[(0, "at 0"), (59, "at 0"), (60, "at 60"), (185, "at 180")]);
        check(hourly, Some(0), &[(0, "at 60"), (59, "at 60"), (60, "at 60"), (185, "at 180")]);
        let later = r#"{"doNotRunUntil":"1970-01-01T00:30:00Z","recurrenceInterval":"PT1H"}"#;
        check(later, None, &[(0, "at 30"), (29, "at 30"), (89, "at 30"), (90, "at 90")]);
        check(later, Some(30), &[(30, "at 90"), (100, "at 90"), (150, "at 150")]);
    }

    #[test]
    fn a_due_time_is_lost_when_its_window_is_over() {
        let narrow = r#"{"recurrenceInterval":"PT1H","startWindow":"PT10M"}"#;
        check(narrow, None, &[(9, "at 0"), (10, "at 60"), (69, "at 60"), (70, "at 120")]);
        check(narrow, Some(0), &[(61, "at 60"), (70, "at 120")]);
        check(r#"{"startWindow":"PT10M"}"#, None, &[(9, "at 0"), (10, "never")]);
    }

    #[test]
    fn a_window_longer_than_the_interval_has_no_end() {
        let wide = r#"{"recurrenceInterval":"PT1H","startWindow":"PT5H"}"#;
        check(wide, None, &[(59, "at 0"), (60, "at 60"), (119, "at 60")]);
    }

    #[test]
    fn nothing_is_due_from_the_end_on() {
        let ending = r#"{"recurrenceInterval":"PT1H","doNotRunAfter":"1970-01-01T02:00:00Z"}"#;
        check(ending, Some(0), &[(1, "at 60"), (119, "at 60"), (120, "none, until 120")]);
        check(ending, Some(60), &[(61, "none, until 120"), (500, "none, until 120")]);
        // One that was due before, when its job could be made only then.
        let late = r#"{"recurrenceInterval":"PT1H","doNotRunAfter":"1970-01-01T01:30:00Z"}"#;
        check(late, Some(0), &[(89, "at 60"), (90, "none, until 90")]);
        let before = r#"{"doNotRunUntil":"1970-01-01T02:00:00Z",
            "doNotRunAfter":"1970-01-01T01:00:00Z"}"#;
        check(before, None, &[(0, "none, until 60")]);
    }

    #[test]
    fn changed_times_count_from_the_last_job_on() {
        // Hourly until minute 60, then every ten minutes.
        let changed = r#"{"recurrenceInterval":"PT10M"}"#;
        check(changed, Some(60), &[(61, "at 70"), (75, "at 70"), (95, "at 90")]);
        let shifted = r#"{"recurrenceInterval":"PT1H","doNotRunUntil":"1970-01-01T00:50:00Z"}"#;
        check(shifted, Some(60), &[(61, "at 110"), (111, "at 110")]);
        let put_off = r#"{"recurrenceInterval":"PT1H","doNotRunUntil":"1970-01-02T00:00:00Z"}"#;
        check(put_off, Some(60), &[(61, "at 1440")]);
    }

    #[test]
    fn a_clock_that_is_set_back_repeats_no_job_and_stops_none() {
        let hourly = r#"{"recurrenceInterval":"PT1H"}"#;
        check(hourly, Some(120), &[(119, "at 180"), (110, "at 180")]);
        // It showed another month when the last job was made.
        check(hourly, Some(60_000), &[(125, "at 180")]);
        let rewound = |used, now| recurrence(hourly).rewound(at(0), at(used), at(now));
        assert_eq!(rewound(60_000, 125), Some(at(120)));
        for (used, now) in [(0, 125), (120, 125), (180, 125), (180, 180), (0, 60_000)] {
            assert_eq!(rewound(used, now), None, "{used} {now}");
        }
        let later = r#"{"recurrenceInterval":"PT1H","doNotRunUntil":"1970-01-01T01:00:00Z"}"#;
        let rewound = recurrence(later).rewound(at(0), at(60_000), at(30));
        assert_eq!(rewound, Some(at(0)), "the first due time is still to come");
        assert_eq!(recurrence("{}").rewound(at(0), at(60_000), at(30)), None);
    }

    #[test]
    fn spans_of_less_than_a_minute_are_refused() {
        let said = |json: &str| match recurrence(json).admit() {
            Ok(()) => "fine".to_owned(),
            Err(rejection) => rejection.to_string(),
        };
        assert_eq!(said(r#"{"recurrenceInterval":"PT1M","startWindow":"PT1M"}"#), "fine");
        assert_eq!(
            said(r#"{"recurrenceInterval":"PT59S"}"#),
            "property `schedule.recurrenceInterval` cannot be `PT59S`: \
             It must be at least 1 minute"
        );
        assert!(said(r#"{"startWindow":"PT0S"}"#).contains("`schedule.startWindow`"));
    }

    /// A small generator, so that a failure can be repeated.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: i64) -> i64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            i64::try_from(self.0 >> 1).expect("63 bits").rem_euclid(limit)
        }

        fn maybe(&mut self, limit: i64) -> Option<i64> {
            (self.below(2) == 0).then(|| self.below(limit))
        }
    }

    /// The rule as it is told to people: is there a due time that has come, is the last one, was
    /// not used, and whose window is open? Looks at all of them.
    fn told(it: &Recurrence, used: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let anchor = it.do_not_run_until.unwrap_or_else(|| at(0));
        let interval = it.recurrence_interval.unwrap_or(Span::MAX);
        let due_times = std::iter::successors(Some(anchor), |due| Some(due.plus(interval)));
        let last = due_times.take_while(|due| *due <= now && due.0 < i64::MAX).last()?;
        let is_open = it.start_window.is_none_or(|window| {
            now < last.plus(window) || (it.recurrence_interval.is_some() && interval <= window)
        });
        let is_over = it.do_not_run_after.is_some_and(|end| end <= now);
        let is_used = used.is_some_and(|used| last <= used);
        (is_open && !is_over && !is_used).then_some(last)
    }

    /// Ten thousand schedules, each through a day in which jobs take their time and the server
    /// is down now and then: what is done is what the rule says at every minute, each due time is
    /// used once, and nothing falls due between two looks.
    #[test]
    fn every_minute_of_any_schedule_is_as_the_rule_says() {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        for _ in 0..10_000 {
            let recurrence = Recurrence {
                do_not_run_until: dice.maybe(120).map(|it| at(it - 60)),
                do_not_run_after: dice.maybe(600).map(at),
                start_window: dice.maybe(60).map(|it| Span::minutes(it + 1)),
                recurrence_interval: dice.maybe(60).map(|it| Span::minutes(it + 1)),
            };
            let (mut used, mut busy_until, mut quiet_until) = (None, 0, at(0));
            for minute in 0..300 {
                if dice.below(40) == 0 {
                    busy_until = minute + dice.below(90);
                }
                if minute < busy_until {
                    continue;
                }
                let now = at(minute);
                let due = recurrence.due(at(0), used, now);
                let expected = told(&recurrence, used, now);
                let found = if let Due::At(it) = due { Some(it) } else { None };
                assert_eq!(found.filter(|it| *it <= now), expected, "{recurrence:?} {minute}");
                match due {
                    Due::At(it) if it <= now => {
                        assert!(quiet_until <= now, "{recurrence:?} {minute}");
                        assert!(used < Some(it), "{recurrence:?} {minute}");
                        used = Some(it);
                        busy_until = minute + dice.below(20);
                        quiet_until = now;
                    }
                    Due::At(it) => quiet_until = it,
                    Due::NotBefore(_) | Due::Never => quiet_until = at(i64::MAX),
                }
            }
        }
    }
}
