//! What the page of what Kiln does not do names.

const PAGE: &str = include_str!("../../../../docs/unsupported.md");

/// The words between backticks.
pub(crate) fn named() -> impl Iterator<Item = &'static str> {
    PAGE.split('`').skip(1).step_by(2)
}
