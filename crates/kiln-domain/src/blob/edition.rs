//! Which of the states of a blob is meant: the one now, or one of its past.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One of the states that a blob has or had. All editions of the past of one blob differ in
/// their moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edition {
    /// What the name alone means.
    #[default]
    Current,
    /// Taken by a client.
    Snapshot(Timestamp),
    /// Left behind by a change, in an account that keeps versions.
    Version(Timestamp),
    /// The blob itself, after it was deleted at this time and while it can be brought back.
    Deleted(Timestamp),
}

impl Edition {
    /// What tells it from the others of the past; `None` for the current one.
    pub const fn moment(self) -> Option<Timestamp> {
        match self {
            Self::Current => None,
            Self::Snapshot(at) | Self::Version(at) | Self::Deleted(at) => Some(at),
        }
    }

    /// Whether content and properties can still change.
    pub const fn is_current(self) -> bool {
        matches!(self, Self::Current)
    }
}

/// Reads the id of a snapshot or version: a time with seven digits behind the second.
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    let time = Timestamp::parse_iso(text)?;
    (time.to_iso_seven() == text).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::parse_moment;

    #[test]
    fn ids_have_one_spelling() {
        let id = "2026-01-02T03:04:05.0000010Z";
        assert_eq!(parse_moment(id).map(|at| at.to_iso_seven()).as_deref(), Some(id));
        for bad in ["", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000001Z", "yesterday"] {
            assert_eq!(parse_moment(bad), None, "{bad}");
        }
    }
}
