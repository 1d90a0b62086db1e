//! What happened in a run, as a number, and as text for who wants to read it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// What the names of nodes begin with.
const NODE_PREFIX: &str = "tvmps_";
/// Digits in the names of nodes.
const NODE_DIGITS: usize = 64;
/// Digits of them that are shown.
const SHOWN_DIGITS: usize = 6;
/// Lines that are kept of a run.
const LINES_MAX: usize = 200_000;

/// What happened in a run.
#[derive(Debug)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

/// The text with only the first digits of the long names of nodes.
fn shortened(text: &str) -> String {
    let mut parts = text.split(NODE_PREFIX);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.extend(part.chars().take(SHOWN_DIGITS));
        short.extend(part.chars().skip(NODE_DIGITS));
    }
    short
}

impl Trace {
    pub(crate) fn new(keeps_text: bool) -> Self {
        Self { hasher: DefaultHasher::new(), lines: keeps_text.then(Vec::new) }
    }

    pub(crate) fn add(&mut self, at: Duration, text: &str) {
        (at.as_nanos(), text).hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines
            && lines.len() < LINES_MAX
        {
            lines.push(format!("{:>12.6} {}", at.as_secs_f64(), shortened(text)));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
