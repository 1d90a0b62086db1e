//! Ids: what is allowed and how they compare.

/// Whether `id` may name a pool, job, task or schedule: 1 to 64 of `[A-Za-z0-9_-]`.
pub fn is_valid(id: &str) -> bool {
    (1..=crate::limits::ID_LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
