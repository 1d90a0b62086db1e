//! Bodies in XML of the Blob service.
#![no_main]

use kiln_wire::blob::xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    drop(xml::block_list(data));
    drop(xml::blob_page(data));
    if let Ok(policies) = xml::stored_policies(data) {
        let written = xml::write_policies(&policies);
        assert_eq!(xml::stored_policies(written.as_bytes()).ok(), Some(policies));
    }
});
