//! `kiln blob put` and `get`: one blob by its URL, for scripts that have no other HTTP client.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

/// What to put where.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// What to upload
    file: PathBuf,
    /// Where to, with a shared access signature
    url: String,
}

/// What to get.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Where from
    url: String,
    /// Where to; standard output when absent
    file: Option<PathBuf>,
}

pub(crate) async fn put(args: &PutArgs) -> Result<(), Failure> {
    let content = tokio::fs::read(&args.file).await.map_err(|cause| {
        Failure::new(format!("cannot read `{}`", args.file.display())).because(cause)
    })?;
    Ok(kiln_client::blob::put_to_url(&args.url, content).await?)
}

pub(crate) async fn get(args: &GetArgs) -> Result<(), Failure> {
    let content = kiln_client::blob::get_from_url(&args.url).await?;
    let (written, name) = match &args.file {
        Some(path) => (std::fs::write(path, &content), path.display().to_string()),
        None => (std::io::stdout().write_all(&content), "standard output".to_owned()),
    };
    written.map_err(|cause| Failure::new(format!("cannot write `{name}`")).because(cause))
}
