//! `kiln demo`: the tutorial, whose source is `examples/tutorial`.

use std::path::{Path, PathBuf};

use clap::Args;
use kiln_client::{BatchClient, BlobClient, Credentials};

use super::account::Chosen;
use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use crate::session::Session;
use crate::signals::{Signals, interrupted};

#[path = "../../../../examples/tutorial/tutorial.rs"]
mod tutorial;

use tutorial::{Clean, Tutorial, TutorialError};

const EXAMPLE: &str = "\
Uploads three texts, counts their words in three tasks on a node, downloads the results and
prints the most frequent words. Uses the running Kiln, or one that lives as long as the command.
Its source, examples/tutorial, is a Batch program to copy from.

Examples:
  kiln demo
  kiln demo --keep       # leaves pool, job and task files for a look";

/// Run the Batch tutorial from start to end.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct DemoArgs {
    /// Leave pool and job; a Kiln that was started for the demo goes on until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Directory for the results [default: a new one in the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Which accounts
    #[command(flatten)]
    accounts: AccountChoice,
}

pub(crate) fn run(
    args: &DemoArgs,
    data: &DataDirectory,
    environment: &Environment,
) -> Result<(), Failure> {
    let results = results_directory(args.output.as_deref())?;
    crate::runtime()?.block_on(async {
        // Before anything starts, so that no signal leaves something behind.
        let mut signals = Signals::listen()?;
        let session = Session::find_or_start(data, environment).await?;
        let ran = match session.chosen(&args.accounts) {
            Ok(chosen) => tokio::select! {
                ran = run_on(&session, &chosen, results, args.keep) => ran,
                signal = signals.next() => Err(interrupted(signal)),
            },
            Err(failure) => Err(failure),
        };
        if ran.is_ok() && args.keep {
            stay(&session, &mut signals).await;
        }
        session.end().await;
        ran
    })
}

/// The directory that the user named, or a new one that stays: a name that is always the same
/// could be another user's.
fn results_directory(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(path) = named else {
        return tempfile::Builder::new()
            .prefix("kiln-demo-")
            .tempdir()
            .map(tempfile::TempDir::keep)
            .map_err(|cause| Failure::new("cannot make a temporary directory").because(cause));
    };
    std::fs::create_dir_all(path).map_err(|cause| {
        Failure::new(format!("cannot make `{}`", path.display())).because(cause)
    })?;
    Ok(path.to_owned())
}

async fn run_on(
    session: &Session,
    chosen: &Chosen,
    results: PathBuf,
    is_kept: bool,
) -> Result<(), Failure> {
    let Chosen { batch: Some(batch), storage: Some(storage) } = chosen else {
        return Err(Failure::new("the demo needs a Batch and a storage account")
            .hint("make them with `kiln account create batch|storage NAME`"));
    };
    let endpoints = session.endpoints();
    let credentials = |(name, key): &(String, String)| Credentials::new(name, key);
    let tutorial = Tutorial {
        batch: BatchClient::new(&endpoints.batch_url, credentials(batch))?,
        blobs: BlobClient::new(&endpoints.blob_url_of(&storage.0), credentials(storage))?,
        results,
        clean: if is_kept { Clean::Containers } else { Clean::Everything },
    };
    tutorial.run(&mut std::io::stdout()).await.map_err(Failure::from)
}

/// Tells where the kept things are; a Kiln of this process waits for Ctrl-C.
async fn stay(session: &Session, signals: &mut Signals) {
    let option = session.data().option();
    output::line("\nKept pool [KilnTutorialPool] and job [KilnTutorialJob]. Have a look with:");
    output::line(&format!("  eval \"$(kiln env{option})\""));
    output::line("  az batch task list --job-id KilnTutorialJob");
    if session.is_temporary() {
        output::line("Kiln goes on until Ctrl-C; then all of it is removed.");
        signals.next().await;
    }
}

impl From<TutorialError> for Failure {
    fn from(error: TutorialError) -> Self {
        let failure = Self::new(error.to_string());
        match std::error::Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        }
        .hint("`kiln doctor` tells what this machine allows")
    }
}
