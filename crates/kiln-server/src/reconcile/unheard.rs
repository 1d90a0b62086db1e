//! Ends agents that live but do not link: each is expected to be heard by some time, whatever is
//! done to the clock on the wall.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kiln_store::StoreError;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::nodes::{self, End};
use crate::clock;
use crate::server::Server;

/// Wait when nobody is expected.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The agents that are to be heard, by node: one expectation for each.
#[derive(Debug, Default)]
pub struct Unheard {
    expected: Mutex<BTreeMap<String, Expected>>,
    wake: Notify,
}

#[derive(Clone, Debug)]
struct Expected {
    /// The process that was heard last, if one was.
    incarnation: Option<String>,
    by: Instant,
}

impl Unheard {
    /// The agent of a node, last heard as `incarnation`, is to be linked `within` this time.
    pub fn expect(
        &self,
        node_id: &str,
        incarnation: Option<String>,
        now: Instant,
        within: Duration,
    ) {
        let by = now + within;
        self.lock().insert(node_id.to_owned(), Expected { incarnation, by });
        self.wake.notify_one();
    }

    fn next_in(&self, now: Instant) -> Duration {
        let left = |it: &Expected| it.by.saturating_duration_since(now);
        self.lock().values().map(left).min().unwrap_or(WAIT_MAX)
    }

    fn take_due(&self, now: Instant) -> BTreeMap<String, Expected> {
        let mut expected = self.lock();
        let (due, later) = std::mem::take(&mut *expected)
            .into_iter()
            .partition(|(_, expected)| expected.by <= now);
        *expected = later;
        due
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after what is due until it is dropped.
pub async fn run(server: Arc<Server>) {
    loop {
        let wait = server.unheard.next_in(clock::tick());
        tokio::select! {
            biased;
            () = server.unheard.wake.notified() => {}
            () = clock::pause(wait) => {}
        }
        for (node_id, expected) in server.unheard.take_due(clock::tick()) {
            if let Err(cause) = end(&server, &node_id, &expected).await {
                error!(error = %crate::chain(&cause), node_id, "a node could not be looked after");
                let (now, again) = (clock::tick(), clock::AFTER_FAILURE);
                server.unheard.expect(&node_id, expected.incarnation, now, again);
            }
        }
    }
}

/// Ends the agent of a node unless it is linked, or another one has come since: its end is
/// seen then, and the node is started again. That of one whose hello came after its end was seen
/// already.
async fn end(server: &Arc<Server>, node_id: &str, expected: &Expected) -> Result<(), StoreError> {
    if server.links.is_up(node_id) {
        return Ok(());
    }
    let node = server.store.read(|view| view.node(node_id))?;
    if node.is_none_or(|node| node.life.incarnation != expected.incarnation) {
        return Ok(());
    }
    if !server.provisioner.is_alive(node_id) {
        return nodes::check(server, node_id, End::Found).await;
    }
    warn!(node_id, "the agent of a node is not heard of; it is ended");
    server.provisioner.kill(node_id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Unheard, WAIT_MAX};

    #[test]
    fn only_the_last_expectation_of_a_node_counts() {
        let unheard = Unheard::default();
        let (now, minute) = (kiln_clock::tick(), Duration::from_secs(60));
        assert_eq!(unheard.next_in(now), WAIT_MAX);
        unheard.expect("n", None, now, Duration::from_secs(1));
        unheard.expect("m", None, now, Duration::from_secs(2));
        unheard.expect("n", Some("a".to_owned()), now, minute);
        assert_eq!(unheard.next_in(now), Duration::from_secs(2));
        let due = unheard.take_due(now + Duration::from_secs(30));
        assert_eq!(due.keys().collect::<Vec<_>>(), ["m"]);
        let due = unheard.take_due(now + minute);
        assert_eq!(due.values().next().and_then(|it| it.incarnation.as_deref()), Some("a"));
        assert_eq!(unheard.next_in(now), WAIT_MAX);
    }
}
