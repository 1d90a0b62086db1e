//! What is not written of a life because there is none of it.

/// Whether a count is nothing, as most are.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
pub(super) fn is_none(count: &u32) -> bool {
    *count == 0
}
