//! What the next agent of the node must know, kept in a file that no command of the node sees.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Name of the file in the node's directory.
const FILE: &str = "retention.jsonl";
/// Permission bits of the file.
const MODE: u32 = 0o600;

/// What is known of a directory, until another note says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Note {
    /// A command runs there; it is kept for so long after the command's end.
    Held { directory: String, retention: Span },
    /// It may go at this time.
    Due { directory: String, at: Timestamp },
    /// Nobody waits for its time any more.
    Gone { directory: String },
}

/// The file, open for more: a line of JSON for each note.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    n_lines: usize,
}

impl Journal {
    /// The place of the journal of the node in `directory`.
    pub(crate) fn place(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// What an earlier agent wrote; nothing where there was none.
    pub(crate) fn read(place: &Path) -> io::Result<Vec<Note>> {
        let text = match fs::read(place) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut notes = Vec::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(note) => notes.push(note),
                // An agent was killed, or the disk full, in the middle of it.
                Err(error) => tracing::warn!(%error, "a line of the journal can not be read"),
            }
        }
        Ok(notes)
    }

    /// Begins the journal anew with these notes. The old one stays until the new one is whole.
    pub(crate) fn begin(place: &Path, notes: &[Note]) -> io::Result<Self> {
        let new = place.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(MODE).open(&new)?;
        let mut text = Vec::new();
        for note in notes {
            write_line(&mut text, note)?;
        }
        file.write_all(&text)?;
        fs::rename(&new, place)?;
        Ok(Self { file, n_lines: notes.len() })
    }

    /// Writes one more note, as a whole: an agent that is killed leaves no half of a line.
    pub(crate) fn add(&mut self, note: &Note) -> io::Result<()> {
        let mut line = Vec::new();
        write_line(&mut line, note)?;
        self.n_lines += 1;
        self.file.write_all(&line)
    }

    /// Lines that it has.
    pub(crate) fn n_lines(&self) -> usize {
        self.n_lines
    }
}

fn write_line(text: &mut Vec<u8>, note: &Note) -> io::Result<()> {
    serde_json::to_writer(&mut *text, note)?;
    text.push(b'\n');
    Ok(())
}
