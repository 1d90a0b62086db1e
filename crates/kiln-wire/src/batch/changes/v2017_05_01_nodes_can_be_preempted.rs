//! A node may be preempted.
//!
//! Since 2017-05-01.5.0. Older clients do not know the state; they see such a node as unusable.

use super::{Change, Edit, Object, show_state, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit { shapes: &["ComputeNode"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    show_state(it, &["preempted"], "unusable");
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(&CHANGE, "ComputeNode", r#"{"state":"preempted"}"#, r#"{"state":"unusable"}"#);
        check_down(&CHANGE, "ComputeNode", r#"{"state":"idle"}"#, r#"{"state":"idle"}"#);
    }
}
