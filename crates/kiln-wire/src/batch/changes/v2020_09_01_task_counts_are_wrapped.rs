//! Tasks and the slots they take are counted apart.
//!
//! Since 2020-09-01.12.0: `taskCounts` and `taskSlotCounts`. Before, the counts of tasks were the
//! whole answer.

use serde_json::Value;

use super::{Change, Edit, Object, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2020_09_01,
    edits: &[Edit { shapes: &["TaskCountsResult"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    if let Some(Value::Object(counts)) = it.remove("taskCounts") {
        it.remove("taskSlotCounts");
        it.extend(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "TaskCountsResult",
            r#"{"taskCounts":{"active":1},"taskSlotCounts":{"active":2}}"#,
            r#"{"active":1}"#,
        );
    }
}
