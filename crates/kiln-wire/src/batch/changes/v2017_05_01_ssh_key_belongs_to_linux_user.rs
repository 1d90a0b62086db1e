//! What only Linux users have is grouped.
//!
//! Since 2017-05-01.5.0: `linuxUserConfiguration` with `sshPrivateKey`, `uid` and `gid`. Before,
//! `sshPrivateKey` was a member of the account itself. No answer ever carries the key.

use super::{Change, Edit, Object, object, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit { shapes: &["UserAccount"], request_up: up, response_down: unchanged }],
};

fn up(it: &mut Object) {
    if let Some(key) = it.remove("sshPrivateKey")
        && let Some(linux) = object(it, "linuxUserConfiguration")
    {
        linux.insert("sshPrivateKey".to_owned(), key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "UserAccount",
            r#"{"name":"u","sshPrivateKey":"k"}"#,
            r#"{"name":"u","linuxUserConfiguration":{"sshPrivateKey":"k"}}"#,
        );
        check_up(&CHANGE, "UserAccount", r#"{"name":"u"}"#, r#"{"name":"u"}"#);
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(&CHANGE, "UserAccount", r#"{"name":"u"}"#, r#"{"name":"u"}"#);
    }
}
