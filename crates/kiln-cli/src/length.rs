//! Lengths of time as people write them.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

/// The shortest length that a setting takes: nothing is looked at more often.
const LENGTH_MIN: Duration = Duration::from_secs(1);

/// A length of time of at least a second: `30s`, `5m`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Length(pub(crate) Duration);

/// How often something is done: each so long, or when each pool wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Interval {
    /// Each so long.
    Each(Length),
    /// `pool`: when each pool wants it.
    Pool,
}

impl Interval {
    /// The length, unless it is the pools' matter.
    pub(crate) fn length(self) -> Option<Duration> {
        match self {
            Self::Each(length) => Some(length.0),
            Self::Pool => None,
        }
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let length = text.parse::<SignedDuration>().ok();
        let length = length.and_then(|it| Duration::try_from(it).ok());
        match length {
            Some(length) if length >= LENGTH_MIN => Ok(Self(length)),
            Some(_) => Err("one second is the shortest length".to_owned()),
            None => Err("write a length of time such as 30s, 5m or 1h30m".to_owned()),
        }
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "pool" {
            return Ok(Self::Pool);
        }
        text.parse().map(Self::Each)
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{Interval, Length};

    #[test]
    fn lengths_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("1s", Some(1)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h30m", Some(5400)),
            ("PT5M", Some(300)),
            ("999ms", None),
            ("-5m", None),
            ("30", None),
            ("", None),
            ("pool", None),
        ] {
            let length = text.parse::<Length>().ok().map(|it| it.0.as_secs());
            assert_eq!(length, seconds, "{text}");
        }
        assert_eq!("pool".parse(), Ok(Interval::Pool));
        assert_eq!("5m".parse::<Interval>().map(|it| it.length().is_some()), Ok(true));
    }
}
