//! The directory of a task is kept for seven days unless told otherwise.
//!
//! Since 2018-12-01.8.0. Before, it was kept as long as its node.

use super::{Change, Edit, Object, object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_12_01,
    edits: &[
        Edit {
            shapes: &["TaskConstraints", "JobReleaseTask"],
            request_up: keep,
            response_down: unchanged,
        },
        Edit {
            shapes: &[
                "TaskAddParameter",
                "TaskUpdateParameter",
                "JobManagerTask",
                "JobPreparationTask",
            ],
            request_up: keep_unconstrained,
            response_down: unchanged,
        },
    ],
};

fn keep(it: &mut Object) {
    set_default(it, "retentionTime", "P10675199DT2H48M5.4775807S");
}

fn keep_unconstrained(it: &mut Object) {
    if let Some(constraints) = object(it, "constraints") {
        keep(constraints);
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
            "TaskConstraints",
            r#"{}"#,
            r#"{"retentionTime":"P10675199DT2H48M5.4775807S"}"#,
        );
        check_up(
            &CHANGE,
            "TaskAddParameter",
            r#"{"id":"t"}"#,
            r#"{"id":"t","constraints":{"retentionTime":"P10675199DT2H48M5.4775807S"}}"#,
        );
        check_up(
            &CHANGE,
            "JobReleaseTask",
            r#"{"retentionTime":"P1D"}"#,
            r#"{"retentionTime":"P1D"}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "TaskConstraints",
            r#"{"retentionTime":"P7D"}"#,
            r#"{"retentionTime":"P7D"}"#,
        );
    }
}
