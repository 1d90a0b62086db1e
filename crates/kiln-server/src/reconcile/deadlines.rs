//! When a reconciler is to look at what again, by the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use kiln_domain::time::Timestamp;

use crate::clock;

/// Time after which the clock is looked at again, whatever the next deadline is: it may have
/// been set, or the machine may have slept.
const CLOCK_LOOKED_AT_EACH: Duration = Duration::from_secs(10);

/// Keys to look at again, each at one time at the most.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeMap<Timestamp, BTreeSet<i64>>,
    by_key: HashMap<i64, Timestamp>,
}

impl Deadlines {
    /// Looks at `key` at this time, or only when told to, and no more at an earlier time.
    pub(super) fn set(&mut self, key: i64, at: Option<Timestamp>) {
        if let Some(before) = self.by_key.remove(&key)
            && let Some(keys) = self.by_time.get_mut(&before)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_time.remove(&before);
            }
        }
        if let Some(at) = at {
            self.by_key.insert(key, at);
            self.by_time.entry(at).or_default().insert(key);
        }
    }

    /// Whether `key` is to be looked at again.
    pub(super) fn has(&self, key: i64) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Takes the keys whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> BTreeSet<i64> {
        let later = self.by_time.split_off(&Timestamp::from_ticks(now.0.saturating_add(1)));
        let due = std::mem::replace(&mut self.by_time, later).into_values().flatten().collect();
        for key in &due {
            self.by_key.remove(key);
        }
        due
    }

    /// Waits until the next time may have come, not at all when it has. Nothing is due when it
    /// is woken early: the clock decides, not the wait.
    pub(super) async fn next(&self) {
        let until_next = self.by_time.keys().next().map(|at| at.since(clock::now()));
        let wait = until_next.unwrap_or(CLOCK_LOOKED_AT_EACH).min(CLOCK_LOOKED_AT_EACH);
        if !wait.is_zero() {
            clock::pause(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kiln_domain::time::Timestamp;

    use super::Deadlines;

    #[test]
    fn a_key_is_due_once_at_its_last_time() {
        let mut deadlines = Deadlines::default();
        for (key, at) in [(1, 10), (2, 20), (3, 10), (1, 30), (4, 10)] {
            deadlines.set(key, Some(Timestamp(at)));
        }
        deadlines.set(4, None);
        assert!(deadlines.has(1) && !deadlines.has(4));
        let mut due = |now| deadlines.take_due(Timestamp(now));
        assert_eq!(due(9), BTreeSet::new());
        assert_eq!(due(20), BTreeSet::from([2, 3]));
        // The clock was set back and forth.
        assert_eq!(due(5), BTreeSet::new());
        assert_eq!(due(29), BTreeSet::new());
        assert_eq!(due(30), BTreeSet::from([1]));
        assert_eq!(due(i64::MAX), BTreeSet::new());
        assert!(deadlines.by_time.is_empty() && deadlines.by_key.is_empty());
    }
}
