//! Shared access signatures: URLs that open one blob or container for a while.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use kiln_domain::span::Span;
use kiln_wire::auth::SignError;
use kiln_wire::auth::sas::{Terms, blob_sas, container_sas};

use super::BlobClient;
use crate::transport::{now, path};
use crate::{ClientError, Credentials};

/// A signature is valid for a century at the most.
const VALID_FOR_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The letters that Azure gives to what is allowed, in the order in which it wants them.
const LETTERS: &str = "racwdxyltmeopfi";

/// What a shared access signature allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(Cow<'static, str>);

/// These are no letters of what can be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` are no letters of `{LETTERS}`, such as `r` to read, `w` to write, `l` to list")]
pub struct NoPermissions(String);

impl Permissions {
    /// Read blobs.
    pub const READ: Self = Self(Cow::Borrowed("r"));
    /// Make and replace blobs.
    pub const WRITE: Self = Self(Cow::Borrowed("w"));
    /// Read and list blobs.
    pub const READ_LIST: Self = Self(Cow::Borrowed("rl"));
}

impl FromStr for Permissions {
    type Err = NoPermissions;

    fn from_str(text: &str) -> Result<Self, NoPermissions> {
        let is_good = !text.is_empty() && text.chars().all(|letter| LETTERS.contains(letter));
        let ordered: String = LETTERS.chars().filter(|letter| text.contains(*letter)).collect();
        if is_good { Ok(Self(ordered.into())) } else { Err(NoPermissions(text.to_owned())) }
    }
}

impl BlobClient {
    /// A URL that opens one blob, without a key, for the time `valid_for`.
    ///
    /// # Errors
    /// When the client has no key, or the key is not base64.
    pub fn blob_sas_url(
        &self,
        container: &str,
        blob: &str,
        permissions: &Permissions,
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
    /// When the client has no key, or the key is not base64.
    pub fn container_sas_url(
        &self,
        container: &str,
        permissions: &Permissions,
        valid_for: Duration,
    ) -> Result<String, ClientError> {
        let token = self.token(permissions, valid_for, |credentials, terms| {
            container_sas(&credentials.account, &credentials.key, container, terms)
        })?;
        Ok(format!("{}{}?{token}", self.transport.endpoint(), path(&[container])))
    }

    fn token(
        &self,
        permissions: &Permissions,
        valid_for: Duration,
        make: impl FnOnce(&Credentials, Terms<'_>) -> Result<String, SignError>,
    ) -> Result<String, ClientError> {
        let seconds = i64::try_from(valid_for.min(VALID_FOR_MAX).as_secs()).unwrap_or_default();
        let expiry = now().truncated_to_seconds().plus(Span::seconds(seconds)).to_iso();
        let terms = Terms { permissions: &permissions.0, expiry: &expiry, ..Terms::default() };
        let Some(credentials) = self.transport.credentials() else {
            return Err(ClientError::NoKey);
        };
        make(credentials, terms)
            .map_err(|source| ClientError::Sign { account: credentials.account.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::Permissions;

    #[test]
    fn permissions_are_put_in_order() {
        for (text, expected) in
            [("r", Some("r")), ("lwr", Some("rwl")), ("", None), ("rz", None), ("rr", Some("r"))]
        {
            let parsed = text.parse::<Permissions>().ok();
            assert_eq!(parsed.as_ref().map(|it| it.0.as_ref()), expected, "{text}");
        }
    }
}
