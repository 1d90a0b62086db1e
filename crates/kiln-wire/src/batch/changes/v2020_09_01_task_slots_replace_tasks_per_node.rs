//! Nodes have slots, of which a task may take several.
//!
//! Since 2020-09-01.12.0: `taskSlotsPerNode`. Before, `maxTasksPerNode`.

use super::{Change, Edit, Object, rename};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2020_09_01,
    edits: &[Edit {
        shapes: &["CloudPool", "PoolAddParameter", "PoolSpecification"],
        request_up: up,
        response_down: down,
    }],
};

fn up(it: &mut Object) {
    rename(it, "maxTasksPerNode", "taskSlotsPerNode");
}

fn down(it: &mut Object) {
    rename(it, "taskSlotsPerNode", "maxTasksPerNode");
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "PoolAddParameter",
            r#"{"maxTasksPerNode":4}"#,
            r#"{"taskSlotsPerNode":4}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(&CHANGE, "CloudPool", r#"{"taskSlotsPerNode":4}"#, r#"{"maxTasksPerNode":4}"#);
    }
}
