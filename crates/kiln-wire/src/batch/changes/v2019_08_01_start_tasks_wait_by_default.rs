//! Start tasks hold back scheduling unless told otherwise.
//!
//! Since 2019-08-01.10.0. Before, a start task without `waitForSuccess` did not wait.

use super::{Change, Edit, Object, set_default, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2019_08_01,
    edits: &[Edit { shapes: &["StartTask"], request_up: no_wait, response_down: unchanged }],
};

fn no_wait(it: &mut Object) {
    set_default(it, "waitForSuccess", false);
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "StartTask",
            r#"{"commandLine":"a"}"#,
            r#"{"commandLine":"a","waitForSuccess":false}"#,
        );
        check_up(&CHANGE, "StartTask", r#"{"waitForSuccess":true}"#, r#"{"waitForSuccess":true}"#);
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "StartTask",
            r#"{"waitForSuccess":true}"#,
            r#"{"waitForSuccess":true}"#,
        );
    }
}
