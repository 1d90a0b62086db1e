//! Bodies of the Blob service that are read piece by piece: batches, and content in frames.
#![no_main]

use kiln_wire::blob::batch;
use kiln_wire::blob::structured::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(parts) = batch::read("multipart/mixed; boundary=b", data) {
        assert!(!parts.is_empty() && parts.len() <= batch::PARTS_MAX);
        for part in parts {
            assert!(part.target.starts_with('/') && !part.target.contains([' ', '\r', '\n']));
            assert!(part.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
        }
    }
    let (Some((&step, body)), Some((&length, _))) = (data.split_first(), data.split_last()) else {
        return;
    };
    let mut decoder = Decoder::new(u64::try_from(body.len()).ok(), u64::from(length));
    let mut content = Vec::new();
    for piece in body.chunks(usize::from(step).max(1)) {
        if decoder.push(piece.to_vec().into(), &mut content).is_err() {
            return;
        }
    }
    if decoder.finish().is_ok() {
        assert_eq!(content.iter().map(|it| it.len()).sum::<usize>(), usize::from(length));
    }
});
