//! Job managers run on low-priority nodes unless told otherwise.
//!
//! Since 2018-03-01.6.1. Before, silence on `allowLowPriorityNode` kept them off.

use super::{Change, Edit, Object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_03_01,
    edits: &[Edit {
        shapes: &["JobManagerTask"],
        request_up: dedicated_only,
        response_down: unchanged,
    }],
};

fn dedicated_only(it: &mut Object) {
    set_default(it, "allowLowPriorityNode", false);
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "JobManagerTask",
            r#"{"id":"m"}"#,
            r#"{"id":"m","allowLowPriorityNode":false}"#,
        );
        check_up(
            &CHANGE,
            "JobManagerTask",
            r#"{"allowLowPriorityNode":true}"#,
            r#"{"allowLowPriorityNode":true}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "JobManagerTask",
            r#"{"allowLowPriorityNode":true}"#,
            r#"{"allowLowPriorityNode":true}"#,
        );
    }
}
