//! When the directories of ended tasks may go.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use kiln_domain::batch::task::TaskConstraints;
use kiln_domain::time::Timestamp;

/// Directories that are removed at a time to come: one short entry for each ended task.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    due: BTreeSet<(Timestamp, String)>,
    times: HashMap<String, Timestamp>,
}

impl Retention {
    /// A task with these constraints ended `now`: its directory goes after its time.
    pub(crate) fn keep(&mut self, directory: String, constraints: TaskConstraints, now: Timestamp) {
        self.cancel(&directory);
        let at = now.plus(constraints.retention());
        self.due.insert((at, directory.clone()));
        self.times.insert(directory, at);
    }

    /// The directory is in use again, or gone.
    pub(crate) fn cancel(&mut self, directory: &str) {
        if let Some(at) = self.times.remove(directory) {
            self.due.remove(&(at, directory.to_owned()));
        }
    }

    /// Time until the next directory may go; `None` when there is none.
    pub(crate) fn next_in(&self, now: Timestamp) -> Option<Duration> {
        self.due.first().map(|(at, _)| at.since(now))
    }

    /// A directory whose time has come.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<String> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, directory) = self.due.pop_first()?;
        self.times.remove(&directory);
        Some(directory)
    }
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::task::TaskConstraints;
    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;

    use super::Retention;

    fn kept_for(seconds: i64) -> TaskConstraints {
        let retention_time = Some(Span::seconds(seconds));
        TaskConstraints { retention_time, ..TaskConstraints::default() }
    }

    #[test]
    fn directories_go_in_their_time() {
        let start = Timestamp(0);
        let after = |seconds| start.plus(Span::seconds(seconds));
        let mut retention = Retention::default();
        assert_eq!(retention.next_in(start), None);
        retention.keep("late".to_owned(), kept_for(20), start);
        retention.keep("soon".to_owned(), kept_for(10), start);
        retention.keep("again".to_owned(), kept_for(5), start);
        retention.cancel("again");
        assert_eq!(retention.next_in(after(4)).map(|it| it.as_secs()), Some(6));
        assert_eq!(retention.take_due(after(9)), None);
        assert_eq!(retention.take_due(after(10)).as_deref(), Some("soon"));
        assert_eq!(retention.take_due(after(10)), None);
        assert_eq!(retention.take_due(after(99)).as_deref(), Some("late"));
    }

    #[test]
    fn a_week_unless_told_otherwise() {
        let mut retention = Retention::default();
        retention.keep("a".to_owned(), TaskConstraints::default(), Timestamp(0));
        assert_eq!(retention.next_in(Timestamp(0)).map(|it| it.as_secs()), Some(7 * 86_400));
    }
}
