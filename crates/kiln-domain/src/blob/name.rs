//! What a container or a blob may be called.

use super::limits::{BLOB_NAME_LENGTH_MAX, BLOB_NAME_SEGMENTS_MAX, CONTAINER_NAME_LENGTH};
use super::rejection::BlobRejection;

/// The container that holds blobs addressed without a container.
pub const ROOT_CONTAINER: &str = "$root";

/// Containers that the service itself writes to, where it does; lists show them to who asks.
pub const SYSTEM_CONTAINERS: [&str; 2] = ["$logs", "$blobchangefeed"];

/// The others whose names break the general rule.
const SPECIAL_CONTAINERS: [&str; 2] = [ROOT_CONTAINER, "$web"];

/// Decides whether `name` may name a container.
pub fn check_container(name: &str) -> Result<(), BlobRejection> {
    if SPECIAL_CONTAINERS.contains(&name) || SYSTEM_CONTAINERS.contains(&name) {
        return Ok(());
    }
    if !CONTAINER_NAME_LENGTH.contains(&name.chars().count()) {
        return Err(BlobRejection::NameOutOfRange { name: name.to_owned() });
    }
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_valid = name.bytes().all(is_allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if is_valid { Ok(()) } else { Err(BlobRejection::InvalidName { name: name.to_owned() }) }
}

/// Decides whether `name` may name a blob.
pub fn check_blob(name: &str) -> Result<(), BlobRejection> {
    let is_valid = (1..=BLOB_NAME_LENGTH_MAX).contains(&name.chars().count())
        && name.split('/').count() <= BLOB_NAME_SEGMENTS_MAX;
    if is_valid { Ok(()) } else { Err(BlobRejection::NameOutOfRange { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::{BlobRejection, check_blob, check_container};

    #[test]
    fn container_names() {
        for good in ["abc", "a-b-c", "123", "$root", "$logs", &"a".repeat(63)] {
            assert_eq!(check_container(good), Ok(()), "{good}");
        }
        for bad in ["Abc", "-ab", "ab-", "a--b", "a_b", "$other", "äöü"] {
            let refused = Err(BlobRejection::InvalidName { name: bad.to_owned() });
            assert_eq!(check_container(bad), refused, "{bad}");
        }
        for bad in ["", "ab", &"a".repeat(64)] {
            let refused = Err(BlobRejection::NameOutOfRange { name: bad.to_owned() });
            assert_eq!(check_container(bad), refused, "{bad}");
        }
    }

    #[test]
    fn blob_names() {
        for good in ["a", "a/b", "ä b", "..", &"é".repeat(1024), &"a/".repeat(253)] {
            assert_eq!(check_blob(good), Ok(()), "{good}");
        }
        for bad in ["", &"a".repeat(1025), &"a/".repeat(254)] {
            assert!(check_blob(bad).is_err(), "{bad}");
        }
    }
}
