//! Containers.

use bytes::Bytes;
use reqwest::Method;

use super::BlobClient;
use crate::ClientError;
use crate::transport::path;
use kiln_wire::blob::xml::{BlobItem, blob_page};

/// What became of a wish for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made.
    Anew,
    /// It was there before.
    Before,
}

impl BlobClient {
    /// Makes a container unless there is one of this name.
    ///
    /// # Errors
    /// When the service refuses (`InvalidResourceName`) or can not be reached.
    pub async fn create_container(&self, name: &str) -> Result<Created, ClientError> {
        let call =
            Self::call(Method::PUT, path(&[name])).query("restype", "container").body(Bytes::new());
        match self.transport.send(call).await {
            Ok(_) => Ok(Created::Anew),
            Err(error) if error.is_code("ContainerAlreadyExists") => Ok(Created::Before),
            Err(error) => Err(error),
        }
    }

    /// Removes a container and all blobs in it.
    ///
    /// # Errors
    /// When the service refuses (`ContainerNotFound`) or can not be reached.
    pub async fn delete_container(&self, name: &str) -> Result<(), ClientError> {
        let call = Self::call(Method::DELETE, path(&[name])).query("restype", "container");
        self.transport.send(call).await.map(drop)
    }

    /// All blobs of a container whose names begin with `prefix`, in name order.
    ///
    /// # Errors
    /// When the service refuses (`ContainerNotFound`) or can not be reached.
    pub async fn list_blobs(
        &self,
        container: &str,
        prefix: &str,
    ) -> Result<Vec<BlobItem>, ClientError> {
        let mut blobs = Vec::new();
        let mut marker = None;
        loop {
            let mut call = Self::call(Method::GET, path(&[container]))
                .query("restype", "container")
                .query("comp", "list");
            if !prefix.is_empty() {
                call = call.query("prefix", prefix);
            }
            if let Some(marker) = marker.take() {
                call = call.query("marker", marker);
            }
            let response = self.transport.send(call).await?;
            let body = self.transport.read(response).await?;
            let page = blob_page(&body).map_err(|source| ClientError::Decode {
                asked: format!("GET {}?comp=list", path(&[container])),
                source: source.into(),
            })?;
            blobs.extend(page.blobs);
            match page.next_marker {
                Some(next) => marker = Some(next),
                None => return Ok(blobs),
            }
        }
    }
}
