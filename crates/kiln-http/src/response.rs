//! An answer as a handler gives it.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;

use crate::Upgrade;

/// An answer as a handler gives it.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase, where it says more than the code.
    pub reason: Option<String>,
    /// Headers in order.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// What follows the head.
    pub body: ResponseBody,
}

/// What follows the head of an answer.
pub enum ResponseBody {
    /// Nothing.
    Empty,
    /// Nothing, though the head speaks of `length` bytes (an answer to HEAD).
    HeadOnly {
        /// Bytes that a GET would bring.
        length: u64,
    },
    /// Bytes that are there already.
    Bytes(Bytes),
    /// Bytes as they come.
    Stream {
        /// How many, where that is known; else the answer is chunked.
        length: Option<u64>,
        /// The bytes.
        stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    },
    /// Bytes and parts of files, one after another.
    Pieces {
        /// How many bytes together.
        length: u64,
        /// The pieces; each is made when the one before it is sent, so that few files are
        /// open at once.
        stream: Pin<Box<dyn Stream<Item = io::Result<Piece>> + Send>>,
    },
    /// Nothing; the connection goes on in another protocol. The status must be 101.
    Upgrade(Upgrade),
}

/// A piece of an answer.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a file.
    File(FileRange),
}

/// A part of a file, which does not change while it is sent.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The open file.
    pub file: Arc<File>,
    /// Where the part begins.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

impl Response {
    /// An answer without headers or body.
    pub fn new(status: u16) -> Self {
        Self { status, reason: None, headers: Vec::new(), body: ResponseBody::Empty }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same answer with `body`.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = ResponseBody::Bytes(body.into());
        self
    }

    /// The value of a header, names compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::HeadOnly { length } => write!(f, "HeadOnly({length} bytes)"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Stream { length, .. } => write!(f, "Stream({length:?} bytes)"),
            Self::Pieces { length, .. } => write!(f, "Pieces({length} bytes)"),
            Self::Upgrade(upgrade) => upgrade.fmt(f),
        }
    }
}
