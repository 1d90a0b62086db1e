//! Exit conditions tell failures before the run from failed uploads.
//!
//! Since 2017-05-01.5.0: `preProcessingError`, and `fileUploadError` beside it. Before, one member
//! `schedulingError` stood for what goes wrong before the run.

use super::{Change, Edit, Object, rename};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit { shapes: &["ExitConditions"], request_up: up, response_down: down }],
};

fn up(it: &mut Object) {
    rename(it, "schedulingError", "preProcessingError");
}

fn down(it: &mut Object) {
    rename(it, "preProcessingError", "schedulingError");
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "ExitConditions",
            r#"{"schedulingError":{"jobAction":"none"}}"#,
            r#"{"preProcessingError":{"jobAction":"none"}}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "ExitConditions",
            r#"{"preProcessingError":{"jobAction":"none"},"default":{}}"#,
            r#"{"schedulingError":{"jobAction":"none"},"default":{}}"#,
        );
    }
}
