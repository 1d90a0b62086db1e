//! What a data disk is made of belongs to its managed disk.
//!
//! Since 2025-06-01: `managedDisk.storageAccountType`. Before, `storageAccountType` was a member
//! of the data disk itself.

use serde_json::Value;

use super::{Change, Edit, Object, object};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::NEWEST,
    edits: &[Edit { shapes: &["DataDisk"], request_up: up, response_down: down }],
};

fn up(it: &mut Object) {
    if let Some(kind) = it.remove("storageAccountType")
        && let Some(disk) = object(it, "managedDisk")
    {
        disk.insert("storageAccountType".to_owned(), kind);
    }
}

fn down(it: &mut Object) {
    let kind = it
        .remove("managedDisk")
        .and_then(|mut disk| disk.get_mut("storageAccountType").map(Value::take));
    if let Some(kind) = kind {
        it.insert("storageAccountType".to_owned(), kind);
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
            "DataDisk",
            r#"{"lun":1,"storageAccountType":"standard_lrs"}"#,
            r#"{"lun":1,"managedDisk":{"storageAccountType":"standard_lrs"}}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "DataDisk",
            r#"{"managedDisk":{"storageAccountType":"premium_lrs"}}"#,
            r#"{"storageAccountType":"premium_lrs"}"#,
        );
    }
}
