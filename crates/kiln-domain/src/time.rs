//! Points in time, in the resolution and spellings of Azure.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Ticks of 100 ns in one second.
pub const TICKS_PER_SECOND: i64 = 10_000_000;
/// Ticks from 0001-01-01 (where Azure's entity tags count from) to 1970-01-01.
const TICKS_BEFORE_UNIX: i64 = 621_355_968_000_000_000;

/// A point in time (UTC): ticks of 100 ns since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The point `ticks` of 100 ns after 1970-01-01.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// The point a system clock shows; times before 1970 become 1970.
    pub fn from_system(at: std::time::SystemTime) -> Self {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX))
    }

    /// Parses the ISO 8601 spellings that clients send; `None` if it is none of them.
    ///
    /// Accepts `2030-01-01`, `2030-01-01T00:00Z`, seconds with up to nine decimals, and an
    /// offset in place of `Z`. A time without zone is UTC.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Some(Self::from_jiff(at));
        }
        let zoneless = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        let at = zoneless.parse::<jiff::civil::DateTime>().ok()?;
        Some(Self::from_jiff(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))
    }

    /// Parses `Tue, 29 Jul 2014 21:49:13 GMT`; `None` if it is not of that form.
    pub fn parse_rfc1123(text: &str) -> Option<Self> {
        let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text.trim()).ok()?;
        Some(Self::from_jiff(zoned.timestamp()))
    }

    /// `2023-09-06T09:03:52.0897761Z`: up to seven decimals, trailing zeros left out.
    pub fn to_iso(self) -> String {
        let whole = self.civil().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        match self.0.rem_euclid(TICKS_PER_SECOND) {
            0 => format!("{whole}Z"),
            part => format!("{whole}.{}Z", format!("{part:07}").trim_end_matches('0')),
        }
    }

    /// `2023-09-06T09:03:52.0897761Z` with always seven decimals, as blob snapshots are named.
    pub fn to_iso_seven(self) -> String {
        let whole = self.civil().strftime("%Y-%m-%dT%H:%M:%S");
        format!("{whole}.{:07}Z", self.0.rem_euclid(TICKS_PER_SECOND))
    }

    /// `Tue, 29 Jul 2014 21:49:13 GMT`: whole seconds, rounded down.
    pub fn to_rfc1123(self) -> String {
        self.civil().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// The entity tag of a resource last modified at this time: `0x` and the .NET ticks in
    /// upper-case hexadecimal, without quotes.
    pub fn to_etag(self) -> String {
        format!("0x{:X}", self.0.saturating_add(TICKS_BEFORE_UNIX))
    }

    /// The same time without its fraction of a second.
    pub fn truncated_to_seconds(self) -> Self {
        Self(self.0 - self.0.rem_euclid(TICKS_PER_SECOND))
    }

    /// This time and `span` more, or the last representable time.
    pub fn plus(self, span: crate::span::Span) -> Self {
        Self(self.0.saturating_add(span.ticks()))
    }

    /// Time from `earlier` to this one; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let ticks = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        std::time::Duration::from_nanos(ticks.saturating_mul(100))
    }

    /// Time from `earlier` to this one; zero when `earlier` is later.
    pub fn span_since(self, earlier: Self) -> crate::span::Span {
        crate::span::Span::from_ticks(self.0.saturating_sub(earlier.0).max(0))
    }

    fn from_jiff(at: jiff::Timestamp) -> Self {
        let subsec = i64::from(at.subsec_nanosecond()) / 100;
        Self(at.as_second().saturating_mul(TICKS_PER_SECOND).saturating_add(subsec))
    }

    /// The date and the time of day, UTC.
    pub(crate) fn civil(self) -> jiff::civil::DateTime {
        let at = jiff::Timestamp::from_second(self.0.div_euclid(TICKS_PER_SECOND))
            .unwrap_or(jiff::Timestamp::MAX);
        jiff::tz::TimeZone::UTC.to_datetime(at)
    }
}

/// Reads a member of a specification, where times are ISO 8601 text.
pub(crate) fn some_iso<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    Timestamp::parse_iso(&text)
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a date and time")))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso())
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn spellings_round_trip() {
        let at = Timestamp::parse_iso("2020-03-21T02:14:05.7776897Z").expect("a time");
        assert_eq!(at.to_iso(), "2020-03-21T02:14:05.7776897Z");
        assert_eq!(at.to_etag(), "0x8D7CD3D88303F01");
        assert_eq!(at.to_rfc1123(), "Sat, 21 Mar 2020 02:14:05 GMT");
        assert_eq!(Timestamp::parse_rfc1123(&at.to_rfc1123()), Some(at.truncated_to_seconds()));
    }

    #[test]
    fn every_spelling_of_a_client_is_read() {
        let midnight = Timestamp::parse_iso("2030-01-01T00:00:00Z");
        assert!(midnight.is_some());
        for text in [
            "2030-01-01",
            "2030-01-01T00:00Z",
            "2030-01-01T00:00:00.0000000Z",
            "2030-01-01T00:00:00.000000000Z",
            "2030-01-01T01:00:00+01:00",
            "2030-01-01T00:00:00",
        ] {
            assert_eq!(Timestamp::parse_iso(text), midnight, "{text}");
        }
        assert_eq!(Timestamp::parse_iso("tomorrow"), None);
    }
}
