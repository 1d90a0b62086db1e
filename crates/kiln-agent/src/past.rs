//! Attempts that ended, so that no repeated command runs one again.

use std::collections::{HashSet, VecDeque};

use kiln_wire::node::AttemptId;

/// Attempts that are remembered.
const ENDED_MAX: usize = 4096;

/// The attempts that ended last.
#[derive(Debug, Default)]
pub(crate) struct Past {
    order: VecDeque<AttemptId>,
    known: HashSet<AttemptId>,
}

impl Past {
    /// Whether an attempt is remembered.
    pub(crate) fn contains(&self, id: &AttemptId) -> bool {
        self.known.contains(id)
    }

    /// Remembers an attempt; the oldest makes room.
    pub(crate) fn add(&mut self, id: AttemptId) {
        if !self.known.insert(id.clone()) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::node::{AttemptId, AttemptKind};

    use super::{ENDED_MAX, Past};

    #[test]
    fn the_oldest_makes_room() {
        let id = |attempt| AttemptId {
            job_key: 1,
            task_id: "t".to_owned(),
            attempt,
            kind: AttemptKind::Task,
            sequence: 1,
        };
        let mut past = Past::default();
        for attempt in (0..).take(ENDED_MAX) {
            past.add(id(attempt));
            past.add(id(attempt));
        }
        assert!(past.contains(&id(0)));
        past.add(id(u32::MAX));
        assert!(!past.contains(&id(0)) && past.contains(&id(1)) && past.contains(&id(u32::MAX)));
        assert_eq!((past.order.len(), past.known.len()), (ENDED_MAX, ENDED_MAX));
    }
}
