//! `kiln exec`: an unmodified program against Kiln in place of Azure.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use kiln_server::intercept;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::env::{AccountChoice, variables};
use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::session::Session;
use crate::signals::Signals;

const EXAMPLE: &str = "\
https://ACCOUNT.blob.core.windows.net and https://ACCOUNT.REGION.batch.azure.com end at Kiln for
the accounts it has; every other host is reached as usual. Without a running Kiln, one is started
for the time of the program, on free ports and with nothing kept.

Ends as PROGRAM does: with its exit code, or 128 + N when signal N ended it; 126 when it cannot
be run, 127 when it is not found.

Examples:
  kiln exec -- python python_tutorial_client.py
  kiln exec az batch pool list
  kiln exec bash                     # a shell in which all of the above works";

/// Run an unmodified program against Kiln in place of Azure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ExecArgs {
    /// Which accounts the variables of `kiln env` name
    #[command(flatten)]
    accounts: AccountChoice,
    /// The program and its arguments
    #[arg(
        required = true,
        value_name = "PROGRAM",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(
    args: ExecArgs,
    data: &DataDirectory,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    crate::runtime()?.block_on(async {
        // Before anything starts, so that no signal leaves something behind.
        let mut signals = Signals::listen()?;
        let session = Session::find_or_start(data, environment).await?;
        let ended = match session.chosen(&args.accounts) {
            Ok(chosen) => {
                let mut set = variables(session.endpoints(), &chosen);
                let no_proxy = environment.first(&["NO_PROXY", "no_proxy"]);
                let published = session.endpoints().interception();
                set.extend(intercept::environment(&published, no_proxy));
                run_to_end(&args.command, set, &mut signals).await
            }
            Err(failure) => Err(failure),
        };
        session.end().await;
        ended
    })
}

async fn run_to_end(
    command: &[OsString],
    variables: Vec<(String, String)>,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    let [program, arguments @ ..] = command else {
        return Err(Failure::usage("no program is named"));
    };
    let spawned = tokio::process::Command::new(program).args(arguments).envs(variables).spawn();
    let mut child = spawned.map_err(|cause| {
        let code = if cause.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        Failure::new(format!("cannot run `{}`", program.display())).because(cause).code(code)
    })?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|cause| {
                    Failure::new(format!("lost sight of `{}`", program.display())).because(cause)
                })?;
                return Ok(exit_code(status));
            }
            signal = signals.next() => pass_on(&child, signal),
        }
    }
}

/// Sends `signal` on, but for Ctrl-C at a terminal: that reaches the program by itself, and
/// a second one would break into its clean-up.
fn pass_on(child: &Child, signal: Signal) {
    if signal == Signal::INT && is_foreground() {
        return;
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, signal)
    {
        tracing::debug!(%error, "a signal was not passed on");
    }
}

fn is_foreground() -> bool {
    let group = rustix::process::getpgrp();
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|foreground| foreground == group)
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(1))
}
