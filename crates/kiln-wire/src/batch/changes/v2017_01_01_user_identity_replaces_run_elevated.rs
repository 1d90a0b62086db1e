//! Tasks say as whom they run, not only whether as administrator.
//!
//! Since 2017-01-01.4.0: `userIdentity`. Before, the bool `runElevated` chose between the two
//! users that a node makes by itself. Answers to older clients always carry `runElevated`; a task
//! that runs as a named account is shown as not elevated.

use serde_json::json;

use super::{Change, Edit, Object};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_01_01,
    edits: &[Edit {
        shapes: &[
            "StartTask",
            "CloudTask",
            "TaskAddParameter",
            "JobManagerTask",
            "JobPreparationTask",
            "JobReleaseTask",
        ],
        request_up: up,
        response_down: down,
    }],
};

fn up(it: &mut Object) {
    let is_elevated = it.remove("runElevated").and_then(|v| v.as_bool()).unwrap_or(false);
    let level = if is_elevated { "admin" } else { "nonadmin" };
    it.insert("userIdentity".to_owned(), json!({ "autoUser": { "elevationLevel": level } }));
}

fn down(it: &mut Object) {
    let user = it.remove("userIdentity");
    let level = user.as_ref().and_then(|user| user.pointer("/autoUser/elevationLevel"));
    let is_elevated = level.is_some_and(|level| level == "admin");
    it.insert("runElevated".to_owned(), is_elevated.into());
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "StartTask",
            r#"{"commandLine":"a","runElevated":true}"#,
            r#"{"commandLine":"a","userIdentity":{"autoUser":{"elevationLevel":"admin"}}}"#,
        );
        check_up(
            &CHANGE,
            "TaskAddParameter",
            r#"{"commandLine":"a"}"#,
            r#"{"commandLine":"a","userIdentity":{"autoUser":{"elevationLevel":"nonadmin"}}}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "CloudTask",
            r#"{"userIdentity":{"autoUser":{"scope":"pool","elevationLevel":"admin"}}}"#,
            r#"{"runElevated":true}"#,
        );
        check_down(
            &CHANGE,
            "CloudTask",
            r#"{"userIdentity":{"username":"u"}}"#,
            r#"{"runElevated":false}"#,
        );
    }
}
