//! The one place of the agent that asks what time it is, and that waits for time to pass.

use std::time::{Duration, SystemTime};

use kiln_domain::time::Timestamp;

/// The time on the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the agent's only clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// Comes back after `time`.
#[expect(clippy::disallowed_methods, reason = "the agent's only clock")]
pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}
