//! Among the recent tasks of a node, only subtasks have a number.
//!
//! Since 2017-01-01.4.0, as far as is known: in 2016-07-01.3.1 each task was seen with the number
//! 0, in 2019-08-01.10.0 none was.

use super::{Change, Edit, Object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_01_01,
    edits: &[Edit { shapes: &["TaskInformation"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    set_default(it, "subtaskId", 0);
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "TaskInformation",
            r#"{"taskId":"t"}"#,
            r#"{"taskId":"t","subtaskId":0}"#,
        );
        let subtask = r#"{"taskId":"t","subtaskId":2}"#;
        check_down(&CHANGE, "TaskInformation", subtask, subtask);
    }
}
