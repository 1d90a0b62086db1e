//! Other programs: the one place of this crate that starts them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

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

/// Runs the command with its output on ours. The error says how it ended.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{name}` ended with {status}")),
        Err(cause) => Err(format!("`{name}` did not start: {cause}")),
    }
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
    fn a_missing_program_does_not_work() {
        assert!(!works(&mut command("no-such-program-here", Path::new("/"))));
        assert!(works(&mut command("true", Path::new("/"))));
    }
}
