//! The headers with which clients bring keys, or name scopes of keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use kiln_domain::blob::encryption::Encryption;

use super::error::BlobError;
use super::headers::Headers;

const KEY: &str = "x-ms-encryption-key";
/// The header with the hash of a key.
pub const HASH: &str = "x-ms-encryption-key-sha256";
/// The header with the name of a scope.
pub const SCOPE: &str = "x-ms-encryption-scope";
const ALGORITHM: &str = "x-ms-encryption-algorithm";
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What a request brings. The key itself is forgotten at once.
pub fn read(headers: Headers<'_>) -> Result<Option<Encryption>, BlobError> {
    let scope = headers.get(SCOPE).map(|name| Encryption::Scope(name.to_owned()));
    let (key, hash) = match (headers.get(KEY), headers.get(HASH)) {
        (None, None) => return Ok(scope),
        (Some(key), Some(hash)) => (key, hash),
        (Some(_), None) => return Err(BlobError::missing_header(HASH)),
        (None, Some(_)) => return Err(BlobError::missing_header(KEY)),
    };
    match headers.get(ALGORITHM) {
        Some("AES256") => {}
        Some(other) => return Err(BlobError::invalid_header(ALGORITHM, other)),
        None => return Err(BlobError::missing_header(ALGORITHM)),
    }
    if let Some(Encryption::Scope(name)) = scope {
        return Err(BlobError::invalid_header(SCOPE, &name));
    }
    let bytes = STANDARD.decode(key).unwrap_or_default();
    if bytes.len() != KEY_BYTES {
        // What was sent as a key is not repeated.
        return Err(BlobError::invalid_header(KEY, ""));
    }
    if STANDARD.encode(Sha256::digest(&bytes)) != hash {
        return Err(BlobError::invalid_header(HASH, hash));
    }
    Ok(Some(Encryption::Key(hash.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::{Encryption, Headers, read};

    #[test]
    fn keys_come_with_their_hash() {
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let hash = "Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=";
        let check = |fields: [&str; 4], expected: Result<Option<Encryption>, &str>| {
            let names = ["key", "key-sha256", "algorithm", "scope"];
            let headers: Vec<(String, String)> = names
                .iter()
                .zip(fields)
                .map(|(name, value)| (format!("x-ms-encryption-{name}"), value.to_owned()))
                .collect();
            let found = read(Headers(&headers)).map_err(|error| error.code);
            assert_eq!(found, expected, "{fields:?}");
        };
        let (missing, invalid) = (Err("MissingRequiredHeader"), Err("InvalidHeaderValue"));
        check([key, hash, "AES256", ""], Ok(Some(Encryption::Key(hash.to_owned()))));
        check(["", "", "", "s"], Ok(Some(Encryption::Scope("s".to_owned()))));
        check(["", "", "AES256", ""], Ok(None));
        check([key, "", "AES256", ""], missing.clone());
        check(["", hash, "AES256", ""], missing.clone());
        check([key, hash, "", ""], missing);
        check([key, hash, "AES128", ""], invalid.clone());
        check([key, hash, "AES256", "s"], invalid.clone());
        check(["AAAA", hash, "AES256", ""], invalid.clone());
        check([key, "AAAA", "AES256", ""], invalid);
    }
}
