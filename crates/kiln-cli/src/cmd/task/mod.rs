//! `kiln task`: tools for people whose task waits, failed or puzzles them.

mod explain;
mod follow;
mod rerun;
mod shell;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::account;
use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::Failure;

const EXAMPLE: &str = "\
Examples:
  kiln task explain myjob mytask            # why does it not start, or how did it fail?
  kiln task shell myjob mytask              # look around where it runs or ran
  kiln task shell myjob mytask -- ls -l
  kiln task rerun myjob mytask              # once more, on the same node";

/// Tell why a task waits or failed, look around where it ran, run it again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Which accounts, where there are several
    #[command(flatten)]
    accounts: AccountChoice,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Tell why a task waits, or how it failed
    Explain(Named),
    /// Open a shell with the variables, directory, user and files of a task
    #[command(after_help = shell::EXAMPLE)]
    Shell(shell::ShellArgs),
    /// Run a task once more and show what it prints
    #[command(after_help = rerun::EXAMPLE)]
    Rerun(rerun::RerunArgs),
}

/// Which task.
#[derive(Debug, Args)]
struct Named {
    /// Its job
    job: String,
    /// The task
    task: String,
}

pub(crate) fn run(
    args: &TaskArgs,
    data: &DataDirectory,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let batch = account::batch_client(data, &args.accounts)?;
    let runtime = crate::runtime()?;
    let ended = runtime.block_on(async {
        match &args.verb {
            Verb::Explain(named) => explain::run(&batch, named).await.map(|()| ExitCode::SUCCESS),
            Verb::Shell(args) => shell::run(&batch, args, environment).await,
            Verb::Rerun(args) => rerun::run(&batch, args).await,
        }
    });
    // Reading from a terminal can not be ended by anyone but who sits there.
    runtime.shutdown_background();
    ended
}

/// The exit code of this program for that of a task.
fn exit_code_of(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(crate::failure::FAILED))
}
