//! The frame of an answer: an Avro file of records of four kinds.

use super::Event;

/// Bytes of the mark between blocks.
pub const MARK_BYTES: usize = 16;

const SCHEMA: &str = concat!(
    r#"[{"type":"record","name":"com.microsoft.azure.storage.queryBlobContents.resultData","#,
    r#""doc":"Holds result data in the format specified for this query (CSV, JSON, etc.).","#,
    r#""fields":[{"name":"data","type":"bytes"}]},"#,
    r#"{"type":"record","name":"com.microsoft.azure.storage.queryBlobContents.error","#,
    r#""doc":"An error that occurred while processing the query.","#,
    r#""fields":[{"name":"fatal","type":"boolean"},{"name":"name","type":"string"},"#,
    r#"{"name":"description","type":"string"},{"name":"position","type":"long"}]},"#,
    r#"{"type":"record","name":"com.microsoft.azure.storage.queryBlobContents.progress","#,
    r#""doc":"Describes the progress of the query.","#,
    r#""fields":[{"name":"bytesScanned","type":"long"},{"name":"totalBytes","type":"long"}]},"#,
    r#"{"type":"record","name":"com.microsoft.azure.storage.queryBlobContents.end","#,
    r#""doc":"Sent as the final message of the response, indicating that all results have been "#,
    r#"sent.","fields":[{"name":"totalBytes","type":"long"}]}]"#,
);

/// Writes an answer, one block for each event.
#[derive(Debug)]
pub struct Encoder {
    mark: [u8; MARK_BYTES],
    total_bytes: u64,
}

impl Encoder {
    /// Of an answer about a blob of `total_bytes`, with a mark of its own.
    pub fn new(mark: [u8; MARK_BYTES], total_bytes: u64) -> Self {
        Self { mark, total_bytes }
    }

    /// What an answer begins with.
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Obj\x01");
        push_long(out, 2);
        push_bytes(out, b"avro.codec");
        push_bytes(out, b"null");
        push_bytes(out, b"avro.schema");
        push_bytes(out, SCHEMA.as_bytes());
        push_long(out, 0);
        out.extend_from_slice(&self.mark);
    }

    /// Writes one event.
    pub fn push(&self, event: &Event, out: &mut Vec<u8>) {
        let mut record = Vec::new();
        match event {
            Event::Data(data) => {
                record.reserve(data.len() + MARK_BYTES);
                push_long(&mut record, 0);
                push_bytes(&mut record, data);
            }
            Event::Failed { is_fatal, name, description, position } => {
                push_long(&mut record, 1);
                record.push(u8::from(*is_fatal));
                push_bytes(&mut record, name.as_bytes());
                push_bytes(&mut record, description.as_bytes());
                push_long(&mut record, *position);
            }
            Event::Progress { scanned_bytes } => {
                push_long(&mut record, 2);
                push_long(&mut record, *scanned_bytes);
                push_long(&mut record, self.total_bytes);
            }
            Event::End => {
                push_long(&mut record, 3);
                push_long(&mut record, self.total_bytes);
            }
        }
        push_long(out, 1);
        push_bytes(out, &record);
        out.extend_from_slice(&self.mark);
    }
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_long(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// A number in zigzag, seven bits in each byte, the lowest first.
fn push_long(out: &mut Vec<u8>, number: u64) {
    let mut rest = u128::from(number) << 1;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoder, Event, MARK_BYTES, SCHEMA};

    #[test]
    fn frames_of_an_answer() {
        let encoder = Encoder::new([7; MARK_BYTES], 300);
        let mut out = Vec::new();
        encoder.begin(&mut out);
        assert!(out.starts_with(b"Obj\x01\x04\x14avro.codec\x08null\x16avro.schema"));
        assert!(
            out.ends_with(b"]\x00\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07")
        );
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
        assert_eq!(schema.as_array().map(Vec::len), Some(4));
        let check = |event: &Event, expected: &[u8]| {
            let mut out = Vec::new();
            encoder.push(event, &mut out);
            let (block, mark) = out.split_at(out.len() - MARK_BYTES);
            assert_eq!(mark, [7; MARK_BYTES]);
            let length = u8::try_from(expected.len()).expect("short");
            assert_eq!(block, [&[2, length << 1], expected].concat(), "{event:?}");
        };
        check(&Event::Data(b"a,b\n".to_vec()), b"\x00\x08a,b\n");
        check(&Event::Progress { scanned_bytes: 64 }, b"\x04\x80\x01\xd8\x04");
        check(&Event::End, b"\x06\xd8\x04");
        let failed =
            Event::Failed { is_fatal: true, name: "N", description: "de".to_owned(), position: 1 };
        check(&failed, b"\x02\x01\x02N\x04de\x02");
    }
}
