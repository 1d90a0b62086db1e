//! Resource files come from a URL or from a container.
//!
//! Since 2018-12-01.8.0: `httpUrl`, `storageContainerUrl` or `autoStorageContainerName`. Before,
//! `blobSource` was the URL of one file. Older clients see the URL of a container in its place.

use super::{Change, Edit, Object, rename};
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change {
    since: ApiVersion::V2018_12_01,
    edits: &[Edit { shapes: &["ResourceFile"], request_up: up, response_down: down }],
};

fn up(it: &mut Object) {
    rename(it, "blobSource", "httpUrl");
}

fn down(it: &mut Object) {
    rename(it, "storageContainerUrl", "blobSource");
    rename(it, "httpUrl", "blobSource");
}

#[cfg(test)]
mod tests {
    use super::super::{check_down, check_up};
    use super::CHANGE;

    #[test]
    fn old_requests_keep_their_meaning() {
        check_up(
            &CHANGE,
            "ResourceFile",
            r#"{"blobSource":"http://a/b","filePath":"b"}"#,
            r#"{"httpUrl":"http://a/b","filePath":"b"}"#,
        );
    }

    #[test]
    fn old_clients_see_the_old_shape() {
        check_down(
            &CHANGE,
            "ResourceFile",
            r#"{"httpUrl":"http://a/b"}"#,
            r#"{"blobSource":"http://a/b"}"#,
        );
        check_down(
            &CHANGE,
            "ResourceFile",
            r#"{"storageContainerUrl":"http://a/c"}"#,
            r#"{"blobSource":"http://a/c"}"#,
        );
    }
}
