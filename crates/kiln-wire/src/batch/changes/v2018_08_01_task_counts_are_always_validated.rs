//! Counts of tasks are what they are.
//!
//! Since 2018-08-01.7.0. Before, `validationStatus` said whether the service had checked them
//! against its store.

use super::{Change, Edit, Object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_08_01,
    edits: &[Edit { shapes: &["TaskCounts"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    set_default(it, "validationStatus", "validated");
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "TaskCounts",
            r#"{"active":1}"#,
            r#"{"active":1,"validationStatus":"validated"}"#,
        );
    }
}
