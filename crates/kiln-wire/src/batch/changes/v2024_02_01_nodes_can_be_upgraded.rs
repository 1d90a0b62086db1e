//! The system of a node may be upgraded while the node is in its pool.
//!
//! Since 2024-02-01.19.0. Older clients do not know the state; they see such a node as offline.

use super::{Change, Edit, Object, show_state, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2024_02_01,
    edits: &[Edit { shapes: &["ComputeNode"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    show_state(it, &["upgradingos"], "offline");
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(&CHANGE, "ComputeNode", r#"{"state":"upgradingos"}"#, r#"{"state":"offline"}"#);
    }
}
