//! Lengths of time, in the resolution and spellings of Azure.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::TICKS_PER_SECOND;

const TICKS_PER_MICROSECOND: i128 = 10;
const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
const TICKS_PER_HOUR: i64 = 60 * TICKS_PER_MINUTE;
const TICKS_PER_DAY: i64 = 24 * TICKS_PER_HOUR;

/// A length of time: ticks of 100 ns. In JSON it is ISO 8601 text, `PT15M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No end: the service writes it `P10675199DT2H48M5.4775807S`.
    pub const MAX: Self = Self(i64::MAX);

    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many ticks of 100 ns.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// A span of whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(TICKS_PER_SECOND))
    }

    /// A span of whole minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes.saturating_mul(TICKS_PER_MINUTE))
    }

    /// A span of whole days.
    pub const fn days(days: i64) -> Self {
        Self(days.saturating_mul(TICKS_PER_DAY))
    }

    /// As long in the other direction.
    #[must_use]
    pub const fn negative(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// The ticks of 100 ns.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Both together, or the longest span there is.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// This without `other`; negative when that is longer.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The same length as ticks; what is too long becomes [`Span::MAX`].
    pub fn from_std(length: Duration) -> Self {
        Self(i64::try_from(length.as_nanos() / 100).unwrap_or(i64::MAX))
    }

    /// A length that the standard library counts; the longest one there is when it is longer.
    pub fn of_std(length: Duration) -> Self {
        Self(i64::try_from(length.as_nanos() / 100).unwrap_or(i64::MAX))
    }

    /// The same length as the standard library counts it; negative spans become zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0).saturating_mul(100))
    }

    /// Parses ISO 8601 as the service reads it: years of 365 days, months of 30, weeks,
    /// zero-padded members, a fraction on the seconds. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let rest = rest.strip_prefix('P')?;
        let (date, time) = match rest.split_once('T') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (rest, ""),
        };
        if date.is_empty() && time.is_empty() {
            return None;
        }
        let date_units = [
            ('Y', 365 * TICKS_PER_DAY),
            ('M', 30 * TICKS_PER_DAY),
            ('W', 7 * TICKS_PER_DAY),
            ('D', TICKS_PER_DAY),
        ];
        let time_units = [('H', TICKS_PER_HOUR), ('M', TICKS_PER_MINUTE), ('S', TICKS_PER_SECOND)];
        let ticks = sum_members(date, &date_units)?.checked_add(sum_members(time, &time_units)?)?;
        let ticks = ticks.checked_mul(sign)?;
        // Clients that count microseconds send the service's own endless time rounded up.
        if ticks > i128::from(i64::MAX) && ticks - i128::from(i64::MAX) < TICKS_PER_MICROSECOND {
            return Some(Self::MAX);
        }
        Some(Self(i64::try_from(ticks).ok()?))
    }
}

/// Adds up `12H30M`; each unit at most once and in order, only seconds with a fraction.
fn sum_members(text: &str, units: &[(char, i64)]) -> Option<i128> {
    let mut rest = text;
    let mut total: i128 = 0;
    let mut units = units.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at(end);
        let letter = tail.chars().next()?;
        rest = tail.get(1..)?;
        let (_, unit) = units.find(|(name, _)| *name == letter)?;
        let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
        if whole.is_empty() || (number.contains(['.', ',']) && letter != 'S') {
            return None;
        }
        let whole: i128 = digits(whole)?.parse().ok()?;
        total = total.checked_add(whole.checked_mul(i128::from(*unit))?)?;
        if !fraction.is_empty() {
            let seven: String =
                digits(fraction)?.chars().chain("0000000".chars()).take(7).collect();
            total = total.checked_add(seven.parse().ok()?)?;
        }
    }
    Some(total)
}

fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
}

impl fmt::Display for Span {
    /// Writes `P1DT2H3M4.5S` in the form the service normalizes to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.0.unsigned_abs();
        let unit = |ticks: i64| ticks.unsigned_abs();
        let days = ticks / unit(TICKS_PER_DAY);
        let hours = ticks % unit(TICKS_PER_DAY) / unit(TICKS_PER_HOUR);
        let minutes = ticks % unit(TICKS_PER_HOUR) / unit(TICKS_PER_MINUTE);
        let seconds = ticks % unit(TICKS_PER_MINUTE) / unit(TICKS_PER_SECOND);
        let part = ticks % unit(TICKS_PER_SECOND);
        f.write_str(if self.0 < 0 { "-P" } else { "P" })?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if days > 0 && hours == 0 && minutes == 0 && seconds == 0 && part == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if part > 0 {
            write!(f, "{seconds}.{}S", format!("{part:07}").trim_end_matches('0'))?;
        } else if seconds > 0 || (hours == 0 && minutes == 0) {
            write!(f, "{seconds}S")?;
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not an ISO 8601 duration"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn normalizes_as_the_service_does() {
        for (sent, kept) in [
            ("PT01H00M00S", "PT1H"),
            ("PT01H00M05S", "PT1H5S"),
            ("P3Y6M4DT12H30M5S", "P1279DT12H30M5S"),
            ("P7D", "P7D"),
            ("P10675199DT2H48M5.4775807S", "P10675199DT2H48M5.4775807S"),
            ("P10675199DT2H48M5.477581S", "P10675199DT2H48M5.4775807S"),
            ("PT0S", "PT0S"),
            ("PT90S", "PT1M30S"),
            ("P1W", "P7D"),
            ("PT0.5S", "PT0.5S"),
        ] {
            assert_eq!(Span::parse(sent).map(|s| s.to_string()).as_deref(), Some(kept), "{sent}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in [
            "",
            "P",
            "PT",
            "15M",
            "PT1.5H",
            "PT5M3H",
            "PTxS",
            "P10675200D",
            "P10675199DT2H48M5.477582S",
            "PT1H5",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }
}
