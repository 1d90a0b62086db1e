//! A cloud service pool has one version of its system.
//!
//! Since 2018-12-01.8.0: `osVersion`. Before, `targetOSVersion`, and `currentOSVersion` for what
//! the nodes had.

use super::{Change, Edit, Object, rename};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_12_01,
    edits: &[Edit { shapes: &["CloudServiceConfiguration"], request_up: up, response_down: down }],
};

fn up(it: &mut Object) {
    rename(it, "targetOSVersion", "osVersion");
    it.remove("currentOSVersion");
}

fn down(it: &mut Object) {
    if let Some(version) = it.remove("osVersion") {
        it.insert("currentOSVersion".to_owned(), version.clone());
        it.insert("targetOSVersion".to_owned(), version);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "CloudServiceConfiguration",
            r#"{"osFamily":"4","targetOSVersion":"*"}"#,
            r#"{"osFamily":"4","osVersion":"*"}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "CloudServiceConfiguration",
            r#"{"osFamily":"4","osVersion":"*"}"#,
            r#"{"osFamily":"4","targetOSVersion":"*","currentOSVersion":"*"}"#,
        );
    }
}
