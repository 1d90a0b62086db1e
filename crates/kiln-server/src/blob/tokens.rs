//! Bearer tokens: the keys of their issuer, and what those who bring them may do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_domain::time::Timestamp;
use kiln_wire::auth::bearer::{self, Expected, IssuerKey, Principal, TokenRefusal};
use kiln_wire::auth::role::Role;
use kiln_wire::blob::error::BlobError;

use crate::config::{TOKEN_AUTHORITY, TokenConfig, TokenKeys};

/// Time after which keys are read again even if they still fit.
const KEYS_GOOD_FOR: Duration = Duration::from_secs(3600);
/// Time in which keys are read once at the most, whatever tokens come.
const KEYS_PAUSE: Duration = Duration::from_secs(60);
/// Time in which an issuer must tell its keys.
const KEYS_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a key set.
const KEYS_BYTES_MAX: u64 = 1024 * 1024;

/// Checks bearer tokens; clones share what they know.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    config: Arc<Option<TokenConfig>>,
    known: Arc<Mutex<Known>>,
    /// Whose turn it is to read keys.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The keys of the issuer, and when they were read, or tried to be.
#[derive(Debug, Default)]
struct Known {
    keys: Arc<[IssuerKey]>,
    tried_at: Option<Timestamp>,
}

/// Why keys cannot be read.
#[derive(Debug, thiserror::Error)]
enum NoKeys {
    #[error("a file of keys can not be read")]
    File(#[from] std::io::Error),
    #[error("the issuer did not tell its keys")]
    Url(#[from] reqwest::Error),
    #[error(transparent)]
    Set(#[from] bearer::NotKeys),
    #[error("the key set is longer than {KEYS_BYTES_MAX} bytes")]
    TooLong,
    #[error("a secret of no bytes is none")]
    EmptySecret,
}

impl Tokens {
    pub(super) fn new(config: Option<TokenConfig>) -> Self {
        Self { config: Arc::new(config), known: Arc::default(), turn: Arc::default() }
    }

    /// Where a client finds somebody who gives out tokens.
    pub(super) fn challenge(&self) -> String {
        let own = self.config.as_ref().as_ref().map(|config| config.authority.as_str());
        let authority = own.unwrap_or(TOKEN_AUTHORITY).trim_end_matches('/');
        format!(
            "Bearer authorization_uri={authority}/oauth2/authorize \
             resource_id=https://storage.azure.com"
        )
    }

    /// Who comes with `token` to `account`.
    pub(super) async fn principal(
        &self,
        token: &str,
        account: &str,
        is_tls: bool,
        now: Timestamp,
    ) -> Result<Principal, BlobError> {
        let Some(config) = self.config.as_ref() else {
            return Err(self.refused("this server trusts no issuer of bearer tokens"));
        };
        if !is_tls && !config.allows_http {
            let detail = "Bearer tokens are taken over https only.";
            return Err(BlobError::authentication_failed(detail));
        }
        let check = |keys: &[IssuerKey]| {
            let (issuers, audiences) = (&config.issuers, &config.audiences);
            bearer::verify(token, &Expected { issuers, audiences, keys, account, now })
        };
        let (keys, tried_at) = self.known();
        let age = tried_at.map(|at| now.since(at));
        let keys = match age {
            Some(age) if age < KEYS_GOOD_FOR => keys,
            Some(_) | None => self.read_keys(config, tried_at, now).await,
        };
        let checked = match check(&keys) {
            // The issuer may have a new key.
            Err(TokenRefusal::Signature) if age.is_some_and(|age| age >= KEYS_PAUSE) => {
                check(&self.read_keys(config, tried_at, now).await)
            }
            checked => checked,
        };
        checked.map_err(|refusal| {
            tracing::debug!(%refusal, "a bearer token was refused");
            self.refused(&refusal.to_string())
        })
    }

    /// The role of somebody, if they have any: the mightiest of those that fit.
    pub(super) fn role_of(&self, who: &Principal) -> Option<Role> {
        let config = self.config.as_ref().as_ref()?;
        let names = std::iter::once(&who.oid).chain(&who.roles);
        let own = names.filter_map(|name| config.roles.get(name)).min();
        own.copied().or(config.default_role)
    }

    fn refused(&self, detail: &str) -> BlobError {
        let message = "Server failed to authenticate the request. Please refer to the \
                       information in the www-authenticate header.";
        BlobError::new(401, "InvalidAuthenticationInfo", message)
            .with_detail("AuthenticationErrorDetail", detail)
            .with_header("WWW-Authenticate", self.challenge())
    }

    fn known(&self) -> (Arc<[IssuerKey]>, Option<Timestamp>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&known.keys), known.tried_at)
    }

    /// Reads the keys again, unless another did since `tried_at`; those that are known stay when
    /// that fails.
    async fn read_keys(
        &self,
        config: &TokenConfig,
        tried_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Arc<[IssuerKey]> {
        let _turn = self.turn.lock().await;
        let (keys, tried_last_at) = self.known();
        if tried_last_at != tried_at {
            return keys;
        }
        let read = read(&config.keys).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tried_at = Some(now);
        match read {
            Ok(keys) => known.keys = keys.into(),
            Err(cause) => tracing::error!(
                cause = &cause as &dyn std::error::Error,
                "the keys of the issuer of tokens can not be read"
            ),
        }
        Arc::clone(&known.keys)
    }
}

async fn read(keys: &TokenKeys) -> Result<Vec<IssuerKey>, NoKeys> {
    match keys {
        TokenKeys::File(path) => Ok(IssuerKey::of_set(&tokio::fs::read_to_string(path).await?)?),
        TokenKeys::SecretFile(path) => {
            let secret = tokio::fs::read(path).await?;
            let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
            if secret.is_empty() {
                return Err(NoKeys::EmptySecret);
            }
            Ok(vec![IssuerKey::of_secret(secret)])
        }
        TokenKeys::Url(url) => {
            let client = reqwest::Client::builder().timeout(KEYS_TIMEOUT).build()?;
            let mut response = client.get(url).send().await?.error_for_status()?;
            let mut set = Vec::new();
            while let Some(piece) = response.chunk().await? {
                set.extend_from_slice(&piece);
                if u64::try_from(set.len()).is_ok_and(|len| len > KEYS_BYTES_MAX) {
                    return Err(NoKeys::TooLong);
                }
            }
            Ok(IssuerKey::of_set(&String::from_utf8_lossy(&set))?)
        }
    }
}
