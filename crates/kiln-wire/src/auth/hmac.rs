//! HMAC-SHA256 with account keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::SignError;

/// An account key, ready to sign with: what it does to each text was done once.
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    pub(crate) fn from_base64(text: &str) -> Result<Self, SignError> {
        STANDARD.decode(text).map(|bytes| Self::new(&bytes)).map_err(SignError::KeyNotBase64)
    }

    /// A secret that is any text.
    pub(crate) fn from_text(text: &str) -> Self {
        Self::new(text.as_bytes())
    }

    fn new(bytes: &[u8]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("a key of any length is fine"))
    }

    /// The base64 signature of `text`.
    pub(crate) fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.mac(text).finalize().into_bytes())
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        mac
    }
}

/// Whether one of `keys` made the base64 `signature` of `text`; takes as long for a wrong
/// signature as for a right one.
pub(crate) fn is_signed_by_any(keys: &[Key], text: &str, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    keys.iter().any(|key| key.mac(text).verify_slice(&signature).is_ok())
}
