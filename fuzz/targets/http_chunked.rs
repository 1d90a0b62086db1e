//! Bodies in chunks: content and end do not depend on how the bytes arrive.
#![no_main]

use bytes::BytesMut;
use kiln_http::chunked::{BadChunk, Decoded, Decoder};
use libfuzzer_sys::fuzz_target;

/// The content and how many bytes came behind it; `None` while it has no end.
fn read(bytes: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, BadChunk> {
    let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::new());
    let (mut content, mut pieces) = (Vec::new(), bytes.chunks(step));
    loop {
        match decoder.decode(&mut buffer)? {
            Decoded::Data(data) => {
                assert!(!data.is_empty());
                content.extend_from_slice(&data);
            }
            Decoded::End => {
                let n_behind = buffer.len() + pieces.map(<[u8]>::len).sum::<usize>();
                return Ok(Some((content, n_behind)));
            }
            Decoded::NeedsMore => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Ok(None),
            },
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = read(data, data.len().max(1));
    for step in [1, 3, 7] {
        match (&whole, read(data, step)) {
            (Ok(one), Ok(other)) => assert_eq!(*one, other),
            (Err(_), Err(_)) => {}
            (one, other) => panic!("whole: {one:?}, in steps of {step}: {other:?}"),
        }
    }
});
