//! Runs the tutorial against any Batch and storage account named by the variables of
//! `kiln env`:
//!
//! ```text
//! kiln up &
//! eval "$(kiln env)"
//! cargo run --example tutorial
//! ```

mod tutorial;

use std::error::Error;

use kiln_client::{BatchClient, BlobClient, Credentials};
use tutorial::{Clean, Tutorial};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let batch = Credentials::new(var("AZURE_BATCH_ACCOUNT")?, var("AZURE_BATCH_ACCESS_KEY")?);
    let storage = Credentials::new(var("AZURE_STORAGE_ACCOUNT")?, var("AZURE_STORAGE_KEY")?);
    let tutorial = Tutorial {
        batch: BatchClient::new(&var("AZURE_BATCH_ENDPOINT")?, batch)?,
        blobs: BlobClient::new(&var("AZURE_STORAGE_BLOB_ENDPOINT")?, storage)?,
        results: std::env::current_dir()?,
        clean: if std::env::args().any(|it| it == "--keep") {
            Clean::Containers
        } else {
            Clean::Everything
        },
    };
    tutorial.run(&mut std::io::stdout()).await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
fn var(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}; run eval \"$(kiln env)\" first"))
}
