//! Queries of what blobs say: a document that asks, a query, and content in pieces. However the
//! content is cut, the answer is the same and ends once.
#![no_main]

use bytes::Bytes;
use kiln_domain::blob::query::Statement;
use kiln_domain::time::Timestamp;
use kiln_wire::blob::query::request::{Dialect, Form, QueryRequest, read};
use kiln_wire::blob::query::{Event, Machine};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 100_000;

/// All rows, and what failed where; `None` when the columns have no such names.
fn answer(request: QueryRequest, content: &[u8], piece_bytes: usize) -> Option<(Vec<u8>, Vec<u64>)> {
    let mut machine = Machine::new(request, Timestamp(0)).ok()?;
    let mut pieces = content.chunks(piece_bytes).map(Bytes::copy_from_slice);
    let (mut piece, mut is_last) = (Bytes::new(), false);
    let (mut rows, mut failed, mut told_bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..STEPS_MAX {
        if piece.is_empty() {
            match pieces.next() {
                Some(next) => piece = next,
                None => is_last = true,
            }
        }
        for event in machine.step(&mut piece, is_last).ok()? {
            match event {
                Event::Data(data) => rows.extend(data),
                Event::Failed { position, .. } => failed.push(position),
                Event::Progress { scanned_bytes } => {
                    assert!(told_bytes <= scanned_bytes);
                    told_bytes = scanned_bytes;
                }
                Event::End => assert!(machine.has_ended()),
            }
        }
        if machine.has_ended() {
            assert!(told_bytes <= u64::try_from(content.len()).expect("small"));
            return Some((rows, failed));
        }
    }
    panic!("a query has no end");
}

fuzz_target!(|data: &[u8]| {
    if let Err(refused) = read(data) {
        assert!(matches!(refused.status, 400 | 501), "{refused:?}");
    }
    let Some(end) = data.iter().position(|it| *it == 0) else { return };
    let (query, rest) = data.split_at(end);
    let Ok(query) = std::str::from_utf8(query) else { return };
    let Ok(statement) = Statement::parse(query) else { return };
    let [_, signs, piece_bytes, content @ ..] = rest else { return };
    let form = |is_json: bool, has_headers: bool| {
        if is_json {
            Form::Json { separator: b"\n".to_vec() }
        } else {
            let escape = (signs & 8 != 0).then_some(b'\\');
            Form::Delimited(Dialect { has_headers, escape, ..Dialect::default() })
        }
    };
    let input = form(signs & 1 != 0, signs & 2 != 0);
    let output = form(signs & 4 != 0, signs & 16 != 0);
    let request = QueryRequest { statement, input, output };
    let whole = answer(request.clone(), content, content.len().max(1));
    let cut = answer(request, content, usize::from(*piece_bytes).max(1));
    assert_eq!(whole, cut, "{query}");
});
