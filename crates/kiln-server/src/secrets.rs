//! Random ids and keys.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha_crypt::{Sha512Params, sha512_crypt_b64};

use crate::clock::random;

/// Letters of a salt.
const SALT_LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Letters in a salt.
const SALT_LENGTH: usize = 16;
/// Rounds of hashing a password.
const HASH_ROUNDS: usize = 10_000;

/// 64 random hexadecimal digits, as in a node's id.
pub(crate) fn hex_id() -> String {
    random::<32>().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

/// A random key of 64 bytes in base64, as accounts have.
pub(crate) fn key() -> String {
    STANDARD.encode(random::<64>())
}

/// A random number from 0 to 1, which it does not reach.
pub(crate) fn fraction() -> f64 {
    let number = u32::from_le_bytes(random());
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

/// What a password is checked against, in the form of `crypt` with SHA-512.
pub(crate) fn password_hash(password: &str) -> String {
    let salt: String = random::<SALT_LENGTH>()
        .iter()
        .filter_map(|byte| SALT_LETTERS.get(usize::from(byte % 64)).copied().map(char::from))
        .collect();
    let params = Sha512Params::new(HASH_ROUNDS).expect("the number of rounds is allowed");
    let hash = sha512_crypt_b64(password.as_bytes(), salt.as_bytes(), &params)
        .expect("the salt has an allowed length");
    format!("$6$rounds={HASH_ROUNDS}${salt}${hash}")
}

#[cfg(test)]
mod tests {
    use super::password_hash;

    #[test]
    fn a_password_has_another_hash_each_time() {
        let (one, other) = (password_hash("hush"), password_hash("hush"));
        for hash in [&one, &other] {
            let parts: Vec<&str> = hash.split('$').collect();
            assert_eq!(parts.get(1..3), Some(["6", "rounds=10000"].as_slice()));
            assert_eq!(parts.iter().map(|it| it.len()).skip(3).collect::<Vec<_>>(), [16, 86]);
        }
        assert_ne!(one, other);
    }
}
