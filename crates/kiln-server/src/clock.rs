//! Where the server takes time, waits and ids from.

use std::time::Duration;

pub use kiln_clock::{aside, new_id, now, pause, random, tick, within};

/// Time to wait after a failure of the store before the same is tried again.
pub const AFTER_FAILURE: Duration = Duration::from_millis(500);
