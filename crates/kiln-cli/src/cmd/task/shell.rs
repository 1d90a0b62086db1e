//! `kiln task shell`: a shell where a task runs or ran.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use kiln_client::BatchClient;
use kiln_client::batch::{
    Bytes64, FromShell, MESSAGE_BYTES_MAX, ShellEar, ShellError, ShellMouth, ShellSpec, Terminal,
    ToShell, WindowSize,
};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Named, exit_code_of};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use crate::signals::{Signals, interrupted};

pub(super) const EXAMPLE: &str = "\
The shell runs on the node that runs or ran the task, as the task's user and with its variables,
in its working directory, and sees what it saw. At a terminal it has one of its own; otherwise it
runs what it reads. It has processes of its own and ends when this command does.

Ends as the shell does.

Examples:
  kiln task shell myjob mytask
  kiln task shell myjob mytask -- ls -l
  echo 'env | sort' | kiln task shell myjob mytask";

/// Pieces of what is typed that wait to be sent.
const TYPED_MAX: usize = 8;

#[derive(Debug, Args)]
pub(super) struct ShellArgs {
    #[command(flatten)]
    named: Named,
    /// A program and its arguments to run in place of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(
    batch: &BatchClient,
    args: &ShellArgs,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let is_at_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let terminal = is_at_terminal.then(|| Terminal {
        name: environment.get("TERM").unwrap_or("xterm").to_owned(),
        size: window_size(),
    });
    let spec = ShellSpec { command: args.command.clone(), terminal };
    let (mouth, ear) = batch.shell(&args.named.job, &args.named.task, spec).await?;
    let raw = if is_at_terminal { Some(Raw::begin()?) } else { None };
    // Nobody waits for it: only who types can end a read from a terminal.
    let (typed, words) = mpsc::channel(TYPED_MAX);
    tokio::task::spawn_blocking(move || listen(&typed));
    let ended = tokio::select! {
        ended = hear(ear) => ended,
        failed = speak(mouth, words, is_at_terminal) => failed,
        signal = signals.next() => Err(interrupted(signal)),
    };
    drop(raw);
    ended.map(exit_code_of)
}

/// Shows what is printed until the shell ends; gives its exit code.
async fn hear(mut ear: ShellEar) -> Result<i32, Failure> {
    loop {
        match ear.next().await.map_err(lost)? {
            FromShell::Opened | FromShell::Taken { .. } | FromShell::Alive => {}
            FromShell::Output { bytes } => output::raw(&bytes.0),
            FromShell::Errors { bytes } => output::raw_error(&bytes.0),
            FromShell::Ended { exit_code } => return Ok(exit_code),
            FromShell::Refused { message } => {
                return Err(Failure::new(format!("the node has no shell: {message}")));
            }
        }
    }
}

/// Passes on what is typed, and the size of the window; comes back with a failure only.
async fn speak(
    mut mouth: ShellMouth,
    mut words: mpsc::Receiver<ToShell>,
    is_at_terminal: bool,
) -> Result<i32, Failure> {
    let mut resized = signal(SignalKind::window_change())
        .map_err(|cause| Failure::new("cannot listen for signals").because(cause))?;
    loop {
        let message = tokio::select! {
            Some(message) = words.recv() => message,
            Some(()) = resized.recv(), if is_at_terminal => ToShell::Resized(window_size()),
            else => std::future::pending().await,
        };
        if mouth.say(message).await.is_err() {
            // Why is told to the one who hears.
            std::future::pending::<()>().await;
        }
    }
}

fn lost(cause: ShellError) -> Failure {
    Failure::new("lost the shell").because(cause)
}

/// Passes on what is typed.
fn listen(speak: &mpsc::Sender<ToShell>) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let read = rustix::io::read(io::stdin(), &mut buffer);
        let message = match read {
            Ok(0) => ToShell::EndOfInput,
            Ok(n_read) => {
                let bytes = buffer.get(..n_read).unwrap_or_default().to_vec();
                ToShell::Input { bytes: Bytes64(bytes) }
            }
            Err(rustix::io::Errno::INTR) => continue,
            Err(_unreadable) => ToShell::EndOfInput,
        };
        let is_end = message == ToShell::EndOfInput;
        if speak.blocking_send(message).is_err() || is_end {
            return;
        }
    }
}

fn window_size() -> WindowSize {
    let found = tcgetwinsize(io::stdout());
    found.map_or(WindowSize { rows: 24, columns: 80 }, |it| WindowSize {
        rows: it.ws_row,
        columns: it.ws_col,
    })
}

/// Keeps the terminal from acting on what is typed, for as long as it lives.
struct Raw(Termios);

impl Raw {
    fn begin() -> Result<Self, Failure> {
        let failed =
            |cause: rustix::io::Errno| Failure::new("cannot use the terminal").because(cause);
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no care.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
