//! Public addresses of a pool are provided by someone.
//!
//! Since 2020-03-01.11.0: `publicIPAddressConfiguration`, whose `provision` says by whom. Before,
//! `publicIPs` listed the addresses that the user had provided.

use serde_json::{Value, json};

use super::{Change, Edit, Object};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2020_03_01,
    edits: &[Edit { shapes: &["NetworkConfiguration"], request_up: up, response_down: down }],
};

fn up(it: &mut Object) {
    if let Some(ids) = it.remove("publicIPs") {
        let configuration = json!({ "provision": "usermanaged", "ipAddressIds": ids });
        it.insert("publicIPAddressConfiguration".to_owned(), configuration);
    }
}

fn down(it: &mut Object) {
    let ids = it
        .remove("publicIPAddressConfiguration")
        .and_then(|mut configuration| configuration.get_mut("ipAddressIds").map(Value::take));
    if let Some(ids) = ids {
        it.insert("publicIPs".to_owned(), ids);
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
            "NetworkConfiguration",
            r#"{"publicIPs":["a"]}"#,
            r#"{"publicIPAddressConfiguration":{"provision":"usermanaged","ipAddressIds":["a"]}}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "NetworkConfiguration",
            r#"{"publicIPAddressConfiguration":{"provision":"usermanaged","ipAddressIds":["a"]}}"#,
            r#"{"publicIPs":["a"]}"#,
        );
        check_down(
            &CHANGE,
            "NetworkConfiguration",
            r#"{"publicIPAddressConfiguration":{"provision":"batchmanaged"}}"#,
            r#"{}"#,
        );
    }
}
