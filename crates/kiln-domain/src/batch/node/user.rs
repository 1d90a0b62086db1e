//! Users of nodes, for logging in to them.

use std::fmt;

use serde::Deserialize;

use crate::limits;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::{Timestamp, some_iso};

/// A user as a client describes it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeUserSpec {
    /// Its name; absent where the request names it elsewhere.
    #[serde(default)]
    pub name: String,
    /// Whether it may administer the node.
    #[serde(default)]
    pub is_admin: bool,
    /// When it is to go; in a day when absent.
    #[serde(default, deserialize_with = "some_iso")]
    pub expiry_time: Option<Timestamp>,
    /// What it logs in with.
    pub password: Option<String>,
    /// Or this.
    pub ssh_public_key: Option<String>,
}

impl NodeUserSpec {
    /// When a user of this description goes, if it may be made.
    ///
    /// # Errors
    /// When a member breaks a rule.
    pub fn admit(&self, now: Timestamp) -> Result<Timestamp, Rejection> {
        let is_plain =
            self.name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-.".contains(&it));
        let begins_well = self.name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
        if !is_plain || !begins_well || self.name.len() > limits::USER_NAME_LENGTH_MAX {
            let reason = format!(
                "The name of a user begins with a letter and has at most {} letters, digits, \
                 hyphens, underscores and dots",
                limits::USER_NAME_LENGTH_MAX
            );
            return Err(Rejection::property("name", &self.name, reason));
        }
        if self.password.is_none() && self.ssh_public_key.is_none() {
            return Err(Rejection::MissingProperty { name: "password".to_owned() });
        }
        if self.ssh_public_key.as_ref().is_some_and(|key| key.trim().contains(['\n', '\r'])) {
            let reason = "A public key is one line";
            return Err(Rejection::property("sshPublicKey", "", reason));
        }
        let expires_at = self
            .expiry_time
            .unwrap_or_else(|| now.plus(Span::days(limits::NODE_USER_EXPIRES_AFTER_DAYS)));
        if expires_at <= now {
            let reason = "The time is over already";
            return Err(Rejection::property("expiryTime", expires_at.to_iso(), reason));
        }
        Ok(expires_at)
    }
}

impl fmt::Debug for NodeUserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeUserSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::NodeUserSpec;
    use crate::time::Timestamp;

    /// Tells when a user of this description goes, or what the client hears.
    #[track_caller]
    fn check(json: &str, expected: &str) {
        let spec: NodeUserSpec = serde_json::from_str(json).expect("a description");
        let said = match spec.admit(Timestamp(0)) {
            Ok(at) => at.to_iso(),
            Err(rejection) => rejection.to_string(),
        };
        assert!(said.contains(expected), "{json}: {said}");
    }

    #[test]
    fn who_may_be_a_user_of_a_node() {
        check(r#"{"name":"Ann_1","password":"x"}"#, "1970-01-02T00:00:00Z");
        check(r#"{"name":"a","sshPublicKey":"ssh-rsa AAA ann"}"#, "1970-01-02");
        check(r#"{"name":"a","password":"x","expiryTime":"1980-01-01T00:00:00Z"}"#, "1980-01-01");
        check(r#"{"name":"a","password":"x","expiryTime":"1960-01-01T00:00:00Z"}"#, "expiryTime");
        check(r#"{"name":"a"}"#, "`password` is missing");
        check(r#"{"name":"a","sshPublicKey":"one\ntwo"}"#, "sshPublicKey");
        for name in ["", "-a", "1a", "a b", "a:b", "a/b", "aaaaaaaaaaaaaaaaaaaaa"] {
            check(&format!(r#"{{"name":"{name}","password":"x"}}"#), "`name`");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let spec: NodeUserSpec =
            serde_json::from_str(r#"{"name":"a","password":"hidden"}"#).expect("a description");
        assert!(!format!("{spec:?}").contains("hidden"));
    }
}
