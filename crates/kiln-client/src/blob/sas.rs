//! Shared access signatures: URLs that open one blob or container for a while.

use std::time::Duration;

use kiln_domain::span::Span;
use kiln_wire::auth::SignError;
use kiln_wire::auth::sas::{Terms, blob_sas, container_sas};

use super::BlobClient;
use crate::transport::{now, path};
use crate::{ClientError, Credentials};

/// A signature is valid for a century at the most.
const VALID_FOR_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a shared access signature allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// Read blobs.
    Read,
    /// Make and replace blobs.
    Write,
    /// Read and list blobs.
    ReadList,
}

impl Permissions {
    const fn letters(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
            Self::ReadList => "rl",
        }
    }
}

impl BlobClient {
    /// A URL that opens one blob, without a key, for the time `valid_for`.
    ///
    /// # Errors
    /// When the key of the account is not base64.
    pub fn blob_sas_url(
        &self,
        container: &str,
        blob: &str,
        permissions: Permissions,
        valid_for: Duration,
    ) -> Result<String, ClientError> {
        let token = self.token(permissions, valid_for, |credentials, terms| {
            blob_sas(&credentials.account, &credentials.key, container, blob, terms)
        })?;
        Ok(format!("{}?{token}", self.blob_url(container, blob)))
    }

    /// A URL that opens a container and its blobs, without a key, for the time `valid_for`.
    ///
    /// # Errors
    /// When the key of the account is not base64.
    pub fn container_sas_url(
        &self,
        container: &str,
        permissions: Permissions,
        valid_for: Duration,
    ) -> Result<String, ClientError> {
        let token = self.token(permissions, valid_for, |credentials, terms| {
            container_sas(&credentials.account, &credentials.key, container, terms)
        })?;
        Ok(format!("{}{}?{token}", self.transport.endpoint(), path(&[container])))
    }

    fn token(
        &self,
        permissions: Permissions,
        valid_for: Duration,
        make: impl FnOnce(&Credentials, Terms<'_>) -> Result<String, SignError>,
    ) -> Result<String, ClientError> {
        let seconds = i64::try_from(valid_for.min(VALID_FOR_MAX).as_secs()).unwrap_or_default();
        let expiry = now().truncated_to_seconds().plus(Span::seconds(seconds)).to_iso();
        let terms =
            Terms { permissions: permissions.letters(), expiry: &expiry, ..Terms::default() };
        let credentials = self.transport.credentials().expect("a client is made with a key");
        make(credentials, terms)
            .map_err(|source| ClientError::Sign { account: credentials.account.clone(), source })
    }
}
