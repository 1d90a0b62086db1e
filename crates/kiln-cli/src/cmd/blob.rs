//! `kiln blob`: single blobs by URL, for scripts that have no other HTTP client.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Failure;

const EXAMPLE: &str = "\
The URL carries its authorization, a shared access signature.

Example, in a task's script:
  \"$KILN_PROGRAM\" blob put result.txt \"$RESULT_URL\"";

/// Put and get single blobs by URL.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct BlobArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make or replace the blob at a URL
    Put {
        /// What to upload
        file: PathBuf,
        /// Where to, with a shared access signature
        url: String,
    },
    /// Write the blob at a URL to a file or standard output
    Get {
        /// Where from
        url: String,
        /// Where to; standard output when absent
        file: Option<PathBuf>,
    },
}

pub(crate) fn run(args: &BlobArgs) -> Result<(), Failure> {
    let runtime = crate::runtime()?;
    match &args.verb {
        Verb::Put { file, url } => {
            let content = std::fs::read(file).map_err(|cause| {
                Failure::new(format!("cannot read `{}`", file.display())).because(cause)
            })?;
            runtime.block_on(kiln_client::blob::put_to_url(url, content))?;
        }
        Verb::Get { url, file } => {
            let content = runtime.block_on(kiln_client::blob::get_from_url(url))?;
            let (written, name) = match file {
                Some(path) => (std::fs::write(path, &content), path.display().to_string()),
                None => (std::io::stdout().write_all(&content), "standard output".to_owned()),
            };
            written
                .map_err(|cause| Failure::new(format!("cannot write `{name}`")).because(cause))?;
        }
    }
    Ok(())
}
