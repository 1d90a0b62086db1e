//! When the directories of ended tasks may go.
//!
//! The times are written down, so that an agent that takes the place of one that was killed
//! knows them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_domain::batch::task::TaskConstraints;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;

use crate::journal::{Journal, Note};

/// Lines of the journal that say nothing any more, before it is written anew without them; as
/// many again as there are directories are allowed too.
const STALE_LINES_MAX: usize = 4096;

/// Directories that are removed at a time to come: one short entry for each ended task.
#[derive(Debug)]
pub(crate) struct Retention {
    due: BTreeSet<(Timestamp, String)>,
    times: HashMap<String, Timestamp>,
    /// Directories in which commands run, and how long they are kept afterwards.
    held: BTreeMap<String, Span>,
    place: PathBuf,
    /// None after it could not be written; then the next note begins it anew.
    journal: Option<Journal>,
}

impl Retention {
    /// What an earlier agent of the node in `directory` left. The commands that ran when it
    /// ended have ended with it: the time of their directories begins `now`.
    pub(crate) fn open(directory: &Path, now: Timestamp) -> Self {
        let place = Journal::place(directory);
        let mut retention = Self {
            due: BTreeSet::new(),
            times: HashMap::new(),
            held: BTreeMap::new(),
            place,
            journal: None,
        };
        let notes = Journal::read(&retention.place).unwrap_or_else(|error| {
            tracing::error!(%error, "what earlier tasks left will stay until the node ends");
            Vec::new()
        });
        for note in notes {
            retention.apply(note);
        }
        for (directory, kept_for) in std::mem::take(&mut retention.held) {
            retention.apply(Note::Due { directory, at: now.plus(kept_for) });
        }
        let begun = retention.begin_journal();
        retention.told(begun);
        retention
    }

    /// A command of a task with these constraints begins in the directory.
    pub(crate) fn hold(&mut self, directory: String, constraints: TaskConstraints) {
        self.note(Note::Held { directory, retention: constraints.retention() });
    }

    /// A task with these constraints ended `now`: its directory goes after its time.
    pub(crate) fn keep(&mut self, directory: String, constraints: TaskConstraints, now: Timestamp) {
        self.note(Note::Due { directory, at: now.plus(constraints.retention()) });
    }

    /// The directory is gone.
    pub(crate) fn cancel(&mut self, directory: &str) {
        if self.times.contains_key(directory) || self.held.contains_key(directory) {
            self.note(Note::Gone { directory: directory.to_owned() });
        }
    }

    /// Time until the next directory may go; `None` when there is none.
    pub(crate) fn next_in(&self, now: Timestamp) -> Option<Duration> {
        self.due.first().map(|(at, _)| at.since(now))
    }

    /// A directory whose time has come. It is due until [`Retention::cancel`] says that it is
    /// gone, so that an agent that is killed in between leaves it to the next one.
    pub(crate) fn first_due(&self, now: Timestamp) -> Option<String> {
        let (at, directory) = self.due.first()?;
        (*at <= now).then(|| directory.clone())
    }

    fn apply(&mut self, note: Note) {
        let (Note::Held { directory, .. } | Note::Due { directory, .. } | Note::Gone { directory }) =
            &note;
        if let Some((directory, at)) = self.times.remove_entry(directory) {
            self.due.remove(&(at, directory));
        }
        self.held.remove(directory);
        match note {
            Note::Held { directory, retention } => {
                self.held.insert(directory, retention);
            }
            Note::Due { directory, at } => {
                self.due.insert((at, directory.clone()));
                self.times.insert(directory, at);
            }
            Note::Gone { .. } => {}
        }
    }

    fn note(&mut self, note: Note) {
        self.apply(note.clone());
        let n_lines_max = STALE_LINES_MAX + 2 * (self.times.len() + self.held.len());
        let written = match &mut self.journal {
            Some(journal) if journal.n_lines() < n_lines_max => journal.add(&note),
            Some(_) | None => self.begin_journal(),
        };
        self.told(written);
    }

    fn begin_journal(&mut self) -> io::Result<()> {
        let due = self.due.iter();
        let due = due.map(|(at, directory)| Note::Due { directory: directory.clone(), at: *at });
        let held = self.held.iter().map(|(directory, retention)| Note::Held {
            directory: directory.clone(),
            retention: *retention,
        });
        let notes: Vec<Note> = due.chain(held).collect();
        self.journal = Some(Journal::begin(&self.place, &notes)?);
        Ok(())
    }

    fn told(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            tracing::warn!(%error, "a later agent will not know when directories of tasks may go");
            self.journal = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use kiln_domain::batch::task::TaskConstraints;
    use kiln_domain::span::Span;
    use kiln_domain::time::Timestamp;

    use super::{Retention, STALE_LINES_MAX};
    use crate::journal::Journal;

    const START: Timestamp = Timestamp(0);

    fn kept_for(seconds: i64) -> TaskConstraints {
        let retention_time = Some(Span::seconds(seconds));
        TaskConstraints { retention_time, ..TaskConstraints::default() }
    }

    fn after(seconds: i64) -> Timestamp {
        START.plus(Span::seconds(seconds))
    }

    /// The next directory that is due, which then goes.
    fn take_due(retention: &mut Retention, now: Timestamp) -> Option<String> {
        let directory = retention.first_due(now)?;
        retention.cancel(&directory);
        Some(directory)
    }

    #[test]
    fn directories_go_in_their_time() {
        let node = tempfile::tempdir().expect("a directory");
        let mut retention = Retention::open(node.path(), START);
        assert_eq!(retention.next_in(START), None);
        retention.keep("late".to_owned(), kept_for(20), START);
        retention.keep("soon".to_owned(), kept_for(10), START);
        retention.keep("again".to_owned(), kept_for(5), START);
        retention.hold("again".to_owned(), kept_for(5));
        assert_eq!(retention.next_in(after(4)).map(|it| it.as_secs()), Some(6));
        assert_eq!(take_due(&mut retention, after(9)), None);
        assert_eq!(take_due(&mut retention, after(10)).as_deref(), Some("soon"));
        assert_eq!(take_due(&mut retention, after(10)), None);
        assert_eq!(take_due(&mut retention, after(99)).as_deref(), Some("late"));
    }

    #[test]
    fn a_week_unless_told_otherwise() {
        let node = tempfile::tempdir().expect("a directory");
        let mut retention = Retention::open(node.path(), START);
        retention.keep("a".to_owned(), TaskConstraints::default(), START);
        assert_eq!(retention.next_in(START).map(|it| it.as_secs()), Some(7 * 86_400));
    }

    #[test]
    fn the_next_agent_knows_what_is_due() {
        let node = tempfile::tempdir().expect("a directory");
        let mut first = Retention::open(node.path(), START);
        first.hold("ended".to_owned(), kept_for(10));
        first.keep("ended".to_owned(), kept_for(10), after(5));
        first.hold("runs".to_owned(), kept_for(100));
        first.keep("gone".to_owned(), kept_for(1), START);
        first.cancel("gone");
        drop(first);
        // A line that was not written to its end spoils no other.
        let place = Journal::place(node.path());
        let mut journal = fs::OpenOptions::new().append(true).open(&place).expect("there");
        journal.write_all(b"{\"due\":{\"dir").expect("written");
        let mut second = Retention::open(node.path(), after(50));
        second.keep("new".to_owned(), kept_for(1000), after(50));
        drop(second);
        let mut third = Retention::open(node.path(), after(60));
        assert_eq!(take_due(&mut third, after(60)).as_deref(), Some("ended"));
        assert_eq!(take_due(&mut third, after(149)), None);
        assert_eq!(take_due(&mut third, after(150)).as_deref(), Some("runs"));
        assert_eq!(take_due(&mut third, after(1050)).as_deref(), Some("new"));
        assert_eq!(third.next_in(START), None);
    }

    #[test]
    fn the_journal_does_not_grow_without_end() {
        let node = tempfile::tempdir().expect("a directory");
        let mut retention = Retention::open(node.path(), START);
        for number in 0..STALE_LINES_MAX {
            retention.hold(format!("t{number}"), kept_for(10));
            retention.keep(format!("t{number}"), kept_for(10), START);
            retention.cancel(&format!("t{number}"));
        }
        retention.keep("kept".to_owned(), kept_for(10), START);
        let text = fs::read_to_string(Journal::place(node.path())).expect("there");
        assert!(text.lines().count() <= STALE_LINES_MAX + 2, "{}", text.lines().count());
        let next = Retention::open(node.path(), START);
        assert_eq!(next.first_due(after(10)).as_deref(), Some("kept"));
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let node = tempfile::tempdir().expect("a directory");
        let place = node.path().join("later");
        let mut retention = Retention::open(&place, START);
        retention.keep("first".to_owned(), kept_for(10), START);
        assert_eq!(retention.first_due(after(10)).as_deref(), Some("first"));
        fs::create_dir(&place).expect("made");
        retention.keep("second".to_owned(), kept_for(20), START);
        let mut next = Retention::open(&place, START);
        assert_eq!(take_due(&mut next, after(99)).as_deref(), Some("first"));
        assert_eq!(take_due(&mut next, after(99)).as_deref(), Some("second"));
    }
}
