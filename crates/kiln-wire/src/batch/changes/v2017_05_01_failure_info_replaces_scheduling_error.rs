//! A run says why it failed, whatever the reason.
//!
//! Since 2017-05-01.5.0: `failureInfo`, with `result` beside it. Before, a member
//! `schedulingError` of the same shape told only of failures outside of the process: a run that
//! ended with an exit code other than zero, or was ended by a client, had none. The `schedulingError` of a job is another
//! thing and keeps its name.

use super::{Change, Edit, Object, rename, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit {
        shapes: &[
            "TaskExecutionInformation",
            "StartTaskInformation",
            "SubtaskInformation",
            "JobPreparationTaskExecutionInformation",
            "JobReleaseTaskExecutionInformation",
        ],
        request_up: unchanged,
        response_down: down,
    }],
};

fn down(it: &mut Object) {
    let code = it.get("failureInfo").and_then(|info| info.get("code"));
    if code.is_some_and(|code| code == "FailureExitCode" || code == "TaskEnded") {
        it.remove("failureInfo");
    }
    rename(it, "failureInfo", "schedulingError");
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "TaskExecutionInformation",
            r#"{"failureInfo":{"category":"usererror","code":"BlobNotFound"},"retryCount":0}"#,
            r#"{"schedulingError":{"category":"usererror","code":"BlobNotFound"},"retryCount":0}"#,
        );
        check_down(
            &CHANGE,
            "StartTaskInformation",
            r#"{"exitCode":2,"failureInfo":{"category":"usererror","code":"FailureExitCode"}}"#,
            r#"{"exitCode":2}"#,
        );
        check_down(
            &CHANGE,
            "TaskExecutionInformation",
            r#"{"failureInfo":{"category":"usererror","code":"TaskEnded"},"retryCount":0}"#,
            r#"{"retryCount":0}"#,
        );
    }
}
