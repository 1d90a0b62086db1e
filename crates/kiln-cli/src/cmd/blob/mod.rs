//! `kiln blob`: containers and blobs of a Kiln, of Azure, or of whatever speaks its protocol.

mod copy;
pub(super) mod fsck;
mod list;
mod place;
mod plan;
mod remove;
mod sas;
mod single;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::place::Accounts;
use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::Failure;

const EXAMPLE: &str = "\
A place is `az://CONTAINER/NAME` or a whole URL, which may carry a shared access signature. The
account of `az://` is the one that AZURE_STORAGE_CONNECTION_STRING names, or AZURE_STORAGE_ACCOUNT
with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN (and AZURE_STORAGE_BLOB_ENDPOINT where it is not
in the cloud), or else the storage account of the running Kiln. Keys are never arguments.

Examples:
  kiln blob create az://films
  kiln blob copy --recursive scenes/ az://films/scenes/
  kiln blob list az://films/scenes/
  kiln blob copy az://films/scenes/one.mov .
  kiln blob copy https://theirs.blob.core.windows.net/c/one.mov?sv=... az://films/
  kiln blob sas az://films/scenes/one.mov --permissions r --valid-for 2h
  kiln blob remove --recursive az://films/scenes/
  kiln blob fsck

In a task's script:
  \"$KILN_PROGRAM\" blob put result.txt \"$RESULT_URL\"";

/// List, copy, remove and check blobs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct BlobArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Which account of the running Kiln, where there are several
    #[command(flatten)]
    accounts: AccountChoice,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a container
    Create {
        /// `az://CONTAINER` or its URL
        place: String,
    },
    /// Show containers, or blobs and folders of a container
    List(list::ListArgs),
    /// Copy files and folders up, down, or between places
    Copy(copy::CopyArgs),
    /// Remove a blob, the blobs of a folder, or a container
    Remove(remove::RemoveArgs),
    /// Print a URL that opens a blob or a container for a while, without a key
    Sas(sas::SasArgs),
    /// Check all names against all bytes, of a data directory that no Kiln serves
    Fsck(fsck::FsckArgs),
    /// Make or replace the blob at a URL
    Put(single::PutArgs),
    /// Write the blob at a URL to a file or standard output
    Get(single::GetArgs),
}

pub(crate) fn run(
    args: &BlobArgs,
    data: &DataDirectory,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    if let Verb::Fsck(args) = &args.verb {
        return fsck::run(args, data, environment);
    }
    let accounts = Accounts { data, environment, choice: &args.accounts };
    let done = crate::runtime()?.block_on(async {
        match &args.verb {
            Verb::Create { place } => create(&accounts, place).await,
            Verb::List(args) => list::run(args, &accounts).await,
            Verb::Copy(args) => copy::run(args, &accounts).await,
            Verb::Remove(args) => remove::run(args, &accounts).await,
            Verb::Sas(args) => sas::run(args, &accounts),
            Verb::Put(args) => single::put(args).await,
            Verb::Get(args) => single::get(args).await,
            Verb::Fsck(_) => Ok(()),
        }
    });
    done.map(|()| ExitCode::SUCCESS)
}

async fn create(accounts: &Accounts<'_>, place: &str) -> Result<(), Failure> {
    let place = accounts.remote(place)?.container_only()?;
    let made = place.client.create_container(&place.container).await?;
    let what = match made {
        kiln_client::blob::Created::Anew => "made",
        kiln_client::blob::Created::Before => "there was already",
    };
    crate::output::line(&format!("{what} the container `{}`", place.container));
    Ok(())
}
