//! A resize is given up after 15 minutes unless told otherwise.
//!
//! Since 2017-01-01.4.0. Before, it was given up after 10 minutes.

use super::{Change, Edit, Object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_01_01,
    edits: &[Edit {
        shapes: &[
            "PoolAddParameter",
            "PoolSpecification",
            "PoolResizeParameter",
            "NodeRemoveParameter",
        ],
        request_up: ten_minutes,
        response_down: unchanged,
    }],
};

fn ten_minutes(it: &mut Object) {
    set_default(it, "resizeTimeout", "PT10M");
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(&CHANGE, "PoolAddParameter", r#"{}"#, r#"{"resizeTimeout":"PT10M"}"#);
        check_up(
            &CHANGE,
            "NodeRemoveParameter",
            r#"{"resizeTimeout":"PT20M"}"#,
            r#"{"resizeTimeout":"PT20M"}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "PoolAddParameter",
            r#"{"resizeTimeout":"PT15M"}"#,
            r#"{"resizeTimeout":"PT15M"}"#,
        );
    }
}
