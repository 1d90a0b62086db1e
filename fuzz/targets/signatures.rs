//! Shared Key signatures and shared access signatures: nothing but the right key opens.
#![no_main]

use kiln_domain::time::Timestamp;
use kiln_wire::auth::bearer::{Expected, IssuerKey, verify};
use kiln_wire::auth::sas::{Asked, Scope, Token, check};
use kiln_wire::auth::{SharedKey, SignedRequest, shared_key_batch, shared_key_blob};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "a2lsbi1mdXp6LWtleS10aGF0LW5vYm9keS1ldmVyLXVzZXM=";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    std::hint::black_box(SharedKey::parse(text));
    let lines: Vec<&str> = text.lines().collect();
    let pairs: Vec<(String, String)> = lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    if let Some(token) = Token::from_query(&pairs) {
        let asked = Asked {
            account: "account",
            keys: &[KEY],
            container: Some("container"),
            blob: Some("a/b/c"),
            delegation_secret: KEY,
            bearer: None,
            headers: &pairs,
            query: &pairs,
            scope: Scope::Object,
            account_letters: Some("r"),
            service_letters: Some("r"),
            is_tls: true,
            peer: None,
            now: Timestamp(0),
        };
        assert!(check(&token, &asked, &[]).is_err());
    }
    let expected = Expected {
        issuers: &[],
        audiences: &[],
        keys: &[IssuerKey::of_secret(KEY.as_bytes())],
        account: "account",
        now: Timestamp(0),
    };
    assert!(verify(text, &expected).is_err());
    drop(IssuerKey::of_set(text));
    let request = SignedRequest {
        method: "GET",
        raw_path: lines.first().copied().unwrap_or("/"),
        query: &pairs,
        headers: &pairs,
    };
    assert!(shared_key_batch::verify(&request, "account", &[KEY]).is_err());
    assert!(shared_key_blob::verify(&request, "account", &[KEY]).is_err());
});
