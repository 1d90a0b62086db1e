//! JSON values one after another, read from content that comes in pieces.

use kiln_domain::blob::limits::QUERY_RECORD_BYTES_MAX;
use kiln_domain::blob::query::Tree;

use super::delimited::Next;

/// Reads objects, which need nothing between them. A blob that is one array stands for its
/// elements.
#[derive(Debug, Default)]
pub(super) struct JsonReader {
    text: Vec<u8>,
    is_complete: bool,
    place: Place,
    depth: usize,
    within: Within,
    start: u64,
    taken_bytes: u64,
}

/// What values stand in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing was read yet.
    #[default]
    Front,
    Blob,
    Array,
}

/// What of a value is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Value,
    String,
    Escape,
}

impl JsonReader {
    /// The text of the value that was read last.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The value that was read last, or why it is none.
    pub(super) fn tree(&self) -> Result<Tree, String> {
        serde_json::from_slice(&self.text).map_err(|cause| format!("{cause}."))
    }

    /// Where that value, or the one that is being read, begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where reading goes on.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Takes a value from the front of `input`; `is_last` says that nothing follows it.
    pub(super) fn next(&mut self, input: &mut &[u8], is_last: bool) -> Next {
        if self.is_complete {
            self.text.clear();
            self.is_complete = false;
        }
        while let Some((&byte, rest)) = input.split_first() {
            if self.depth == 0 {
                match self.between(byte) {
                    Ok(true) => {}
                    Ok(false) => {
                        *input = rest;
                        self.taken_bytes += 1;
                        continue;
                    }
                    Err(broken) => return Next::Broken(broken),
                }
            }
            if self.text.len() == QUERY_RECORD_BYTES_MAX {
                let message = format!("The record has more than {QUERY_RECORD_BYTES_MAX} bytes.");
                return Next::Broken(message);
            }
            *input = rest;
            self.taken_bytes += 1;
            self.text.push(byte);
            if self.is_end(byte) {
                self.is_complete = true;
                return Next::Record;
            }
        }
        match (is_last, self.depth) {
            (false, _) => Next::More,
            (true, 0) => Next::End,
            (true, _) => Next::Broken("Unexpected end of the blob.".to_owned()),
        }
    }

    /// Whether a value begins with `byte`, which stands between values.
    fn between(&mut self, byte: u8) -> Result<bool, String> {
        match byte {
            b'{' => {
                if self.place == Place::Front {
                    self.place = Place::Blob;
                }
                self.start = self.taken_bytes;
                Ok(true)
            }
            b'[' if self.place == Place::Front => {
                self.place = Place::Array;
                Ok(false)
            }
            b']' if self.place == Place::Array => {
                self.place = Place::Blob;
                Ok(false)
            }
            b',' if self.place == Place::Array => Ok(false),
            b' ' | b'\t' | b'\r' | b'\n' => Ok(false),
            // The mark that some editors begin a text with.
            0xef | 0xbb | 0xbf if self.place == Place::Front && self.taken_bytes < 3 => Ok(false),
            other => {
                self.start = self.taken_bytes;
                let at = self.taken_bytes;
                let token = char::from(other).escape_default();
                Err(format!("Unexpected token '{token}' at [byte: {at}]. Expecting token '{{'."))
            }
        }
    }

    /// Whether the value ends with `byte`. What is not well formed is seen when it is read.
    fn is_end(&mut self, byte: u8) -> bool {
        self.within = match (self.within, byte) {
            (Within::Value, b'"') | (Within::Escape, _) => Within::String,
            (Within::String, b'\\') => Within::Escape,
            (Within::String, b'"') => Within::Value,
            (Within::Value, b'{' | b'[') => {
                self.depth += 1;
                Within::Value
            }
            (Within::Value, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            (within, _) => within,
        };
        false
    }
}
