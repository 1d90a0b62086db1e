//! The one place of the server that reads the clock, waits and draws ids.

use std::time::Duration;

use kiln_domain::time::Timestamp;
use uuid::Uuid;

/// The time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Timestamp {
    Timestamp::from_system(std::time::SystemTime::now())
}

/// Waits for `length`.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// A new id, for a request or for what is made by itself.
#[expect(clippy::disallowed_methods, reason = "this is the source of ids")]
pub fn new_id() -> Uuid {
    Uuid::new_v4()
}

/// Time to wait after a failure of the store before the same is tried again.
pub const AFTER_FAILURE: Duration = Duration::from_millis(500);
