//! Headers of Blob requests: ranges, conditions, metadata, checksums.
#![no_main]

use kiln_wire::blob::checksum::Told;
use kiln_wire::blob::encryption;
use kiln_wire::blob::headers::Headers;
use kiln_wire::blob::range::{Part, Range};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let headers: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let read = Headers(&headers);
    drop((read.conditions(), read.source_conditions(), read.metadata(), read.public_access()));
    drop((read.properties(), read.properties_of_put(), read.md5("Content-MD5")));
    drop((Told::read(read), encryption::read(read)));
    for size_bytes in [0, 1, 100, u64::MAX] {
        let asked = read.get("Range").and_then(Range::parse);
        if let Some(Part::Bytes { start, length }) = asked.map(|range| range.of(size_bytes)) {
            assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size_bytes));
        }
    }
});
