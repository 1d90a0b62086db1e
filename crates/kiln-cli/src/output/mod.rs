//! The only place that writes to the terminal.

pub(crate) mod progress;
pub(crate) mod shell;
pub(crate) mod table;

use std::io::{IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Writes a line of results to standard output.
pub(crate) fn line(text: &str) {
    // A reader that went away (`kiln env | head -1`) is no failure.
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Writes what a program printed to standard output, as it is.
pub(crate) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Writes what a program printed to standard error, as it is.
pub(crate) fn raw_error(bytes: &[u8]) {
    let mut err = std::io::stderr().lock();
    drop(err.write_all(bytes).and_then(|()| err.flush()));
}

/// Writes a line about the work, not its result, to standard error.
pub(crate) fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// A document for programs.
pub(crate) fn json(document: &serde_json::Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(document)
        .map_err(|cause| Failure::new("cannot write JSON").because(cause))
}

/// Writes `error:`, its causes and a hint to standard error.
pub(crate) fn failure(failure: &Failure) {
    let is_colored = std::io::stderr().is_terminal();
    let mut err = std::io::stderr().lock();
    for (label, text) in failure.lines() {
        let color = match label {
            "error" => "\u{1b}[1;31m",
            "hint" => "\u{1b}[1;36m",
            _ => "\u{1b}[1m",
        };
        let (on, off) = if is_colored { (color, "\u{1b}[0m") } else { ("", "") };
        // There is nowhere left to complain when standard error is closed.
        drop(writeln!(err, "{on}{label}:{off} {text}"));
    }
}

/// Emphasizes a heading when standard output is a terminal.
pub(crate) fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\u{1b}[1m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A check mark or a cross, colored when standard output is a terminal.
pub(crate) fn mark(is_good: bool) -> &'static str {
    match (is_good, std::io::stdout().is_terminal()) {
        (true, true) => "\u{1b}[32m✓\u{1b}[0m",
        (false, true) => "\u{1b}[31m✗\u{1b}[0m",
        (true, false) => "✓",
        (false, false) => "✗",
    }
}
