//! User delegation keys: what somebody with a bearer token signs with in their own name.
//!
//! Nothing is kept of a key. Its value is computed from its terms and the role of who asked,
//! under a secret of this server, so that a signature made with it can be checked by computing
//! the value again. The role is part of it, not of the terms that the client repeats: nobody
//! gets more rights from a key than they had when they got it.

use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;

use super::bearer::Principal;
use super::hmac::{self, Key};
use super::role::Role;

/// Days for which a key is good at the most.
pub const KEY_GOOD_DAYS_MAX: i64 = 7;
/// The service that keys are made for.
const SERVICE: &str = "b";

/// What a key was given out for, as signatures repeat it; times as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTerms {
    /// Who got it, `skoid`.
    pub oid: String,
    /// Their tenant, `sktid`.
    pub tid: String,
    /// Good from this time on, `skt`.
    pub start: String,
    /// Good up to this time, `ske`.
    pub expiry: String,
    /// The letter of the service, `sks`.
    pub service: String,
    /// The version it was made for, `skv`.
    pub version: String,
    /// The tenant of the one user who may use signatures made with it, `skdutid`.
    pub user_tid: String,
}

/// What a client asks for: the body of Get User Delegation Key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRequest {
    /// Good from this time on; at once when empty.
    pub start: String,
    /// Good up to this time.
    pub expiry: String,
    /// The tenant of the one user who may use signatures made with it.
    pub user_tid: String,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationKey {
    /// What it is for.
    pub terms: KeyTerms,
    /// The key, base64.
    pub value: String,
}

impl std::fmt::Debug for DelegationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegationKey").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// Why there is no such key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// A time that cannot be read.
    #[error("`{element}` is `{text}`, which is no time")]
    NotATime {
        /// The element.
        element: &'static str,
        /// What stands in it.
        text: String,
    },
    /// The end lies before the start, or has passed.
    #[error("the key would end at `{expiry}`, before it is of use")]
    Over {
        /// The end, as sent.
        expiry: String,
    },
    /// The end lies too far away.
    #[error("a key is good for {KEY_GOOD_DAYS_MAX} days at the most, and `{expiry}` is later")]
    TooLong {
        /// The end, as sent.
        expiry: String,
    },
}

/// Gives out a key.
pub fn issue(
    secret: &str,
    who: &Principal,
    role: Role,
    asked: &KeyRequest,
    version: &str,
    now: Timestamp,
) -> Result<DelegationKey, NoKey> {
    let start = if asked.start.is_empty() { now } else { time("Start", &asked.start)? };
    let expiry = time("Expiry", &asked.expiry)?;
    if expiry <= start || expiry <= now {
        return Err(NoKey::Over { expiry: asked.expiry.clone() });
    }
    if expiry.since(now.max(start)) > Span::days(KEY_GOOD_DAYS_MAX).to_std() {
        return Err(NoKey::TooLong { expiry: asked.expiry.clone() });
    }
    let terms = KeyTerms {
        oid: who.oid.clone(),
        tid: who.tid.clone(),
        start: start.truncated_to_seconds().to_iso(),
        expiry: expiry.truncated_to_seconds().to_iso(),
        service: SERVICE.to_owned(),
        version: version.to_owned(),
        user_tid: asked.user_tid.clone(),
    };
    let value = value(secret, role, &terms);
    Ok(DelegationKey { terms, value })
}

fn time(element: &'static str, text: &str) -> Result<Timestamp, NoKey> {
    Timestamp::parse_iso(text).ok_or_else(|| NoKey::NotATime { element, text: text.to_owned() })
}

/// The role with which the key of these terms was given out, if `signature` of `text` was made
/// with it.
pub(super) fn role_of_signer(
    secret: &str,
    terms: &KeyTerms,
    text: &str,
    signature: &str,
) -> Option<Role> {
    let is_theirs = |role: &Role| {
        let key = Key::from_base64(&value(secret, *role, terms));
        key.is_ok_and(|key| hmac::is_signed_by_any(&[key], text, signature))
    };
    Role::ALL.into_iter().find(is_theirs)
}

/// The value of a key. Each part is written with its length, so that no two different terms
/// make one text.
fn value(secret: &str, role: Role, terms: &KeyTerms) -> String {
    let KeyTerms { oid, tid, start, expiry, service, version, user_tid } = terms;
    let parts = [role.name(), oid, tid, start, expiry, service, version, user_tid];
    let text: String = parts.iter().map(|part| format!("{}:{part}\n", part.len())).collect();
    Key::from_text(secret).sign(&text)
}

#[cfg(test)]
mod tests {
    use super::{KeyRequest, Principal, Role, Timestamp, issue};

    #[test]
    fn a_key_is_good_for_a_week_at_most() {
        let now = Timestamp::parse_iso("2030-06-01T12:00:00Z").expect("a time");
        let who = Principal { oid: "o".to_owned(), tid: "t".to_owned(), roles: Vec::new() };
        let check = |start: &str, expiry: &str, expected: &str| {
            let asked = KeyRequest {
                start: start.to_owned(),
                expiry: expiry.to_owned(),
                ..KeyRequest::default()
            };
            let key = issue("secret", &who, Role::Reader, &asked, "2021-12-02", now);
            let told = match key {
                Ok(key) => format!("{} {}", key.terms.start, key.terms.expiry),
                Err(none) => none.to_string(),
            };
            assert_eq!(told, expected, "{start} {expiry}");
        };
        check("", "2030-06-08T12:00:00Z", "2030-06-01T12:00:00Z 2030-06-08T12:00:00Z");
        check("2030-05-01", "2030-06-02", "2030-05-01T00:00:00Z 2030-06-02T00:00:00Z");
        check(
            "",
            "2030-06-08T12:00:01Z",
            "a key is good for 7 days at the most, and \
               `2030-06-08T12:00:01Z` is later",
        );
        check("", "2030-06-01", "the key would end at `2030-06-01`, before it is of use");
        check("2030-06-03", "2030-06-02", "the key would end at `2030-06-02`, before it is of use");
        check("", "soon", "`Expiry` is `soon`, which is no time");
        check("now", "2030-06-02", "`Start` is `now`, which is no time");
    }
}
