//! A node may be stopped and keep its place in the pool.
//!
//! Since 2024-07-01.20.0. Older clients do not know the states; they see such a node as offline.

use super::{Change, Edit, Object, show_state, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2024_07_01,
    edits: &[Edit { shapes: &["ComputeNode"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    show_state(it, &["deallocated", "deallocating"], "offline");
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(&CHANGE, "ComputeNode", r#"{"state":"deallocated"}"#, r#"{"state":"offline"}"#);
    }
}
