//! Heads of requests: whatever is accepted can be read in one way only.
#![no_main]

use kiln_http::head::{Framing, Scan, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = match Scan::default().end(data) {
        Ok(Some(end)) => end,
        Ok(None) => return,
        Err(refusal) => return assert!((400..500).contains(&refusal.status())),
    };
    let bytes = data.get(..end).expect("the end is within");
    // However the bytes arrive, the head ends in the same place.
    let mut scan = Scan::default();
    for n_seen in 0..end {
        assert_eq!(scan.end(bytes.get(..n_seen).expect("a part")), Ok(None));
    }
    assert_eq!(scan.end(data), Ok(Some(end)));
    let head = match parse(bytes) {
        Ok(head) => head,
        Err(refusal) => return assert!((400..600).contains(&refusal.status())),
    };
    let count = |name: &str| head.headers.all(name).count();
    assert!(count("host") <= 1 && !head.host.is_empty() | (count("host") == 1));
    assert!(head.path.starts_with('/') || head.path == "*");
    assert!(!head.path.contains(['?', '#', ' ', '\r', '\n']) && !head.query.contains('#'));
    match head.framing {
        Framing::Chunked => {
            assert!(count("content-length") == 0 && count("transfer-encoding") == 1);
        }
        Framing::Length(length) => {
            assert_eq!(count("transfer-encoding"), 0);
            assert!(head.headers.all("content-length").all(|it| it.parse() == Ok(length)));
        }
    }
    for (name, value) in head.headers.iter() {
        assert!(!name.is_empty() && !name.contains([' ', ':', '\r', '\n']));
        assert!(!value.contains(['\r', '\n', '\0']));
    }
});
