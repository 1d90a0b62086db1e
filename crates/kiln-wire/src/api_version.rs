//! The api-versions of the Batch service, oldest to newest, with their spelling.
//!
//! An api-version is a row of a table with an order, never a number that is computed with:
//! most are written `2019-08-01.10.0`, the newest `2025-06-01`.

/// Every api-version that is served, oldest first. There is no `.13.0`.
const KNOWN: [&str; 20] = [
    "2016-07-01.3.1",
    "2017-01-01.4.0",
    "2017-05-01.5.0",
    "2017-06-01.5.1",
    "2017-09-01.6.0",
    "2018-03-01.6.1",
    "2018-08-01.7.0",
    "2018-12-01.8.0",
    "2019-06-01.9.0",
    "2019-08-01.10.0",
    "2020-03-01.11.0",
    "2020-09-01.12.0",
    "2021-06-01.14.0",
    "2022-01-01.15.0",
    "2022-10-01.16.0",
    "2023-05-01.17.0",
    "2023-11-01.18.0",
    "2024-02-01.19.0",
    "2024-07-01.20.0",
    "2025-06-01",
];

/// One of the known api-versions; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(u8);

/// An api-version that a client asked for, and the one that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The version whose shapes the client gets.
    pub version: ApiVersion,
    /// Whether the client asked for a version later than all known ones.
    pub is_newer_than_known: bool,
}

/// The text names no api-version that can be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("api-version `{text}` is not served; the oldest is `{}`", ApiVersion::OLDEST.as_str())]
pub struct UnknownVersion {
    /// What the client wrote.
    pub text: String,
}

impl ApiVersion {
    /// The first one served.
    pub const OLDEST: Self = Self(0);
    /// `userIdentity` replaces `runElevated`.
    pub const V2017_01_01: Self = Self(1);
    /// Low-priority nodes, `failureInfo`.
    pub const V2017_05_01: Self = Self(2);
    /// Task counts.
    pub const V2017_06_01: Self = Self(3);
    /// Containers.
    pub const V2017_09_01: Self = Self(4);
    /// Node counts.
    pub const V2018_03_01: Self = Self(5);
    /// Smaller task collections.
    pub const V2018_08_01: Self = Self(6);
    /// `httpUrl` replaces `blobSource`.
    pub const V2018_12_01: Self = Self(7);
    /// Supported images.
    pub const V2019_06_01: Self = Self(8);
    /// Start tasks hold back scheduling.
    pub const V2019_08_01: Self = Self(9);
    /// Public addresses move.
    pub const V2020_03_01: Self = Self(10);
    /// Task slots.
    pub const V2020_09_01: Self = Self(11);
    /// Identities and extensions.
    pub const V2021_06_01: Self = Self(12);
    /// Preemption of tasks.
    pub const V2022_01_01: Self = Self(13);
    /// Node communication modes.
    pub const V2022_10_01: Self = Self(14);
    /// Lifetime statistics are gone.
    pub const V2023_05_01: Self = Self(15);
    /// Resource tags.
    pub const V2023_11_01: Self = Self(16);
    /// Upgrade policies.
    pub const V2024_02_01: Self = Self(17);
    /// Nodes can be deallocated.
    pub const V2024_07_01: Self = Self(18);
    /// The last one known: its shapes are the ones used inside.
    pub const NEWEST: Self = Self(19);

    /// All known ones, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::OLDEST.0..=Self::NEWEST.0).map(Self)
    }

    /// Which version serves a client that asks for `text`.
    ///
    /// A later version than the newest is served as the newest, so that tomorrow's clients
    /// work. One between two known ones is served as the older of them: its client knows
    /// nothing of what came after. Anything older than the oldest, or of another form, is
    /// refused.
    pub fn parse(text: &str) -> Result<Resolved, UnknownVersion> {
        if let Some(version) = Self::all().find(|known| known.as_str() == text) {
            return Ok(Resolved { version, is_newer_than_known: false });
        }
        let unknown = || UnknownVersion { text: text.to_owned() };
        let asked = order(text).ok_or_else(unknown)?;
        if Some(asked) > order(Self::NEWEST.as_str()) {
            return Ok(Resolved { version: Self::NEWEST, is_newer_than_known: true });
        }
        let version = Self::all()
            .filter(|known| order(known.as_str()) <= Some(asked))
            .last()
            .ok_or_else(unknown)?;
        Ok(Resolved { version, is_newer_than_known: false })
    }

    /// Its spelling on the wire.
    pub fn as_str(self) -> &'static str {
        KNOWN.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// Its row in the table, 0 for the oldest.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Date and numbers of `YYYY-MM-DD` or `YYYY-MM-DD.N.M`, in the order of their age.
fn order(text: &str) -> Option<[u16; 5]> {
    let (date, numbers) = text.split_once('.').unwrap_or((text, "0.0"));
    let mut parts = date.split('-');
    let mut next = |digits: usize| {
        let part = parts.next()?;
        (part.len() == digits).then(|| number(part)).flatten()
    };
    let [year, month, day] = [next(4)?, next(2)?, next(2)?];
    let (major, minor) = numbers.split_once('.')?;
    let is_date = parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then_some([year, month, day, number(major)?, number(minor)?])
}

fn number(text: &str) -> Option<u16> {
    let is_plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{ApiVersion, order};

    fn check(text: &str, expect: &str) {
        let got = match ApiVersion::parse(text) {
            Ok(resolved) if resolved.is_newer_than_known => {
                format!("{} for a newer one", resolved.version.as_str())
            }
            Ok(resolved) => resolved.version.as_str().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn rows_are_in_order_and_parse_to_themselves() {
        let orders: Vec<_> = ApiVersion::all().map(|v| order(v.as_str())).collect();
        assert!(orders.is_sorted() && orders.iter().all(Option::is_some));
        for version in ApiVersion::all() {
            check(version.as_str(), version.as_str());
        }
    }

    #[test]
    fn unknown_ones_get_the_nearest_older_or_nothing() {
        check("2027-01-01", "2025-06-01 for a newer one");
        check("2026-03-01.22.1", "2025-06-01 for a newer one");
        check("2025-06-01.21.0", "2025-06-01 for a newer one");
        check("2024-07-01", "2024-02-01.19.0");
        check("2019-08-01.10.1", "2019-08-01.10.0");
        check("2019-07-01.9.0", "2019-06-01.9.0");
        for text in [
            "",
            "2015-12-01.2.2",
            "2016-02-01.3.0",
            "latest",
            "2025-6-1",
            "2025-13-01",
            "2025-06-32",
            "2025-06-01.",
            "2025-06-01.20",
            "2025-06-01.x.0",
            "2025-06-01-01",
            "20250-06-01",
            "2025-06-01.1.2.3",
            "+025-06-01",
        ] {
            check(
                text,
                &format!("api-version `{text}` is not served; the oldest is `2016-07-01.3.1`"),
            );
        }
    }

    #[test]
    fn names_are_of_their_rows() {
        assert_eq!(ApiVersion::V2019_08_01.as_str(), "2019-08-01.10.0");
        assert_eq!(ApiVersion::V2020_09_01.as_str(), "2020-09-01.12.0");
        assert_eq!(ApiVersion::V2024_07_01.as_str(), "2024-07-01.20.0");
        assert_eq!(ApiVersion::NEWEST.as_str(), "2025-06-01");
    }
}
