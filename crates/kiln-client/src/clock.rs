//! The one place of the client that waits for time to pass.

use std::time::Duration;

/// Waits for `length`.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
