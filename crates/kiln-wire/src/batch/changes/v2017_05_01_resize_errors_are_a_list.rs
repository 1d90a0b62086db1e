//! A resize may fail for several reasons.
//!
//! Since 2017-05-01.5.0: the list `resizeErrors`. Before, one `resizeError`; older clients see the
//! first.

use serde_json::Value;

use super::{Change, Edit, Object, unchanged};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2017_05_01,
    edits: &[Edit { shapes: &["CloudPool"], request_up: unchanged, response_down: down }],
};

fn down(it: &mut Object) {
    if let Some(Value::Array(errors)) = it.remove("resizeErrors")
        && let Some(first) = errors.into_iter().next()
    {
        it.insert("resizeError".to_owned(), first);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_down;
    use super::CHANGE;

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "CloudPool",
            r#"{"resizeErrors":[{"code":"a"},{"code":"b"}]}"#,
            r#"{"resizeError":{"code":"a"}}"#,
        );
        check_down(&CHANGE, "CloudPool", r#"{"resizeErrors":[]}"#, r#"{}"#);
    }
}
