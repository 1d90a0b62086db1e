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

/// What says which version a request is executed in; each is absent where it is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionSigns<'a> {
    /// `x-ms-version`.
    pub header: Option<&'a str>,
    /// `api-version` of the query, which counts beside a token only.
    pub parameter: Option<&'a str>,
    /// What a shared access signature was made for: empty before there were versions of them.
    pub token: Option<&'a str>,
}

/// A version that is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVersion<'a>(pub &'a str);

impl<'a> VersionSigns<'a> {
    /// The version to execute; `default` is what the account has for requests that say none.
    pub fn decide<E: From<NoVersion<'a>>>(
        self,
        default: impl FnOnce() -> Result<Option<String>, E>,
    ) -> Result<ServiceVersion, E> {
        let named = match self.token {
            Some(token) => self
                .parameter
                .or(self.header)
                .or_else(|| Some(token).filter(|version| !version.is_empty())),
            None => self.header,
        };
        if let Some(text) = named {
            return ServiceVersion::nearest(text).ok_or_else(|| NoVersion(text).into());
        }
        let usual = default()?.and_then(|text| ServiceVersion::nearest(&text));
        let oldest = if self.token.is_some() { TOKEN_DEFAULT } else { ANYONE_DEFAULT };
        Ok(usual.unwrap_or(oldest))
    }
}

/// The version of requests that say none, where the account has no default.
const ANYONE_DEFAULT: ServiceVersion = ServiceVersion("2009-09-19");
/// The same with a token of the time before tokens had versions.
const TOKEN_DEFAULT: ServiceVersion = ServiceVersion("2011-08-18");

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
    use super::{KNOWN, NoVersion, ServiceVersion, VersionSigns};

    #[derive(Debug)]
    struct Refused(String);

    impl From<NoVersion<'_>> for Refused {
        fn from(NoVersion(text): NoVersion<'_>) -> Self {
            Self(text.to_owned())
        }
    }

    #[test]
    fn which_version_applies() {
        let check = |signs: [Option<&str>; 3], default: Option<&str>, expected: &str| {
            let [header, parameter, token] = signs;
            let signs = VersionSigns { header, parameter, token };
            let found = signs.decide(|| Ok::<_, Refused>(default.map(str::to_owned)));
            let found = match found {
                Ok(version) => version.to_string(),
                Err(Refused(text)) => format!("not {text}"),
            };
            assert_eq!(found, expected, "{signs:?} {default:?}");
        };
        let (new, old) = (Some("2021-12-02"), Some("2015-07-08"));
        check([new, None, None], None, "2021-12-02");
        check([new, old, None], None, "2021-12-02");
        check([None, old, None], None, "2009-09-19");
        check([None, None, None], old, "2015-07-08");
        check([None, None, None], None, "2009-09-19");
        check([None, None, old], None, "2015-07-08");
        check([new, None, old], None, "2021-12-02");
        check([new, Some("2018-03-28"), old], None, "2018-03-28");
        check([None, None, Some("")], None, "2011-08-18");
        check([None, None, Some("")], old, "2015-07-08");
        check([new, None, Some("")], old, "2021-12-02");
        check([Some("soon"), None, None], old, "not soon");
        check([None, None, Some("2015")], None, "not 2015");
        check([Some("2035-01-01"), None, None], None, "2026-10-06");
    }

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
