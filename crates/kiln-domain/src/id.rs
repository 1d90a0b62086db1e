//! Ids: what is allowed and how they compare.

/// Whether `id` may name a pool, job, task or schedule: 1 to 64 of `[A-Za-z0-9_-]`.
pub fn is_valid(id: &str) -> bool {
    (1..=crate::limits::ID_LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The form under which an id is looked up: two ids that differ only in case name one thing.
pub fn folded(id: &str) -> String {
    id.to_ascii_lowercase()
}

/// Refuses an id that may not name anything; `property` is where the client wrote it.
pub fn check(property: &str, id: &str) -> Result<(), crate::rejection::Rejection> {
    if is_valid(id) {
        return Ok(());
    }
    Err(crate::rejection::Rejection::property(
        property,
        id,
        "An id has 1 to 64 characters: letters, digits, hyphens and underscores",
    ))
}

#[cfg(test)]
mod tests {
    use super::{check, folded, is_valid};

    #[test]
    fn letters_digits_hyphen_and_underscore_only() {
        let longest = "x".repeat(64);
        for id in ["a", "A-b_9", &longest] {
            assert!(is_valid(id), "{id}");
        }
        for id in ["", "a b", "a/b", "ä", "a:b", &"x".repeat(65)] {
            assert!(!is_valid(id), "{id}");
            assert!(check("id", id).is_err(), "{id}");
        }
    }

    #[test]
    fn case_does_not_tell_ids_apart() {
        assert_eq!(folded("MyPool"), folded("mypool"));
    }
}
