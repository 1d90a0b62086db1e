//! `kiln blob remove`: blobs, folders, containers.

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use super::place::{Accounts, Remote};
use crate::failure::Failure;
use crate::output;

/// Blobs removed at the same time.
const PARALLEL: usize = 16;

/// What to remove.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// `az://CONTAINER/NAME`; with --recursive a beginning of names, or a container
    place: String,
    /// All blobs whose names begin so; of a container alone, the container too
    #[arg(long, short)]
    recursive: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &RemoveArgs, accounts: &Accounts<'_>) -> Result<(), Failure> {
    let place = accounts.remote(&args.place)?;
    if place.container.is_empty() {
        return Err(Failure::usage("name a container, such as az://films"));
    }
    let n_blobs = match (args.recursive, place.blob.is_empty()) {
        (false, true) => {
            let shown = place.shown();
            return Err(Failure::usage(format!("`{shown}` is a container"))
                .hint("--recursive removes it and all that is in it"));
        }
        (false, false) => {
            place.client.delete_blob(&place.container, &place.blob).await?;
            1
        }
        (true, true) => {
            let found = place.client.list_blobs(&place.container, "").await?;
            place.client.delete_container(&place.container).await?;
            found.len()
        }
        (true, false) => remove_all(&place).await?,
    };
    if args.json {
        output::line(&output::json(&json!({ "blobs": n_blobs }))?);
    } else {
        output::line(&format!("removed {n_blobs} blobs"));
    }
    Ok(())
}

async fn remove_all(place: &Remote) -> Result<usize, Failure> {
    let found = place.client.list_blobs(&place.container, &place.blob).await?;
    let mut removing: JoinSet<Result<(), kiln_client::ClientError>> = JoinSet::new();
    let n_blobs = found.len();
    for blob in found {
        if removing.len() >= PARALLEL
            && let Some(done) = removing.join_next().await
        {
            finish(done)?;
        }
        let (client, container) = (place.client.clone(), place.container.clone());
        removing.spawn(async move {
            match client.delete_blob(&container, &blob.name).await {
                Err(error) if error.is_not_found() => Ok(()),
                result => result,
            }
        });
    }
    while let Some(done) = removing.join_next().await {
        finish(done)?;
    }
    Ok(n_blobs)
}

fn finish(
    done: Result<Result<(), kiln_client::ClientError>, tokio::task::JoinError>,
) -> Result<(), Failure> {
    let result = done.map_err(|cause| Failure::new("a removal stopped").because(cause))?;
    Ok(result?)
}
