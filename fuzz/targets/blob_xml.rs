//! Bodies in XML of the Blob service.
#![no_main]

use kiln_wire::blob::{listed, service_xml, xml};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    drop(xml::block_list(data));
    drop(listed::blob_page(data));
    drop(listed::container_page(data));
    drop(listed::staged_blocks(data));
    drop((service_xml::read_change(data), service_xml::read_key_request(data)));
    if let Ok(policies) = xml::stored_policies(data) {
        let written = xml::write_policies(&policies);
        assert_eq!(xml::stored_policies(written.as_bytes()).ok(), Some(policies));
    }
});
