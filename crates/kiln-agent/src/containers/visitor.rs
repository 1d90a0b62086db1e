//! A shell in a container: beside what runs there, or alone in another one like it.

use super::container::Container;
use super::podman::Podman;

/// What is to run in a container besides or instead of its command, for somebody who looks on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor<'a> {
    /// The program and its arguments.
    pub(crate) argv: &'a [String],
    /// What kind of terminal it has, if it has one.
    pub(crate) terminal: Option<&'a str>,
    /// The variable by which it is found, whatever becomes of its process tree.
    pub(crate) mark: &'a str,
}

/// The way in.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The program and its arguments that let somebody in, for as long as they run.
    pub(crate) argv: Vec<String>,
    /// `NAME=value`, all of it.
    pub(crate) environment: Vec<String>,
    /// The container that was made for this visit.
    pub(crate) container: Option<Container>,
}

impl Visitor<'_> {
    /// The words and the variables that run it in the container `id`, as its user and in its
    /// directory.
    pub(super) fn enter(&self, podman: &Podman, id: &str) -> (Vec<String>, Vec<String>) {
        // What is typed is the shell's: no keys lead out.
        let words = ["exec", "--detach-keys="].into_iter().map(str::to_owned);
        let words = words.chain(self.options()).chain([id.to_owned()]);
        let words: Vec<String> = words.chain(self.argv.iter().cloned()).collect();
        podman.words(words.iter().map(String::as_str))
    }

    /// The last options for making a container in which it runs instead of the command.
    pub(super) fn instead(&self) -> Vec<String> {
        let program = serde_json::Value::from(self.argv);
        let own = [
            // What it prints is shown, and written down nowhere.
            "--log-driver=none".to_owned(),
            format!("--entrypoint={program}"),
        ];
        own.into_iter().chain(self.options()).collect()
    }

    fn options(&self) -> Vec<String> {
        let mut options = vec!["--interactive".to_owned(), format!("--env={}", self.mark)];
        if let Some(kind) = self.terminal {
            options.extend(["--tty".to_owned(), format!("--env=TERM={kind}")]);
        }
        options
    }
}
