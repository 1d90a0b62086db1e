//! `kiln blob copy`: files and folders up, down, and between places.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{BinaryBytes, ProgressBar};
use kiln_client::ClientError;
use kiln_client::blob::{CopyState, Permissions, Sent, Transfer, TransferError};
use serde_json::json;
use tokio::task::{JoinError, JoinSet};

use super::place::{Accounts, Place, Remote};
use super::plan::{self, Pair, Reach};
use crate::failure::Failure;
use crate::output::{self, progress};

/// How long a service may read the source of a copy.
const SOURCE_OPEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Files that are looked at ahead of those whose parts are on their way.
const FILES_AHEAD: usize = 4;

/// What to copy where.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// A file or folder, `az://CONTAINER/NAME`, or a URL
    from: String,
    /// The same; a `/` at its end keeps the name
    to: String,
    /// Folders with all that is in them
    #[arg(long, short)]
    recursive: bool,
    /// Requests at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256), value_name = "N")]
    parallel: u16,
    /// Content-Type of the blobs that files become
    #[arg(long, default_value = "application/octet-stream", value_name = "TYPE")]
    content_type: String,
    /// One JSON document in place of words and a bar
    #[arg(long)]
    json: bool,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default)]
struct Copied {
    n_files: usize,
    sent: Sent,
}

pub(super) async fn run(args: &CopyArgs, accounts: &Accounts<'_>) -> Result<(), Failure> {
    let (from, to) = (accounts.place(&args.from)?, accounts.place(&args.to)?);
    let copied = match (from, to) {
        (Place::Local(from), Place::Remote(to)) => upload(args, &from, to).await?,
        (Place::Remote(from), Place::Local(to)) => download(args, from, &to).await?,
        (Place::Remote(from), Place::Remote(to)) => between(args, from, to).await?,
        (Place::Local(_), Place::Local(_)) => {
            return Err(Failure::usage("neither place is in an account")
                .hint("write az://CONTAINER/NAME or a whole URL for one of them"));
        }
    };
    let Copied { n_files, sent } = copied;
    output::line(&if args.json {
        output::json(&json!({
            "files": n_files,
            "bytes": sent.size_bytes,
            "resumedBytes": sent.resumed_bytes,
        }))?
    } else {
        let resumed = match sent.resumed_bytes {
            0 => String::new(),
            bytes => format!("; {} of it were there from an earlier try", BinaryBytes(bytes)),
        };
        format!("copied {n_files} files, {}{resumed}", BinaryBytes(sent.size_bytes))
    });
    Ok(())
}

impl CopyArgs {
    fn reach(&self) -> Reach {
        if self.recursive { Reach::Folders } else { Reach::One }
    }

    /// The way for the transfers, and the bar that shows them.
    fn transfer(&self, pairs: &[Pair]) -> (Transfer, ProgressBar) {
        let bar = progress::of_bytes(pairs.iter().map(|pair| pair.size_bytes).sum(), self.json);
        let told = bar.clone();
        (Transfer::new(usize::from(self.parallel), move |n_bytes| told.inc(n_bytes)), bar)
    }
}

async fn upload(args: &CopyArgs, from: &Path, to: Remote) -> Result<Copied, Failure> {
    if to.container.is_empty() {
        return Err(Failure::usage("name a container, such as az://films"));
    }
    let pairs = plan::of_upload(from, &to.blob, args.reach())?;
    let (transfer, bar) = args.transfer(&pairs);
    let (to, content_type) = (Arc::new(to), Arc::new(args.content_type.clone()));
    let copied = each(pairs, usize::from(args.parallel), |pair| {
        let (to, content_type, transfer) =
            (Arc::clone(&to), Arc::clone(&content_type), transfer.clone());
        async move {
            let Remote { client, container, .. } = to.as_ref();
            client.send_file(&pair.file, container, &pair.blob, &content_type, &transfer).await
        }
    })
    .await;
    bar.finish_and_clear();
    copied
}

async fn download(args: &CopyArgs, from: Remote, to: &Path) -> Result<Copied, Failure> {
    let pairs = if args.recursive {
        let found = from.client.list_blobs(&from.container, &from.blob).await?;
        let blobs = found.into_iter().map(|blob| (blob.name, blob.length_bytes));
        plan::of_folder(&from.blob, blobs, to)?
    } else if from.is_folder() {
        return Err(is_many(&from));
    } else {
        let facts = from.client.blob_facts(&from.container, &from.blob).await?;
        vec![plan::of_blob(&from, facts.size_bytes, to)?]
    };
    let (transfer, bar) = args.transfer(&pairs);
    let from = Arc::new(from);
    let copied = each(pairs, usize::from(args.parallel), |pair| {
        let (from, transfer) = (Arc::clone(&from), transfer.clone());
        async move {
            let Remote { client, container, .. } = from.as_ref();
            let fetched = client.fetch_file(container, &pair.blob, &pair.file, &transfer);
            Ok(Sent { size_bytes: fetched.await?, resumed_bytes: 0 })
        }
    })
    .await;
    bar.finish_and_clear();
    copied
}

/// Lets the service of `to` copy by itself.
async fn between(args: &CopyArgs, from: Remote, to: Remote) -> Result<Copied, Failure> {
    let pairs: Vec<Pair> = if args.recursive {
        let found = from.client.list_blobs(&from.container, &from.blob).await?;
        let pair =
            |name: String, size_bytes| Pair { file: name.clone().into(), blob: name, size_bytes };
        found.into_iter().map(|blob| pair(blob.name, blob.length_bytes)).collect()
    } else if from.is_folder() {
        return Err(is_many(&from));
    } else {
        let facts = from.client.blob_facts(&from.container, &from.blob).await?;
        vec![Pair {
            file: from.blob.clone().into(),
            blob: from.blob.clone(),
            size_bytes: facts.size_bytes,
        }]
    };
    let (transfer, bar) = args.transfer(&pairs);
    let (from, to) = (Arc::new(from), Arc::new(to));
    let is_one = !args.recursive;
    let copied = each(pairs, usize::from(args.parallel), |pair| {
        let (from, to, transfer) = (Arc::clone(&from), Arc::clone(&to), transfer.clone());
        async move {
            let name = target_name(&from.blob, &pair.blob, &to.blob, is_one);
            let source = source_url(&from, &pair.blob)?;
            match to.client.copy_blob(&source, &to.container, &name).await? {
                CopyState::Done => {
                    transfer.told(pair.size_bytes);
                    Ok(Sent { size_bytes: pair.size_bytes, resumed_bytes: 0 })
                }
                CopyState::Failed(why) => Err(TransferError::Copy { blob: pair.blob, why }),
            }
        }
    })
    .await;
    bar.finish_and_clear();
    copied
}

/// The name that a blob gets at its target.
fn target_name(from: &str, blob: &str, to: &str, is_one: bool) -> String {
    let is_folder = to.is_empty() || to.ends_with('/');
    if is_one {
        let last = blob.rsplit('/').next().unwrap_or_default();
        return if is_folder { format!("{to}{last}") } else { to.to_owned() };
    }
    let below = blob.strip_prefix(from).unwrap_or(blob).trim_start_matches('/');
    if is_folder { format!("{to}{below}") } else { format!("{to}/{below}") }
}

/// A URL that lets a service read the source for a while.
fn source_url(from: &Remote, blob: &str) -> Result<String, ClientError> {
    let plain = from.client.blob_url(&from.container, blob);
    if let Some(signature) = &from.signature {
        return Ok(format!("{plain}?{signature}"));
    }
    match from.client.blob_sas_url(&from.container, blob, &Permissions::READ, SOURCE_OPEN_FOR) {
        Err(ClientError::NoKey) => Ok(plain),
        result => result,
    }
}

fn is_many(from: &Remote) -> Failure {
    Failure::usage(format!("`{}` is not one blob", from.shown()))
        .hint("--recursive copies all blobs whose names begin so")
}

/// Runs `work` for each pair, several at a time; the first failure ends it.
async fn each<F>(
    pairs: Vec<Pair>,
    parallel: usize,
    work: impl Fn(Pair) -> F,
) -> Result<Copied, Failure>
where
    F: Future<Output = Result<Sent, TransferError>> + Send + 'static,
{
    let mut copied = Copied::default();
    let mut running: JoinSet<Result<Sent, TransferError>> = JoinSet::new();
    for pair in pairs {
        if running.len() >= parallel.saturating_add(FILES_AHEAD)
            && let Some(done) = running.join_next().await
        {
            copied.add(done)?;
        }
        running.spawn(work(pair));
    }
    while let Some(done) = running.join_next().await {
        copied.add(done)?;
    }
    Ok(copied)
}

impl Copied {
    fn add(&mut self, done: Result<Result<Sent, TransferError>, JoinError>) -> Result<(), Failure> {
        let sent = done.map_err(TransferError::from)??;
        self.n_files += 1;
        self.sent.size_bytes += sent.size_bytes;
        self.sent.resumed_bytes += sent.resumed_bytes;
        Ok(())
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        if let TransferError::Client(error) = error {
            let is_without = error.is_code("ContainerNotFound");
            let failure = Self::from(error);
            return if is_without {
                failure.hint("`kiln blob create az://CONTAINER` makes it")
            } else {
                failure
            };
        }
        let failure = Self::new(error.to_string());
        match std::error::Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::target_name;

    #[test]
    fn blobs_find_their_names() {
        for (from, blob, to, is_one, expected) in [
            ("a/b", "a/b", "", true, "b"),
            ("a/b", "a/b", "x/", true, "x/b"),
            ("a/b", "a/b", "x", true, "x"),
            ("a/", "a/b/c", "x", false, "x/b/c"),
            ("a", "a/b/c", "x/", false, "x/b/c"),
            ("", "a/b", "", false, "a/b"),
        ] {
            assert_eq!(target_name(from, blob, to, is_one), expected, "{from} {blob} {to}");
        }
    }
}
