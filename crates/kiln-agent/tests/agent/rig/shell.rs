//! Shells where tasks run or ran.

use kiln_wire::node::shell::{Bytes64, FromShell, ShellSpec, ToShell};
use kiln_wire::node::{FromAgent, Run, ToAgent};

use super::Rig;

/// What a shell printed, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) exit_code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Rig {
    /// Opens a shell and waits until it runs; why not, if it is refused.
    pub(crate) async fn open_shell(&mut self, run: Run, spec: ShellSpec) -> Result<u64, String> {
        let shell = self.next_stream;
        self.next_stream += 1;
        let message = ToShell::Open(spec);
        self.send(ToAgent::Shell { shell, run: Some(Box::new(run)), message }).await;
        match self.hear(shell).await {
            FromShell::Opened => Ok(shell),
            FromShell::Refused { message } => Err(message),
            other => panic!("{other:?}"),
        }
    }

    /// Says something to a shell.
    pub(crate) async fn tell(&mut self, shell: u64, message: ToShell) {
        self.send(ToAgent::Shell { shell, run: None, message }).await;
    }

    /// What a shell says next.
    pub(crate) async fn hear(&mut self, shell: u64) -> FromShell {
        loop {
            match self.read("a word of a shell").await {
                Some(FromAgent::Shell { shell: it, message }) if it == shell => return message,
                Some(FromAgent::Report { number, report }) => self.reports.push((number, *report)),
                _ => {}
            }
        }
    }

    /// Runs a shell that reads `script` to its end.
    pub(crate) async fn shell(&mut self, run: Run, spec: ShellSpec, script: &str) -> Said {
        let shell = self.open_shell(run, spec).await.expect("a shell");
        let bytes = Bytes64(script.as_bytes().to_vec());
        self.tell(shell, ToShell::Input { bytes }).await;
        self.tell(shell, ToShell::EndOfInput).await;
        self.said(shell).await
    }

    /// All that a shell says until it has ended.
    pub(crate) async fn said(&mut self, shell: u64) -> Said {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        loop {
            match self.hear(shell).await {
                FromShell::Output { bytes } => output.extend(bytes.0),
                FromShell::Errors { bytes } => errors.extend(bytes.0),
                FromShell::Opened | FromShell::Taken { .. } | FromShell::Alive => {}
                FromShell::Refused { message } => panic!("{message}"),
                FromShell::Ended { exit_code } => {
                    let text = |bytes| String::from_utf8(bytes).expect("text");
                    return Said { exit_code, output: text(output), errors: text(errors) };
                }
            }
        }
    }
}
