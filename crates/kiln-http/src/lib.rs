//! An HTTP/1.1 server engine: bytes of a connection in, requests out, answers back.
//!
//! It knows nothing of Azure. What it is for, and the usual engines are not:
//!
//! - names of headers keep the case in which they were sent, in both directions: metadata of
//!   blobs is named by them;
//! - the target is handed on as it was on the wire: signatures cover it so;
//! - a body of an answer may be a part of a file, which the kernel sends without a copy
//!   through this program.
//!
//! [`head`] and [`chunked`] read what strangers send; they are pure, strict and fuzzed.
//! [`Listener`] accepts, [`serve_connection`] serves one connection from its first request to
//! its last. A request's [`Body`] borrows the connection until it is dropped, so a handler
//! that reads slowly makes the client send slowly, and nothing is buffered in between.

mod listener;

mod connection;

pub mod head;
pub mod headers;

mod body;

pub mod chunked;

mod request;

mod answering;
mod response;

mod encode;
mod io;
mod output;
mod upgrade;

pub mod limits;
pub mod refusal;

pub use answering::Handler;
pub use body::{Body, BodyError};
pub use connection::serve_connection;
pub use headers::Headers;
pub use io::{Duplex, Transport};
pub use listener::Listener;
pub use refusal::Refusal;
pub use request::Request;
pub use response::{FileRange, Piece, Response, ResponseBody};
pub use upgrade::{Upgrade, Upgraded};
