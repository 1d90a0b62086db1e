//! Records of fields, read from content that comes in pieces.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use kiln_domain::blob::limits::QUERY_RECORD_BYTES_MAX;
use kiln_domain::blob::query::Row;

use super::request::Dialect;

/// Fields of one record.
const FIELDS_MAX: usize = 64 * 1024;

/// What reading some more has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More content is needed.
    More,
    /// A record is there.
    Record,
    /// There is none any more.
    End,
    /// What comes is no record: why.
    Broken(String),
}

/// Reads records of fields.
#[derive(Debug)]
pub(super) struct DelimitedReader {
    core: Reader,
    separator: Vec<u8>,
    bytes: Vec<u8>,
    n_bytes: usize,
    ends: Vec<usize>,
    n_ends: usize,
    is_within: bool,
    start: u64,
    taken_bytes: u64,
}

impl DelimitedReader {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let terminator = match dialect.record.as_slice() {
            [byte] => Terminator::Any(*byte),
            _ => Terminator::CRLF,
        };
        let core = ReaderBuilder::new()
            .delimiter(dialect.column)
            .quote(dialect.quote.unwrap_or_default())
            .quoting(dialect.quote.is_some())
            .escape(dialect.escape)
            .terminator(terminator)
            .build();
        Self {
            core,
            separator: dialect.record.clone(),
            bytes: vec![0; 1024],
            n_bytes: 0,
            ends: vec![0; 32],
            n_ends: 0,
            is_within: false,
            start: 0,
            taken_bytes: 0,
        }
    }

    /// The record that was read last.
    pub(super) fn row(&self) -> Row<'_> {
        let bytes = self.bytes.get(..self.n_bytes).unwrap_or_default();
        Row::Fields(bytes, self.ends.get(..self.n_ends).unwrap_or_default())
    }

    /// Where that record, or the one that is being read, begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where the next record begins.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Takes a record from the front of `input`; `is_last` says that nothing follows it.
    pub(super) fn next(&mut self, input: &mut &[u8], is_last: bool) -> Next {
        if !self.is_within {
            // Empty lines are no records.
            let is_line = self.separator == b"\n";
            while let Some((first, rest)) = input.split_first()
                && (self.separator.contains(first) || is_line && *first == b'\r')
            {
                *input = rest;
                self.taken_bytes += 1;
            }
            (self.start, self.n_bytes, self.n_ends) = (self.taken_bytes, 0, 0);
        }
        loop {
            if input.is_empty() && !is_last {
                return Next::More;
            }
            self.is_within = true;
            let (result, n_in, n_out, n_ends) = self.core.read_record(
                input,
                self.bytes.get_mut(self.n_bytes..).unwrap_or_default(),
                self.ends.get_mut(self.n_ends..).unwrap_or_default(),
            );
            *input = input.get(n_in..).unwrap_or_default();
            self.taken_bytes += u64::try_from(n_in).unwrap_or(0);
            self.n_bytes += n_out;
            self.n_ends += n_ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.bytes.len() < QUERY_RECORD_BYTES_MAX => {
                    let room = (self.bytes.len() * 2).min(QUERY_RECORD_BYTES_MAX);
                    self.bytes.resize(room, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < FIELDS_MAX => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Next::Broken(format!(
                        "The record has more than {QUERY_RECORD_BYTES_MAX} bytes or {FIELDS_MAX} \
                         fields."
                    ));
                }
                ReadRecordResult::Record => {
                    self.is_within = false;
                    self.drop_return();
                    return Next::Record;
                }
                ReadRecordResult::End => return Next::End,
            }
        }
    }

    /// Lines may end with `\r\n` where `\n` is the separator.
    fn drop_return(&mut self) {
        if self.separator == b"\n"
            && let Some(last) = self.n_bytes.checked_sub(1)
            && self.bytes.get(last) == Some(&b'\r')
            && let Some(end) = self.n_ends.checked_sub(1).and_then(|last| self.ends.get_mut(last))
            && *end == self.n_bytes
        {
            *end = last;
            self.n_bytes = last;
        }
    }
}
