//! Random ids and keys.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
