//! Shared Key signatures and shared access signatures: nothing but the right key opens.
#![no_main]

use kiln_wire::auth::sas::Token;
use kiln_wire::auth::{SharedKey, SignedRequest, shared_key_batch, shared_key_blob};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "a2lsbi1mdXp6LWtleS10aGF0LW5vYm9keS1ldmVyLXVzZXM=";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(SharedKey::parse(text));
    let lines: Vec<&str> = text.lines().collect();
    let pairs: Vec<(String, String)> = lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    drop(Token::from_query(&pairs));
    let request = SignedRequest {
        method: "GET",
        raw_path: lines.first().copied().unwrap_or("/"),
        query: &pairs,
        headers: &pairs,
    };
    assert!(shared_key_batch::verify(&request, "account", &[KEY]).is_err());
    assert!(shared_key_blob::verify(&request, "account", &[KEY]).is_err());
});
