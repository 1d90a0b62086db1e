//! Tasks share one user for each pool unless told otherwise.
//!
//! Since 2019-08-01.10.0. Before, silence on the scope of an auto user, or on the user, gave each
//! task a user of its own.

use super::{Change, Edit, Object, object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2019_08_01,
    edits: &[Edit {
        shapes: &[
            "StartTask",
            "TaskAddParameter",
            "JobManagerTask",
            "JobPreparationTask",
            "JobReleaseTask",
        ],
        request_up: own_user,
        response_down: unchanged,
    }],
};

fn own_user(it: &mut Object) {
    let Some(user) = object(it, "userIdentity") else { return };
    if user.contains_key("username") {
        return;
    }
    if let Some(auto) = object(user, "autoUser") {
        set_default(auto, "scope", "task");
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
            "TaskAddParameter",
            r#"{"id":"t"}"#,
            r#"{"id":"t","userIdentity":{"autoUser":{"scope":"task"}}}"#,
        );
        check_up(
            &CHANGE,
            "StartTask",
            r#"{"userIdentity":{"autoUser":{"scope":"pool","elevationLevel":"admin"}}}"#,
            r#"{"userIdentity":{"autoUser":{"scope":"pool","elevationLevel":"admin"}}}"#,
        );
        check_up(
            &CHANGE,
            "StartTask",
            r#"{"userIdentity":{"username":"u"}}"#,
            r#"{"userIdentity":{"username":"u"}}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "StartTask",
            r#"{"userIdentity":{"autoUser":{"scope":"pool"}}}"#,
            r#"{"userIdentity":{"autoUser":{"scope":"pool"}}}"#,
        );
    }
}
