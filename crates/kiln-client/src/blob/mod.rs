//! The Blob API: containers, blobs and shared access signatures.

mod container;
mod copy;
mod download;
mod retry;
mod sas;
mod send;
mod upload;
mod url;

use bytes::Bytes;
use reqwest::Method;

use crate::transport::{Call, Service, Transport, blob_path};
use crate::{Access, ClientError, Credentials};

pub use container::Created;
pub use copy::CopyState;
pub use download::BlobFacts;
pub use kiln_wire::blob::listed::{BlobItem, BlobPage, ContainerItem};
pub use retry::TransferError;
pub use sas::{NoPermissions, Permissions};
pub use send::{Sent, Transfer};
pub use upload::{UploadError, upload_to_url};
pub use url::BlobUrl;

/// The version of the API that is spoken.
const VERSION: &str = "2024-11-04";

/// A client of one storage account, or of whatever a shared access signature opens.
#[derive(Clone, Debug)]
pub struct BlobClient {
    transport: Transport,
}

impl BlobClient {
    /// A client of the account at `endpoint`, `https://ACCOUNT.blob.core.windows.net` or a
    /// Kiln's `http://127.0.0.1:10000/ACCOUNT`.
    ///
    /// # Errors
    /// When `endpoint` is not a URL.
    pub fn new(endpoint: &str, credentials: Credentials) -> Result<Self, ClientError> {
        Self::open(endpoint, Access::Key(credentials))
    }

    /// The same with a signature in place of a key, or with nothing.
    ///
    /// # Errors
    /// When `endpoint` is not a URL.
    pub fn open(endpoint: &str, access: Access) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(Service::Blob, endpoint, access)? })
    }

    /// Where the account is.
    pub fn endpoint(&self) -> &str {
        self.transport.endpoint()
    }

    /// What opens the account to this client.
    pub fn access(&self) -> &Access {
        self.transport.access()
    }

    fn call(method: Method, path: String) -> Call {
        Call::new(method, path).header("x-ms-version", VERSION)
    }

    /// The URL of a blob, without authorization.
    pub fn blob_url(&self, container: &str, blob: &str) -> String {
        format!("{}{}", self.transport.endpoint(), blob_path(container, blob))
    }

    /// Makes or replaces a blob in one request.
    ///
    /// # Errors
    /// When the service refuses (`ContainerNotFound`) or can not be reached.
    pub async fn put_blob(
        &self,
        container: &str,
        blob: &str,
        content: impl Into<Bytes>,
    ) -> Result<(), ClientError> {
        let call = Self::call(Method::PUT, blob_path(container, blob))
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-type", "application/octet-stream")
            .body(content);
        self.transport.send(call).await.map(drop)
    }

    /// The content of a blob.
    ///
    /// # Errors
    /// When the service refuses (`BlobNotFound`) or can not be reached.
    pub async fn get_blob(&self, container: &str, blob: &str) -> Result<Bytes, ClientError> {
        let call = Self::call(Method::GET, blob_path(container, blob));
        let response = self.transport.send(call).await?;
        self.transport.read(response).await
    }

    /// Removes a blob.
    ///
    /// # Errors
    /// When the service refuses (`BlobNotFound`) or can not be reached.
    pub async fn delete_blob(&self, container: &str, blob: &str) -> Result<(), ClientError> {
        let call = Self::call(Method::DELETE, blob_path(container, blob));
        self.transport.send(call).await.map(drop)
    }
}

/// Makes or replaces the blob at `url`, which carries a shared access signature.
///
/// # Errors
/// When the service refuses or can not be reached.
pub async fn put_to_url(url: &str, content: impl Into<Bytes>) -> Result<(), ClientError> {
    let call = BlobClient::call(Method::PUT, String::new())
        .header("x-ms-blob-type", "BlockBlob")
        .header("content-type", "application/octet-stream")
        .body(content);
    let transport = Transport::new(Service::Blob, url, None)?;
    transport.follow(url, call).await.map(drop)
}

/// The content of the blob at `url`, which carries a shared access signature or is public.
///
/// # Errors
/// When the service refuses or can not be reached.
pub async fn get_from_url(url: &str) -> Result<Bytes, ClientError> {
    let transport = Transport::new(Service::Blob, url, None)?;
    let response = transport.follow(url, BlobClient::call(Method::GET, String::new())).await?;
    transport.read(response).await
}
