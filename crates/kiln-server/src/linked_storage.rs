//! The storage account behind a Batch account: packages lie there, and containers that clients
//! name without an account.

use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_store::{Account, AccountKind, StoreError, View};
use kiln_wire::auth::SignError;
use kiln_wire::auth::sas::{Terms, blob_sas, container_sas};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::accounts::DEV_STORAGE_ACCOUNT;

/// What needs no escape in a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The storage account behind a Batch account: the one that was chosen for it, else the usual one.
pub(crate) fn of(view: &View<'_>, batch: &str) -> Result<Option<Account>, StoreError> {
    let account = view.account(AccountKind::Batch, batch)?;
    match account.and_then(|account| account.linked_storage) {
        Some(storage) => view.account(AccountKind::Storage, &storage),
        None => usual(view),
    }
}

/// The storage account to take where none is named, if there is exactly one to choose: the
/// development account, else the only one.
pub(crate) fn usual(view: &View<'_>) -> Result<Option<Account>, StoreError> {
    if let Some(dev) = view.account(AccountKind::Storage, DEV_STORAGE_ACCOUNT)? {
        return Ok(Some(dev));
    }
    let mut all = view.accounts()?.into_iter().filter(|it| it.kind == AccountKind::Storage);
    let first = all.next();
    Ok(if all.next().is_none() { first } else { None })
}

/// Makes URLs that open a blob without a key.
#[derive(Clone, Debug)]
pub struct BlobLinks {
    /// Where the Blob endpoint is, without a slash at the end.
    endpoint: String,
}

/// A URL that opens a blob without a key; it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BlobLink {
    /// The URL.
    pub(crate) url: String,
    /// Until when it does.
    pub(crate) expires_at: Timestamp,
}

impl BlobLinks {
    /// Links to blobs of the Blob endpoint at `endpoint`.
    pub fn new(endpoint: String) -> Self {
        Self { endpoint }
    }

    /// Whether the endpoint is at this host and port.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        self.endpoint.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host))
    }

    /// A link that permits what the letters say, `r` or `rw`, for a while.
    pub(crate) fn to_blob(
        &self,
        account: &Account,
        (container, blob): (&str, &str),
        permissions: &str,
        now: Timestamp,
        valid_for: Span,
    ) -> Result<BlobLink, SignError> {
        let expires_at = now.plus(valid_for).truncated_to_seconds();
        let expiry = expires_at.to_iso();
        let terms = Terms { permissions, expiry: &expiry, ..Terms::default() };
        let [key, _] = &account.keys;
        let token = blob_sas(&account.name, key, container, blob, terms)?;
        let path = format!("{}/{container}/{blob}", account.name);
        let path = utf8_percent_encode(&path, PATH);
        Ok(BlobLink { url: format!("{}/{path}?{token}", self.endpoint), expires_at })
    }

    /// Where a container is; nothing opens it.
    pub(crate) fn container(&self, account: &str, container: &str) -> String {
        let path = format!("{account}/{container}");
        format!("{}/{}", self.endpoint, utf8_percent_encode(&path, PATH))
    }

    /// A link to a container and the blobs in it, as [`BlobLinks::to_blob`].
    pub(crate) fn to_container(
        &self,
        account: &Account,
        container: &str,
        permissions: &str,
        now: Timestamp,
        valid_for: Span,
    ) -> Result<BlobLink, SignError> {
        let expires_at = now.plus(valid_for).truncated_to_seconds();
        let token = container_token(account, container, permissions, expires_at)?;
        let address = self.container(&account.name, container);
        Ok(BlobLink { url: format!("{address}?{token}"), expires_at })
    }
}

/// What opens a container and the blobs in it without a key: the query of a URL.
pub(crate) fn container_token(
    account: &Account,
    container: &str,
    permissions: &str,
    expires_at: Timestamp,
) -> Result<String, SignError> {
    let expiry = expires_at.to_iso();
    let terms = Terms { permissions, expiry: &expiry, ..Terms::default() };
    let [key, _] = &account.keys;
    container_sas(&account.name, key, container, terms)
}

impl std::fmt::Debug for BlobLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
