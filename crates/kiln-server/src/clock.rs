//! The one place of the server that reads the clock, waits and draws ids.

use std::time::{Duration, Instant};

use kiln_domain::time::Timestamp;
use uuid::Uuid;

/// The time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Timestamp {
    Timestamp::from_system(std::time::SystemTime::now())
}

/// A moment, to measure time from: it never jumps.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn tick() -> Instant {
    Instant::now()
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
