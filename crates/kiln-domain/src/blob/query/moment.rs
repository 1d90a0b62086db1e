//! Times of a query: points in time that remember the zone they were told in.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Span};

use super::syntax::Part;
use crate::time::Timestamp;

/// A point in time, and how far from UTC its clock is.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub(super) at: jiff::Timestamp,
    pub(super) offset: Offset,
}

/// Times are equal when they are the same point, whatever their clocks say.
impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Moment {
    /// The same point as `at`, in UTC.
    pub fn utc(at: Timestamp) -> Self {
        let nanoseconds = i128::from(at.0) * 100;
        let at = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or(jiff::Timestamp::MAX);
        Self { at, offset: Offset::UTC }
    }

    /// Reads `2007T`, `2010-01`, `2010-01-02`, `2018-11-09T00:00+05:30`,
    /// `2017-01-02T03:04:05.006Z`; a time without a zone is UTC.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.trim());
        let year = i16::try_from(rest.digits(4)?).ok()?;
        let (mut month, mut day) = (1, 1);
        if rest.take("-") {
            month = i8::try_from(rest.digits(2)?).ok()?;
            if rest.take("-") {
                day = i8::try_from(rest.digits(2)?).ok()?;
            }
        }
        let (mut hour, mut minute, mut second, mut nanosecond) = (0, 0, 0, 0);
        if (rest.take("T") || rest.take("t") || rest.take(" ")) && rest.has_digit() {
            hour = i8::try_from(rest.digits(2)?).ok()?;
            minute =
                if rest.take(":") { i8::try_from(rest.digits(2)?).ok()? } else { return None };
            if rest.take(":") {
                second = i8::try_from(rest.digits(2)?).ok()?;
                if rest.take(".") {
                    nanosecond = rest.fraction()?;
                }
            }
        }
        let offset = rest.offset()?;
        let civil = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
        Some(Self { at: offset.to_timestamp(civil).ok()?, offset })
    }

    pub(super) fn civil(self) -> DateTime {
        self.offset.to_datetime(self.at)
    }

    /// This time and `count` more of `part`; `None` beyond what times can be.
    pub(super) fn plus(self, part: Part, count: i64) -> Option<Self> {
        let seconds = |each: i64| Some(SignedDuration::from_secs(count.checked_mul(each)?));
        let span = match part {
            Part::Year => Span::new().try_years(count).ok()?,
            Part::Month => Span::new().try_months(count).ok()?,
            Part::Day => Span::new().try_days(count).ok()?,
            Part::Hour => return self.later_by(seconds(3600)?),
            Part::Minute => return self.later_by(seconds(60)?),
            Part::Second => return self.later_by(seconds(1)?),
            Part::TimezoneHour | Part::TimezoneMinute => return None,
        };
        let civil = self.civil().checked_add(span).ok()?;
        Some(Self { at: self.offset.to_timestamp(civil).ok()?, ..self })
    }

    pub(super) fn later_by(self, duration: SignedDuration) -> Option<Self> {
        Some(Self { at: self.at.checked_add(duration).ok()?, ..self })
    }

    /// How many whole `part`s lie between this time and `later`.
    pub(super) fn until(self, later: Self, part: Part) -> Option<i64> {
        let seconds = later.at.duration_since(self.at).as_secs();
        Some(match part {
            Part::Year => self.months_until(later) / 12,
            Part::Month => self.months_until(later),
            Part::Day => seconds / 86_400,
            Part::Hour => seconds / 3600,
            Part::Minute => seconds / 60,
            Part::Second => seconds,
            Part::TimezoneHour | Part::TimezoneMinute => return None,
        })
    }

    fn months_until(self, later: Self) -> i64 {
        let (from, to) = (self.civil(), self.offset.to_datetime(later.at));
        let of_year = |it: DateTime| i64::from(it.year()) * 12 + i64::from(it.month());
        let within = |it: DateTime| (it.day(), it.time());
        let months = of_year(to) - of_year(from);
        if months > 0 && within(to) < within(from) {
            months - 1
        } else if months < 0 && within(to) > within(from) {
            months + 1
        } else {
            months
        }
    }

    /// A part of it as a number.
    pub(super) fn part(self, part: Part) -> i64 {
        let civil = self.civil();
        match part {
            Part::Year => i64::from(civil.year()),
            Part::Month => i64::from(civil.month()),
            Part::Day => i64::from(civil.day()),
            Part::Hour => i64::from(civil.hour()),
            Part::Minute => i64::from(civil.minute()),
            Part::Second => i64::from(civil.second()),
            Part::TimezoneHour => i64::from(self.offset.seconds() / 3600),
            Part::TimezoneMinute => i64::from(self.offset.seconds() % 3600 / 60),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        write!(f, "{}", civil.strftime("%Y-%m-%dT%H:%M:%S%.f"))?;
        if self.offset == Offset::UTC {
            f.write_str("Z")
        } else {
            write!(f, "{}", super::moment_format::zone(self.offset, ":"))
        }
    }
}

/// What was not read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn take(&mut self, wanted: &str) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn has_digit(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_digit())
    }

    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    /// The digits behind a decimal point, as nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(end)?;
        if digits.is_empty() || digits.len() > 9 {
            return None;
        }
        self.0 = rest;
        format!("{digits:0<9}").parse().ok()
    }

    /// The zone, up to the end.
    fn offset(mut self) -> Option<Offset> {
        if self.0.is_empty() || matches!(self.0, "Z" | "z") {
            return Some(Offset::UTC);
        }
        let sign = if self.take("+") {
            1
        } else if self.take("-") {
            -1
        } else {
            return None;
        };
        let hours = i32::try_from(self.digits(2)?).ok()?;
        self.take(":");
        let minutes = if self.0.is_empty() { 0 } else { i32::try_from(self.digits(2)?).ok()? };
        if !self.0.is_empty() || hours > 23 || minutes > 59 {
            return None;
        }
        Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
    }
}
