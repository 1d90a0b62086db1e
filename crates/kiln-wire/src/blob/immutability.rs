//! The headers of policies and legal holds.

use kiln_domain::blob::immutability::{ImmutabilityPolicy, PolicyMode, Protection};
use kiln_domain::time::Timestamp;

use super::error::BlobError;
use super::headers::Headers;

/// Until when a policy keeps a blob.
pub const UNTIL: &str = "x-ms-immutability-policy-until-date";
/// How firm the policy is.
pub const MODE: &str = "x-ms-immutability-policy-mode";
/// Whether a legal hold keeps a blob.
pub const HOLD: &str = "x-ms-legal-hold";

impl Headers<'_> {
    /// What is to keep a blob that the request makes; a policy that ended already is none.
    pub fn protection(&self, now: Timestamp) -> Result<Protection, BlobError> {
        let policy = self.policy()?;
        if let Some(policy) = policy {
            Protection::default().admit_policy(policy, now)?;
        }
        Ok(Protection { policy, has_legal_hold: self.legal_hold()?.unwrap_or(false) })
    }

    /// The policy that the request brings.
    pub fn policy(&self) -> Result<Option<ImmutabilityPolicy>, BlobError> {
        let mode = match self.get(MODE) {
            None => PolicyMode::default(),
            Some(text) => match PolicyMode::parse(text) {
                Some(mode) => mode,
                None => return Err(BlobError::invalid_header(MODE, text)),
            },
        };
        match self.get(UNTIL) {
            None if self.get(MODE).is_some() => Err(BlobError::missing_header(UNTIL)),
            None => Ok(None),
            Some(text) => match Timestamp::parse_rfc1123(text) {
                Some(until) => Ok(Some(ImmutabilityPolicy { until, mode })),
                None => Err(BlobError::invalid_header(UNTIL, text)),
            },
        }
    }

    /// Whether the request sets or takes away a legal hold.
    pub fn legal_hold(&self) -> Result<Option<bool>, BlobError> {
        match self.get(HOLD) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(BlobError::invalid_header(HOLD, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, Timestamp};

    fn check(pairs: &[(&str, &str)], expected: &str) {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let found = match Headers(&pairs).protection(Timestamp(0)) {
            Ok(found) => {
                let policy = found.policy.map_or_else(String::new, |policy| {
                    format!("{} {}", policy.mode.as_str(), policy.until.to_rfc1123())
                });
                format!("{policy}{}", if found.has_legal_hold { " held" } else { "" })
            }
            Err(error) => error.code.to_owned(),
        };
        assert_eq!(found, expected, "{pairs:?}");
    }

    #[test]
    fn policies_and_holds() {
        let date = "Fri, 02 Jan 2026 03:04:05 GMT";
        let until = "x-ms-immutability-policy-until-date";
        let mode = "x-ms-immutability-policy-mode";
        check(&[], "");
        check(&[(until, date)], &format!("unlocked {date}"));
        check(&[(until, date), (mode, "Locked")], &format!("locked {date}"));
        check(&[("x-ms-legal-hold", "True")], " held");
        check(&[("x-ms-legal-hold", "false")], "");
        check(&[(mode, "locked")], "MissingRequiredHeader");
        check(&[(until, date), (mode, "firm")], "InvalidHeaderValue");
        check(&[(until, "2026-01-02")], "InvalidHeaderValue");
        check(&[(until, "Thu, 01 Jan 1970 00:00:00 GMT")], "InvalidHeaderValue");
        check(&[("x-ms-legal-hold", "yes")], "InvalidHeaderValue");
    }
}
