//! `If-Match` and its family.

use kiln_domain::rejection::Rejection;
use kiln_domain::time::Timestamp;
use kiln_wire::batch::error::Refusal;

use super::call::Call;

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    is_read: bool,
    matches: Option<String>,
    none_matches: Option<String>,
    modified_since: Option<Timestamp>,
    unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// The conditions that `call` carries: at most one of them.
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let time = |name: &str| match call.header(name) {
            None => Ok(None),
            Some(text) => match Timestamp::parse_rfc1123(text) {
                Some(at) => Ok(Some(at)),
                None => Err(Refusal::invalid_header(name, text)),
            },
        };
        let tag = |name: &str| call.header(name).map(|text| text.trim_matches('"').to_owned());
        let conditions = Self {
            is_read: matches!(call.method, http::Method::GET | http::Method::HEAD),
            matches: tag("if-match"),
            none_matches: tag("if-none-match"),
            modified_since: time("if-modified-since")?,
            unmodified_since: time("if-unmodified-since")?,
        };
        let given = [
            conditions.matches.is_some(),
            conditions.none_matches.is_some(),
            conditions.modified_since.is_some(),
            conditions.unmodified_since.is_some(),
        ];
        if given.iter().filter(|it| **it).count() > 1 {
            return Err(Refusal::multiple_conditions());
        }
        Ok(conditions)
    }

    /// Whether they hold for a resource last modified at `last_modified`.
    pub(super) fn check(&self, last_modified: Timestamp) -> Result<(), Rejection> {
        let tag = last_modified.to_etag();
        let is = |wanted: &String| wanted == "*" || wanted.eq_ignore_ascii_case(&tag);
        let seconds = last_modified.truncated_to_seconds();
        let fails = self.matches.as_ref().is_some_and(|wanted| !is(wanted))
            || self.unmodified_since.is_some_and(|at| seconds > at);
        if fails {
            return Err(Rejection::ConditionNotMet { last_modified });
        }
        let is_same = self.none_matches.as_ref().is_some_and(is)
            || self.modified_since.is_some_and(|at| seconds <= at);
        match (is_same, self.is_read) {
            (false, _) => Ok(()),
            (true, true) => Err(Rejection::NotModified { last_modified }),
            (true, false) => Err(Rejection::ConditionNotMet { last_modified }),
        }
    }
}
