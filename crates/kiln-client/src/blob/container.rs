//! Containers.

use bytes::Bytes;
use reqwest::Method;

use super::BlobClient;
use crate::ClientError;
use crate::transport::path;
use kiln_wire::blob::listed::{BlobItem, BlobPage, ContainerItem, blob_page, container_page};

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
            let page = self.blob_page(container, prefix, "", marker.as_deref()).await?;
            blobs.extend(page.blobs);
            match page.next_marker {
                Some(next) => marker = Some(next),
                None => return Ok(blobs),
            }
        }
    }

    /// One page of the blobs whose names begin with `prefix`; with a delimiter, names that have
    /// it behind the prefix are answered as what they have in common.
    ///
    /// # Errors
    /// When the service refuses (`ContainerNotFound`) or can not be reached.
    pub async fn blob_page(
        &self,
        container: &str,
        prefix: &str,
        delimiter: &str,
        marker: Option<&str>,
    ) -> Result<BlobPage, ClientError> {
        let mut call = Self::call(Method::GET, path(&[container]))
            .query("restype", "container")
            .query("comp", "list");
        let parameters = [("prefix", prefix), ("delimiter", delimiter)];
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            call = call.query(name, value);
        }
        if let Some(marker) = marker {
            call = call.query("marker", marker);
        }
        let response = self.transport.send(call).await?;
        let body = self.transport.read(response).await?;
        blob_page(&body).map_err(|source| ClientError::Decode {
            asked: format!("GET {}?comp=list", path(&[container])),
            source: source.into(),
        })
    }

    /// All containers of the account whose names begin with `prefix`, in name order.
    ///
    /// # Errors
    /// When the service refuses or can not be reached.
    pub async fn containers(&self, prefix: &str) -> Result<Vec<ContainerItem>, ClientError> {
        let mut containers = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut call = Self::call(Method::GET, "/".to_owned()).query("comp", "list");
            if !prefix.is_empty() {
                call = call.query("prefix", prefix);
            }
            if let Some(marker) = marker.take() {
                call = call.query("marker", marker);
            }
            let response = self.transport.send(call).await?;
            let body = self.transport.read(response).await?;
            let page = container_page(&body).map_err(|source| ClientError::Decode {
                asked: "GET /?comp=list".to_owned(),
                source: source.into(),
            })?;
            containers.extend(page.containers);
            match page.next_marker {
                Some(next) => marker = Some(next),
                None => return Ok(containers),
            }
        }
    }
}
