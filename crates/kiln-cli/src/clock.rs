//! The one place of the command line that waits for time to pass.

use std::time::Duration;

/// Blocks this thread for `length`; only for commands that do nothing else.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn block_for(length: Duration) {
    std::thread::sleep(length);
}

/// Waits for `length` while other work of the command goes on.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) async fn wait_for(length: Duration) {
    tokio::time::sleep(length).await;
}
