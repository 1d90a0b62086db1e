//! A request as it came.

use std::net::SocketAddr;

use http::Method;

use crate::{Body, Headers};

/// A request as it came.
#[derive(Debug)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The path as on the wire, still percent-encoded.
    pub path: String,
    /// The query as on the wire, without its question mark.
    pub query: String,
    /// The host asked for, with its port if the client named one.
    pub host: String,
    /// Headers in order, names as they were sent.
    pub headers: Headers,
    /// Whether the request came over TLS.
    pub is_tls: bool,
    /// Who asks, where that is known.
    pub peer: Option<SocketAddr>,
    /// What follows the head. The answer is sent once it is dropped.
    pub body: Body,
}
