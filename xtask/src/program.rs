//! Other programs: the one place of this crate that starts them.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::report;

/// Lines of a program's output that are kept for the case that it fails.
const KEPT_LINES_MAX: usize = 80;

/// A command line for `name`, run in `folder`, with nothing on its standard input.
#[expect(clippy::disallowed_methods, reason = "a chore is made of other programs")]
pub(crate) fn command(name: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// The `cargo` that runs this chore.
pub(crate) fn cargo(folder: &Path) -> Command {
    let name = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(name, folder)
}

/// Runs the command with its output on ours. The error says how it ended, and repeats what it
/// said last.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match shown(command) {
        Ok((status, _)) if status.success() => Ok(()),
        Ok((status, last)) => Err(format!("`{name}` ended with {status}\n{last}")),
        Err(cause) => Err(format!("`{name}` did not start: {cause}")),
    }
}

/// Runs the command with its output on ours. Answers how it ended and what it said last, unless
/// that is on a terminal, where a person can look back.
pub(crate) fn shown(command: &mut Command) -> io::Result<(ExitStatus, String)> {
    if io::stdout().is_terminal() {
        return Ok((command.status()?, String::new()));
    }
    let (output, input) = io::pipe()?;
    let mut child = command.stdout(input.try_clone()?).stderr(input).spawn()?;
    // The output ends when nobody holds its other end, which we do no more.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = VecDeque::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        report::say(&line);
        if last.len() == KEPT_LINES_MAX {
            last.pop_front();
        }
        last.push_back(line);
    }
    Ok((child.wait()?, Vec::from(last).join("\n")))
}

/// Runs the command and keeps its output to itself unless it fails. Answers what it printed.
pub(crate) fn run_quietly(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|cause| format!("`{name}` did not start: {cause}"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(format!("`{name}` ended with {}:\n{text}", output.status))
}

/// Whether the command can be started and ends well.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_told_with_its_output() {
        let mut failing = command("sh", Path::new("/"));
        failing.args(["-c", "echo spoken; echo shouted >&2; exit 3"]);
        let message = run_quietly(&mut failing).unwrap_err();
        for wanted in ["spoken", "shouted", "3"] {
            assert!(message.contains(wanted), "{wanted} is missing from {message}");
        }
    }

    #[test]
    fn what_a_failing_program_said_last_is_repeated() {
        let mut failing = command("sh", Path::new("/"));
        failing.args(["-c", "seq 100; echo shouted >&2; exit 3"]);
        let (status, last) = shown(&mut failing).unwrap();
        let lines: Vec<_> = last.lines().collect();
        assert_eq!(status.code(), Some(3));
        assert_eq!(lines.len(), KEPT_LINES_MAX);
        assert_eq!(lines.last(), Some(&"shouted"));
    }

    #[test]
    fn a_missing_program_does_not_work() {
        assert!(!works(&mut command("no-such-program-here", Path::new("/"))));
        assert!(works(&mut command("true", Path::new("/"))));
    }
}
