//! Rows of an answer, in the form that is wanted.

use std::io::Write;

use kiln_domain::blob::limits::QUERY_RECORD_BYTES_MAX;
use kiln_domain::blob::query::Value;

use super::request::{Dialect, Form};

/// The row became too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Writes one row: begin, its values, end.
#[derive(Debug)]
pub(super) struct RowWriter<'a> {
    form: &'a Form,
    out: &'a mut Vec<u8>,
    start: usize,
    is_first: bool,
}

impl<'a> RowWriter<'a> {
    pub(super) fn begin(form: &'a Form, out: &'a mut Vec<u8>) -> Self {
        if matches!(form, Form::Json { .. }) {
            out.push(b'{');
        }
        let start = out.len();
        Self { form, out, start, is_first: true }
    }

    /// Writes a value; one that is missing has no place in an object.
    pub(super) fn value(&mut self, name: &str, value: &Value<'_>) -> Result<(), TooLong> {
        match self.form {
            Form::Delimited(dialect) => {
                let text = value.to_text().unwrap_or_default();
                self.field(dialect, text.as_bytes());
            }
            Form::Json { .. } if matches!(value, Value::Missing) => return Ok(()),
            Form::Json { .. } => {
                self.member(name);
                push_json(self.out, value);
            }
        }
        self.check()
    }

    /// Writes a field as it is in the blob.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), TooLong> {
        match self.form {
            Form::Delimited(dialect) => self.field(dialect, bytes),
            Form::Json { .. } => {
                self.member(name);
                push_json(self.out, &Value::Text(String::from_utf8_lossy(bytes)));
            }
        }
        self.check()
    }

    /// Ends the row.
    pub(super) fn end(self) {
        match self.form {
            Form::Delimited(dialect) => self.out.extend_from_slice(&dialect.record),
            Form::Json { separator } => {
                self.out.push(b'}');
                self.out.extend_from_slice(separator);
            }
        }
    }

    /// Takes the row back.
    pub(super) fn undo(self) {
        let brace = usize::from(matches!(self.form, Form::Json { .. }));
        self.out.truncate(self.start - brace);
    }

    fn check(&self) -> Result<(), TooLong> {
        if self.out.len() - self.start > QUERY_RECORD_BYTES_MAX { Err(TooLong) } else { Ok(()) }
    }

    fn member(&mut self, name: &str) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(b',');
        }
        push_json(self.out, &Value::Text(name.into()));
        self.out.push(b':');
    }

    fn field(&mut self, dialect: &Dialect, bytes: &[u8]) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(dialect.column);
        }
        let is_special = |byte: &u8| {
            *byte == dialect.column
                || Some(*byte) == dialect.quote
                || Some(*byte) == dialect.escape
                || dialect.record.contains(byte)
        };
        match dialect.quote {
            Some(quote) if bytes.iter().any(is_special) => {
                self.out.push(quote);
                for byte in bytes {
                    match dialect.escape {
                        Some(escape) if *byte == quote || *byte == escape => self.out.push(escape),
                        None if *byte == quote => self.out.push(quote),
                        Some(_) | None => {}
                    }
                    self.out.push(*byte);
                }
                self.out.push(quote);
            }
            Some(_) | None => self.out.extend_from_slice(bytes),
        }
    }
}

/// A value as JSON.
fn push_json(out: &mut Vec<u8>, value: &Value<'_>) {
    let written = match value {
        Value::Missing | Value::Null => out.write_all(b"null"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Float(value) => write!(out, "{value}"),
        Value::Text(text) => serde_json::to_writer(&mut *out, text).map_err(Into::into),
        Value::Time(moment) => write!(out, "\"{moment}\""),
        Value::Tree(tree) => serde_json::to_writer(&mut *out, tree).map_err(Into::into),
    };
    written.expect("memory takes all bytes");
}
