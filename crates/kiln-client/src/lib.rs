//! A small client for the Azure Batch and Blob APIs, in their newest versions.
//!
//! It speaks to a Kiln and to the cloud alike; both are asked with an account's Shared Key.
//!
//! ```no_run
//! use kiln_client::{BatchClient, Credentials, batch::NewJob};
//!
//! # async fn example() -> Result<(), kiln_client::ClientError> {
//! let credentials = Credentials::new("kilndev", "bm90IGEga2V5");
//! let batch = BatchClient::new("http://127.0.0.1:8700", credentials)?;
//! batch.add_job(&NewJob::on_pool("nightly", "builders")).await?;
//! for task in batch.tasks("nightly").all().await? {
//!     println!("{} {}", task.id, task.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is retried, because a caller knows best what may be repeated; but for transfers of
//! blobs, whose parts may.

pub mod batch;
pub mod blob;
mod clock;
mod credentials;
mod error;
pub mod monitor;
mod transport;

pub use batch::BatchClient;
pub use blob::BlobClient;
pub use credentials::Credentials;
pub use error::{ClientError, ServiceError};
pub use transport::Access;
