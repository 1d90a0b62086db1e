//! Keys that clients bring for single blobs: who reads one must bring its key again.

use serde::{Deserialize, Serialize};

use super::rejection::BlobRejection;

/// What a client said about how a blob is to be encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// With a key of its own, of which only this hash is kept: base64 of SHA-256.
    Key(String),
    /// With the key of a scope, of which only the name is kept.
    Scope(String),
}

/// Decides whether a request that brings `given` may have the content that was written with
/// `kept`.
pub fn expect_same(
    kept: Option<&Encryption>,
    given: Option<&Encryption>,
) -> Result<(), BlobRejection> {
    use Encryption::{Key, Scope};
    match (kept, given) {
        (Some(Key(kept)), Some(Key(given))) if kept == given => Ok(()),
        (Some(Key(_)), Some(Key(_))) => Err(BlobRejection::EncryptionKeyDiffers),
        (Some(Key(_)), Some(Scope(_)) | None) => Err(BlobRejection::EncryptionKeyNeeded),
        (Some(Scope(_)) | None, Some(Key(_))) => Err(BlobRejection::EncryptionKeyNotUsed),
        (Some(Scope(_)) | None, Some(Scope(_)) | None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{BlobRejection, Encryption, expect_same};

    #[test]
    fn a_blob_wants_the_key_it_was_written_with() {
        let of = |text: &str| match text.split_at(1) {
            ("k", name) => Some(Encryption::Key(name.to_owned())),
            ("s", name) => Some(Encryption::Scope(name.to_owned())),
            _ => None,
        };
        for (kept, given, expected) in [
            ("k1", "k1", Ok(())),
            ("k1", "k2", Err(BlobRejection::EncryptionKeyDiffers)),
            ("k1", "-", Err(BlobRejection::EncryptionKeyNeeded)),
            ("k1", "s1", Err(BlobRejection::EncryptionKeyNeeded)),
            ("-", "k1", Err(BlobRejection::EncryptionKeyNotUsed)),
            ("s1", "k1", Err(BlobRejection::EncryptionKeyNotUsed)),
            ("s1", "-", Ok(())),
            ("-", "-", Ok(())),
        ] {
            let (kept, given) = (of(kept), of(given));
            assert_eq!(expect_same(kept.as_ref(), given.as_ref()), expected, "{kept:?} {given:?}");
        }
    }
}
