//! What the storage SDK for Rust can do with blobs, each operation called through it.
//!
//! It knows no account keys: its one argument is the address of the service with a shared
//! access signature that allows everything. What fails is told on its standard error.

mod blobs;
mod containers;
mod kinds;

use std::error::Error;

use azure_core::Bytes;
use azure_core::http::{NoFormat, RequestContent, StatusCode, Url};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobServiceClient};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The service, and names that nobody has.
struct World {
    service: BlobServiceClient,
    suffix: String,
}

impl World {
    /// A container of this name that is there.
    async fn container(&self, name: &str) -> Result<BlobContainerClient> {
        let container = self.service.blob_container_client(&format!("{name}-{}", self.suffix));
        container.create(None).await?;
        Ok(container)
    }

    /// A blob with this content, in a container of its own.
    async fn blob(&self, name: &str, content: &[u8]) -> Result<BlobClient> {
        let blob = self.container(name).await?.blob_client("a blob");
        blob.upload(body(content), None).await?;
        Ok(blob)
    }
}

async fn content(blob: &BlobClient) -> Result<Vec<u8>> {
    Ok(blob.download(None).await?.body.collect().await?.to_vec())
}

/// Bytes to be sent.
fn body(bytes: &[u8]) -> RequestContent<Bytes, NoFormat> {
    Bytes::copy_from_slice(bytes).into()
}

/// Makes sure that the service says no, and why.
fn refused<T>(result: azure_core::Result<T>, status: StatusCode, code: &str) -> Result {
    let Err(error) = result else { return Err(format!("not refused with {code}").into()) };
    let said = format!("{error:?}");
    if error.http_status() == Some(status) && said.contains(code) {
        return Ok(());
    }
    Err(format!("refused in another way than {code}: {said}").into())
}

fn expect<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?} where {expected:?} is expected").into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(suffix)) = (arguments.next(), arguments.next()) else {
        return Err("needs an address and a suffix for names".into());
    };
    let service = BlobServiceClient::new(Url::parse(&address)?, None, None)?;
    let world = World { service, suffix };
    containers::service(&world).await?;
    containers::containers(&world).await?;
    containers::policies(&world).await?;
    containers::leases(&world).await?;
    containers::lists(&world).await?;
    blobs::content(&world).await?;
    blobs::properties(&world).await?;
    blobs::tags(&world).await?;
    blobs::snapshots(&world).await?;
    blobs::leases(&world).await?;
    blobs::copies(&world).await?;
    blobs::protection(&world).await?;
    blobs::undelete(&world).await?;
    kinds::blocks(&world).await?;
    kinds::appends(&world).await?;
    kinds::pages(&world).await?;
    println!("phase: done");
    Ok(())
}
