//! A list of certificates is shown also when it is empty.
//!
//! Since 2017-01-01.4.0, as far as is known: pools and nodes of 2016-07-01.3.1 were seen without
//! the list, those of 2019-08-01.10.0 with an empty one.

use super::{Change, Edit, Object, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_01_01,
    edits: &[Edit {
        shapes: &["CloudPool", "ComputeNode"],
        request_up: unchanged,
        response_down: down,
    }],
};

fn down(it: &mut Object) {
    let list = it.get("certificateReferences").and_then(serde_json::Value::as_array);
    if list.is_some_and(Vec::is_empty) {
        it.remove("certificateReferences");
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(&CHANGE, "CloudPool", r#"{"certificateReferences":[]}"#, "{}");
        let one = r#"{"certificateReferences":[{"thumbprint":"a"}]}"#;
        check_down(&CHANGE, "ComputeNode", one, one);
    }
}
