//! `kiln backup`: a copy of the state, made beside a running Kiln.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{BinaryBytes, ProgressBar};
use kiln_server::backup::{self, BackupError, Made, Progress};
use serde_json::json;

use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::{FAILED, Failure};
use crate::output::{self, progress};

const EXAMPLE: &str = "\
Kiln may run meanwhile, or not. What was acknowledged before the backup began is in it: accounts
with their keys, jobs, tasks, blobs, settings and the authority that programs trust. Files on nodes
are not. A backup to a directory that has one already copies what is new and takes its place.

It holds keys and is made for its owner only. Bytes in an object store are copied too.

Ends with 1 when bytes are missing that names stand for; all else is in the backup then.

Examples:
  kiln backup /mnt/backup/kiln
  kiln restore /mnt/backup/kiln --data /var/lib/kiln";

/// Where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct BackupArgs {
    /// Directory of the backup, made if it is not there
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(
    args: &BackupArgs,
    data: &DataDirectory,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    data.require_state()?;
    let bar = progress::of_bytes(0, args.json);
    let place = crate::extents::place_of(data, environment)?;
    let (from, to) = (data.path().to_owned(), args.to.clone());
    let told = bar.clone();
    let made = work(move || {
        let now = kiln_server::clock::now();
        backup::back_up(&from, place.as_ref(), &to, now, |it| tell(&told, it))
    })?
    .map_err(|cause| Failure::new("there is no new backup").because(cause))?;
    bar.finish_and_clear();
    output::line(&if args.json { as_json(&made)? } else { as_text(&made, args) });
    if made.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    output::failure(
        &Failure::new(format!("{} files are missing that names stand for", made.missing.len()))
            .hint("`kiln blob fsck` on a stopped Kiln, or on the backup, names the blobs"),
    );
    Ok(ExitCode::from(FAILED))
}

/// Does work that blocks, on a thread that a runtime lends.
pub(super) fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<Result<T, BackupError>, Failure> {
    crate::runtime()?.block_on(async {
        let working = tokio::task::spawn_blocking(work).await;
        working.map_err(|cause| Failure::new("the work stopped").because(cause))
    })
}

/// Shows how far it is.
pub(super) fn tell(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Total(n_bytes) => bar.set_length(n_bytes),
        Progress::Done(n_bytes) => bar.inc(n_bytes),
    }
}

fn as_text(made: &Made, args: &BackupArgs) -> String {
    format!(
        "{} files with {} of blobs are in `{}`, of which {} with {} were copied now",
        made.n_files,
        BinaryBytes(made.n_bytes),
        args.to.display(),
        made.n_files_copied,
        BinaryBytes(made.n_bytes_copied),
    )
}

fn as_json(made: &Made) -> Result<String, Failure> {
    output::json(&json!({
        "files": made.n_files,
        "fileBytes": made.n_bytes,
        "filesCopied": made.n_files_copied,
        "fileBytesCopied": made.n_bytes_copied,
        "filesMissing": made.missing,
    }))
}
