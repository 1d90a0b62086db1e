//! Containers are of type `dockerCompatible`.
//!
//! Since 2018-08-01.7.0. Before, the one word was `docker`.

use serde_json::Value;

use super::{Change, Edit, Object};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_08_01,
    edits: &[Edit { shapes: &["ContainerConfiguration"], request_up: up, response_down: down }],
};

fn up(it: &mut Object) {
    let is_docker =
        it.get("type").and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case("docker"));
    if is_docker {
        it.insert("type".to_owned(), "dockerCompatible".into());
    }
}

fn down(it: &mut Object) {
    if it.contains_key("type") {
        it.insert("type".to_owned(), "docker".into());
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
            "ContainerConfiguration",
            r#"{"type":"docker"}"#,
            r#"{"type":"dockerCompatible"}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "ContainerConfiguration",
            r#"{"type":"dockerCompatible"}"#,
            r#"{"type":"docker"}"#,
        );
    }
}
