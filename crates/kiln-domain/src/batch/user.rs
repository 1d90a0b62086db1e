//! Named users of a pool's nodes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::command::{ElevationLevel, UserIdentity};
use crate::rejection::Rejection;

/// Letters of a user's name at the most.
const NAME_LENGTH_MAX: usize = 32;

/// A user that each node of a pool has. Its password is in the pool's document only: what runs
/// on nodes needs none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAccount {
    /// Its name.
    pub name: String,
    /// Whether it may administer the node.
    #[serde(default)]
    pub elevation_level: ElevationLevel,
    /// What it is on Linux.
    #[serde(default)]
    pub linux_user_configuration: Option<LinuxUser>,
}

/// A user on Linux.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxUser {
    /// Its user id; chosen by the node when absent.
    pub uid: Option<u32>,
    /// The id of its group; given together with `uid` or not at all.
    pub gid: Option<u32>,
}

/// Whether the nodes of a pool may have these users.
///
/// # Errors
/// When one breaks a rule.
pub fn check_accounts(accounts: &[UserAccount]) -> Result<(), Rejection> {
    let mut names = BTreeSet::new();
    for UserAccount { name, linux_user_configuration, .. } in accounts {
        let invalid = |reason: &str| Rejection::property("userAccounts.name", name, reason);
        if !is_name(name) {
            return Err(invalid(
                "It begins with a letter or underscore, and has letters, digits, `_`, `-` and `.`",
            ));
        }
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(invalid("No two users may have the same name"));
        }
        let linux = linux_user_configuration.unwrap_or_default();
        if linux.uid.is_some() != linux.gid.is_some() {
            let member = "userAccounts.linuxUserConfiguration.uid";
            return Err(Rejection::property(
                member,
                linux.uid.or(linux.gid).unwrap_or_default(),
                "uid and gid must be given together, or not at all",
            ));
        }
    }
    Ok(())
}

/// Whether the user of the member `name` is told in one way.
///
/// # Errors
/// When it is told in two ways.
pub fn check_identity(name: &str, identity: Option<&UserIdentity>) -> Result<(), Rejection> {
    match identity {
        Some(UserIdentity { username: Some(username), auto_user: Some(_) }) => {
            let reason = "username and autoUser exclude each other";
            Err(Rejection::property(format!("{name}.username"), username, reason))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    let is_inner =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::{check_accounts, check_identity};

    #[track_caller]
    fn check(accounts: &str, expected: &str) {
        let accounts: Vec<_> = serde_json::from_str(accounts).expect("accounts");
        let said = check_accounts(&accounts)
            .map_or_else(|rejection| rejection.to_string(), |()| "fine".to_owned());
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn users_have_names_of_their_own() {
        check("[]", "fine");
        check(r#"[{"name":"ann","password":"x"},{"name":"bob"}]"#, "fine");
        check(r#"[{"name":"ann"},{"name":"Ann"}]"#, "name");
        check(r#"[{"name":"a b"}]"#, "name");
        check(r#"[{"name":""}]"#, "name");
        check(r#"[{"name":"a:0:0"}]"#, "name");
    }

    #[test]
    fn uid_and_gid_are_given_together() {
        check(r#"[{"name":"a","linuxUserConfiguration":{"uid":5,"gid":6}}]"#, "fine");
        check(r#"[{"name":"a","linuxUserConfiguration":{}}]"#, "fine");
        check(r#"[{"name":"a","linuxUserConfiguration":{"uid":5}}]"#, "uid");
        check(r#"[{"name":"a","linuxUserConfiguration":{"gid":5}}]"#, "uid");
    }

    #[test]
    fn a_user_is_told_in_one_way() {
        let said = |identity: &str| {
            let identity = serde_json::from_str(identity).expect("an identity");
            check_identity("userIdentity", Some(&identity)).is_ok()
        };
        assert!(said(r#"{"username":"a"}"#));
        assert!(said(r#"{"autoUser":{}}"#));
        assert!(!said(r#"{"username":"a","autoUser":{}}"#));
        assert!(check_identity("userIdentity", None).is_ok());
    }
}
