//! Pools count dedicated and low-priority nodes apart.
//!
//! Since 2017-05-01.5.0: `targetDedicatedNodes` and `currentDedicatedNodes`, with members for
//! low-priority nodes beside them. Before, `targetDedicated` and `currentDedicated`.

use super::{Change, Edit, Object, rename};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit {
        shapes: &["CloudPool", "PoolAddParameter", "PoolSpecification", "PoolResizeParameter"],
        request_up: up,
        response_down: down,
    }],
};

fn up(it: &mut Object) {
    rename(it, "targetDedicated", "targetDedicatedNodes");
}

fn down(it: &mut Object) {
    rename(it, "targetDedicatedNodes", "targetDedicated");
    rename(it, "currentDedicatedNodes", "currentDedicated");
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "PoolResizeParameter",
            r#"{"targetDedicated":2}"#,
            r#"{"targetDedicatedNodes":2}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "CloudPool",
            r#"{"targetDedicatedNodes":2,"currentDedicatedNodes":1}"#,
            r#"{"targetDedicated":2,"currentDedicated":1}"#,
        );
    }
}
