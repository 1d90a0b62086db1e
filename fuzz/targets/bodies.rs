//! Bodies of Batch requests, of every shape and api-version: refused with a client error or
//! brought to the newest shape, which can be brought back.
#![no_main]

use kiln_wire::api_version::ApiVersion;
use kiln_wire::batch::{Shape, lift, lower};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [version, shape, body @ ..] = data else { return };
    let versions: Vec<ApiVersion> = ApiVersion::all().collect();
    let version = versions[usize::from(*version) % versions.len()];
    let shape = Shape::ALL[usize::from(*shape) % Shape::ALL.len()];
    match lift(version, shape, body) {
        Ok(newest) => drop(lower(version, shape, newest)),
        Err(refusal) => assert!((400..500).contains(&refusal.status), "{refusal:?}"),
    }
});
