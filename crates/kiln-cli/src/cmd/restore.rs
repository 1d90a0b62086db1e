//! `kiln restore`: a backup, brought to a new data directory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kiln_server::backup::{self, BackupError};

use super::backup::{tell, work};
use super::blob::fsck;
use crate::data::DataDirectory;
use crate::failure::Failure;
use crate::output::{self, progress};

const EXAMPLE: &str = "\
The data directory must be empty or not there yet. All names are held against all bytes on the
way, as by `kiln blob fsck`; of a damaged backup nothing is left. Bytes that were in an object
store are in the data directory afterwards.

A restored Kiln begins its nodes anew: tasks that ran run again.

Example:
  kiln restore /mnt/backup/kiln --data /var/lib/kiln";

/// Where from.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct RestoreArgs {
    /// Directory of the backup
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Keep what is restored though it is damaged
    #[arg(long)]
    accept_damage: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &RestoreArgs, data: &DataDirectory) -> Result<ExitCode, Failure> {
    let bar = progress::of_bytes(0, args.json);
    let (from, to, accepts_damage) =
        (args.from.clone(), data.path().to_owned(), args.accept_damage);
    let told = bar.clone();
    let restored = work(move || backup::restore(&from, &to, accepts_damage, |it| tell(&told, it)))?;
    bar.finish_and_clear();
    match restored {
        Ok(report) => {
            output::line(&fsck::findings(&report, args.json)?);
            if !args.json {
                output::line(&format!("\nRestored. Next: kiln up{}", data.option()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            if let BackupError::Damaged { report } = &failure {
                output::line(&fsck::findings(report, args.json)?);
            }
            let hint = match &failure {
                BackupError::Damaged { .. } => "--accept-damage restores what is there",
                BackupError::NotEmpty { .. } => "name another with --data DIR",
                BackupError::Busy
                | BackupError::NotABackup { .. }
                | BackupError::TooNew { .. }
                | BackupError::Store(_)
                | BackupError::Extents(_)
                | BackupError::Check(_)
                | BackupError::File { .. } => "nothing was changed",
            };
            Err(Failure::new("nothing is restored").because(failure).hint(hint))
        }
    }
}
