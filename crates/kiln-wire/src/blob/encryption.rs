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
/// The headers with the key, its hash and its algorithm.
const OWN: [&str; 3] = [KEY, HASH, ALGORITHM];
/// The same of the source of a copy.
const OF_SOURCE: [&str; 3] = [
    "x-ms-source-encryption-key",
    "x-ms-source-encryption-key-sha256",
    "x-ms-source-encryption-algorithm",
];
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What a request brings. The key itself is forgotten at once.
pub fn read(headers: Headers<'_>) -> Result<Option<Encryption>, BlobError> {
    let scope = headers.get(SCOPE).map(|name| Encryption::Scope(name.to_owned()));
    match (key(headers, OWN)?, scope) {
        (Some(_), Some(Encryption::Scope(name))) => Err(BlobError::invalid_header(SCOPE, &name)),
        (None, scope) => Ok(scope),
        (key, _) => Ok(key),
    }
}

/// The key of the source of a copy.
pub fn read_source(headers: Headers<'_>) -> Result<Option<Encryption>, BlobError> {
    key(headers, OF_SOURCE)
}

fn key(
    headers: Headers<'_>,
    [key_name, hash_name, algorithm]: [&'static str; 3],
) -> Result<Option<Encryption>, BlobError> {
    let (key, hash) = match (headers.get(key_name), headers.get(hash_name)) {
        (None, None) => return Ok(None),
        (Some(key), Some(hash)) => (key, hash),
        (Some(_), None) => return Err(BlobError::missing_header(hash_name)),
        (None, Some(_)) => return Err(BlobError::missing_header(key_name)),
    };
    match headers.get(algorithm) {
        Some("AES256") => {}
        Some(other) => return Err(BlobError::invalid_header(algorithm, other)),
        None => return Err(BlobError::missing_header(algorithm)),
    }
    let bytes = STANDARD.decode(key).unwrap_or_default();
    if bytes.len() != KEY_BYTES {
        // What was sent as a key is not repeated.
        return Err(BlobError::invalid_header(key_name, ""));
    }
    if STANDARD.encode(Sha256::digest(&bytes)) != hash {
        return Err(BlobError::invalid_header(hash_name, hash));
    }
    Ok(Some(Encryption::Key(hash.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::{Encryption, Headers, read, read_source};

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
        let of_source: Vec<(String, String)> = super::OF_SOURCE
            .iter()
            .zip([key, hash, "AES256"])
            .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
            .collect();
        let read_both = (read(Headers(&of_source)).ok(), read_source(Headers(&of_source)).ok());
        assert_eq!(read_both, (Some(None), Some(Some(Encryption::Key(hash.to_owned())))));
    }
}
