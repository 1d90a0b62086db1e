//! Who asks: an account and one of its keys.

use std::fmt;

/// An account and one of its keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) account: String,
    pub(crate) key: String,
}

impl Credentials {
    /// The account `account` with the base64 key `key`.
    pub fn new(account: impl Into<String>, key: impl Into<String>) -> Self {
        Self { account: account.into(), key: key.into() }
    }

    /// The account's name.
    pub fn account(&self) -> &str {
        &self.account
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("account", &self.account).finish_non_exhaustive()
    }
}
