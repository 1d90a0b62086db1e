//! How far the reports of one link are kept. The agent is told with the next message for it, or a
//! moment later: it only wants to know what it may forget, and a message of its own for each
//! report would be half of all messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock;

/// Time that an acknowledgement waits for other messages: a node that is busy is told of its next
/// task meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// The number of the latest report that is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    latest: AtomicU64,
    changed: Notify,
}

impl Kept {
    /// All reports up to this number are kept.
    pub(super) fn set(&self, number: u64) {
        self.latest.store(number, Ordering::Release);
        self.changed.notify_one();
    }

    /// The number to acknowledge, if the agent knows less.
    pub(super) fn more_than(&self, told: u64) -> Option<u64> {
        Some(self.latest.load(Ordering::Acquire)).filter(|latest| *latest > told)
    }

    /// Waits until something is to be acknowledged and no other message came for a moment.
    pub(super) async fn is_due(&self, told: u64) {
        while self.more_than(told).is_none() {
            self.changed.notified().await;
        }
        clock::pause(PATIENCE).await;
    }
}
