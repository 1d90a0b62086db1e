//! The kiln binary.
//!
//! `main` reads the environment once, picks the command and turns its result into an exit
//! code; each command is one file in [`cmd`].

mod amount;
mod args;
mod clock;
mod cmd;
mod data;
mod endpoints;
mod environment;
mod extents;
mod failure;
mod length;
mod logs;
mod output;
mod service;
mod session;
mod settings;
mod signals;
mod token_settings;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

use crate::args::{Cli, Command};
use crate::environment::Environment;
use crate::failure::Failure;

/// Half the time of the system's; SQLite allocates with it too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // A node's agent and first process must be small and start at once.
    if let Some(code) = cmd::agent::dispatch(std::env::args_os().nth(1).as_deref()) {
        return code;
    }
    let environment = Environment::read();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error),
    };
    match run(cli, &environment) {
        Ok(code) => code,
        Err(failure) => {
            output::failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(cli: Cli, environment: &Environment) -> Result<ExitCode, Failure> {
    let shared = settings::Shared::resolve(&cli.shared, environment);
    let is_server = matches!(cli.command, Command::Up(_));
    if !is_server {
        let filter = shared.log.as_deref().unwrap_or(logs::QUIET);
        logs::start(filter, logs::LogFormat::default())?;
    }
    let data = || data::DataDirectory::locate(shared.data.clone());
    let done = |result: Result<(), Failure>| result.map(|()| ExitCode::SUCCESS);
    match cli.command {
        Command::Up(args) => done(cmd::up::run(args, &shared, environment)),
        Command::Env(args) => done(cmd::env::run(&args, &data()?)),
        Command::Exec(args) => cmd::exec::run(args, &data()?, environment),
        Command::Demo(args) => done(cmd::demo::run(&args, &data()?, environment)),
        Command::Status(args) => cmd::status::run(args, &data()?),
        Command::Doctor => cmd::doctor::run(&data()?, environment),
        Command::Account(args) => done(cmd::account::run(args, &data()?)),
        Command::Application(args) => done(cmd::application::run(&args, &data()?)),
        Command::Autoscale(args) => done(cmd::autoscale::run(&args, data)),
        Command::Node(args) => done(cmd::node::run(&args, &data()?)),
        Command::Task(args) => cmd::task::run(&args, &data()?, environment),
        Command::Blob(args) => cmd::blob::run(&args, &data()?, environment),
        Command::Backup(args) => cmd::backup::run(&args, &data()?, environment),
        Command::Restore(args) => cmd::restore::run(&args, &data()?),
    }
}

/// Help and version go to standard output and are no failure.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    // There is nowhere left to complain when standard error is closed.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS }
}

/// A runtime for commands that talk to a service.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new("cannot start the runtime").because(cause))
}

/// The path of this program, which is also the agent's.
pub(crate) fn own_program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe().map_err(|cause| {
        Failure::new("cannot find the path of this program")
            .because(cause)
            .hint("start kiln by its whole path")
    })
}

/// Whether `argument` is the word `expected`.
pub(crate) fn is_word(argument: Option<&OsStr>, expected: &str) -> bool {
    argument.is_some_and(|argument| argument == expected)
}
