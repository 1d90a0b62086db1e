//! The Blob API: containers, blobs and shared access signatures.

mod container;
mod sas;
mod upload;

use bytes::Bytes;
use reqwest::Method;

use crate::transport::{Call, Service, Transport, blob_path};
use crate::{ClientError, Credentials};

pub use container::Created;
pub use kiln_wire::blob::xml::BlobItem;
pub use sas::Permissions;
pub use upload::{UploadError, upload_to_url};

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
        Ok(Self { transport: Transport::new(Service::Blob, endpoint, Some(credentials))? })
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
