//! Versions of the Blob service: dates, of which any may come.

use std::fmt;

/// The versions known here, oldest first.
#[rustfmt::skip]
const KNOWN: [&str; 50] = [
    "2009-04-14", "2009-07-17", "2009-09-19", "2011-08-18", "2012-02-12", "2013-08-15",
    "2014-02-14", "2015-02-21", "2015-04-05", "2015-07-08", "2015-12-11", "2016-05-31",
    "2017-04-17", "2017-07-29", "2017-11-09", "2018-03-28", "2018-11-09", "2019-02-02",
    "2019-07-07", "2019-10-10", "2019-12-12", "2020-02-10", "2020-04-08", "2020-06-12",
    "2020-08-04", "2020-10-02", "2020-12-06", "2021-02-12", "2021-04-10", "2021-06-08",
    "2021-08-06", "2021-10-04", "2021-12-02", "2022-11-02", "2023-01-03", "2023-05-03",
    "2023-08-03", "2023-11-03", "2024-02-04", "2024-05-04", "2024-08-04", "2024-11-04",
    "2025-01-05", "2025-05-05", "2025-07-05", "2025-11-05", "2026-02-06", "2026-04-06",
    "2026-06-06", "2026-10-06",
];

/// A version that this service executes; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceVersion(&'static str);

impl ServiceVersion {
    /// The newest one.
    pub const NEWEST: Self = Self("2026-10-06");

    /// The version to execute for what a client asked: the nearest known one that is not
    /// later, or the oldest. `None` when the text is no date.
    pub fn nearest(text: &str) -> Option<Self> {
        if !is_date(text) {
            return None;
        }
        let n_not_later = KNOWN.partition_point(|known| *known <= text);
        KNOWN.get(n_not_later.saturating_sub(1)).copied().map(Self)
    }

    /// Whether it is `version` or later.
    pub fn is_since(self, version: &str) -> bool {
        self.0 >= version
    }

    /// The date.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ServiceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether `text` has the form `2015-07-08`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(idx, byte)| match idx {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, ServiceVersion};

    #[test]
    fn unknown_versions_are_served_as_the_nearest() {
        for (asked, served) in [
            ("2015-07-08", Some("2015-07-08")),
            ("2015-07-09", Some("2015-07-08")),
            ("2026-10-06", Some("2026-10-06")),
            ("2031-01-01", Some("2026-10-06")),
            ("2008-10-27", Some("2009-04-14")),
            ("", None),
            ("latest", None),
            ("2015-7-8", None),
            ("2015-07-08 ", None),
        ] {
            assert_eq!(ServiceVersion::nearest(asked).map(ServiceVersion::as_str), served);
        }
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(KNOWN.is_sorted());
        assert_eq!(KNOWN.last(), Some(&ServiceVersion::NEWEST.as_str()));
    }
}
