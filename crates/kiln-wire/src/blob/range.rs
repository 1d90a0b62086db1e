//! The part of a blob that a request asks for.

use std::fmt;

/// A range as asked: first byte, and last byte unless it goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u64,
    last: Option<u64>,
}

/// What a range means for a blob of a certain size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes {
        /// First byte.
        start: u64,
        /// How many, at least one.
        length: u64,
    },
    /// Nothing of the blob.
    Unsatisfiable,
}

impl Range {
    /// Parses `bytes=0-99` or `bytes=100-`. Anything else is `None`, and to be ignored: ranges
    /// from the end, several ranges, and text that only looks like a range.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        let start = digits(start)?;
        let last = if last.is_empty() { None } else { Some(digits(last)?) };
        let is_ordered = last.is_none_or(|last| start <= last);
        is_ordered.then_some(Self { start, last })
    }

    /// Its first byte and the one behind its last; `None` when it goes to an end that it does
    /// not tell.
    pub fn bounds(self) -> Option<(u64, u64)> {
        Some((self.start, self.last?.checked_add(1)?))
    }

    /// The part of a blob of `size_bytes` that is meant.
    pub fn of(self, size_bytes: u64) -> Part {
        if self.start >= size_bytes {
            return Part::Unsatisfiable;
        }
        let end = self.last.map_or(size_bytes, |last| last.saturating_add(1).min(size_bytes));
        Part::Bytes { start: self.start, length: end - self.start }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "bytes={}-{last}", self.start),
            None => write!(f, "bytes={}-", self.start),
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Part, Range};

    fn check(text: &str, size_bytes: u64, expected: &str) {
        let found = match Range::parse(text).map(|range| range.of(size_bytes)) {
            None => "whole".to_owned(),
            Some(Part::Unsatisfiable) => "none".to_owned(),
            Some(Part::Bytes { start, length }) => format!("{start}+{length}"),
        };
        assert_eq!(found, expected, "{text} of {size_bytes}");
    }

    #[test]
    fn ranges() {
        check("bytes=0-33554431", 10, "0+10");
        check("bytes=0-0", 10, "0+1");
        check("bytes=3-", 10, "3+7");
        check("bytes=3-5", 10, "3+3");
        check("bytes=9-20", 10, "9+1");
        check("bytes=10-20", 10, "none");
        check("bytes=0-", 0, "none");
        check("bytes=0-33554431", 0, "none");
        check("bytes=0-18446744073709551615", 10, "0+10");
        for ignored in [
            "",
            "bytes=",
            "bytes=-5",
            "bytes=None-",
            "bytes=5-3",
            "0-5",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            check(ignored, 10, "whole");
        }
    }
}
