//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cmd;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the arguments or settings make no sense
  3  no Kiln runs on the data directory
  4  another Kiln runs on the data directory
`kiln exec` ends as its program does; 126 and 127 say that it cannot be started. `kiln task shell`
and `kiln task rerun` end as what they run.

Example:
  kiln up                            # in one terminal
  kiln exec -- python my_client.py   # in another";

/// Azure Batch and Blob Storage on your own machines.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// Settings of every command.
    #[command(flatten)]
    pub(crate) shared: SharedArgs,
    /// Which command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Settings of every command.
#[derive(Debug, Default, Args)]
#[expect(clippy::doc_markdown, reason = "the words are shown as help")]
pub(crate) struct SharedArgs {
    /// Directory of a Kiln's state [env: KILN_DATA] [default: this user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What to log to standard error, `info` or `warn,kiln_server=debug` [env: KILN_LOG]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the service and serve until Ctrl-C
    Up(cmd::up::UpArgs),
    /// Print the variables with which programs reach the running Kiln
    Env(cmd::env::EnvArgs),
    /// Run an unmodified program against Kiln in place of Azure
    Exec(cmd::exec::ExecArgs),
    /// Run the Batch tutorial from start to end
    Demo(cmd::demo::DemoArgs),
    /// Tell how the running Kiln is
    Status(cmd::status::StatusArgs),
    /// Tell what this machine allows and what is missing
    #[command(after_help = cmd::doctor::EXAMPLE)]
    Doctor,
    /// Make, show and remove accounts and their keys
    Account(cmd::account::AccountArgs),
    /// Upload, show and remove packages of applications
    Application(cmd::application::ApplicationArgs),
    /// Check autoscale formulas
    Autoscale(cmd::autoscale::AutoscaleArgs),
    /// Show nodes of a pool, and take Spot nodes away
    Node(cmd::node::NodeArgs),
    /// Tell why a task waits or failed, look around where it ran, run it again
    Task(cmd::task::TaskArgs),
    /// List, copy, remove and check blobs
    Blob(cmd::blob::BlobArgs),
    /// Copy the state of a Kiln, which may run meanwhile
    Backup(cmd::backup::BackupArgs),
    /// Bring a backup to a new data directory
    Restore(cmd::restore::RestoreArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_an_example() {
        let command = Cli::command();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", sub.get_name());
        }
    }
}
