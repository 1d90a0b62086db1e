//! A request as the services see it.

use std::net::SocketAddr;

use http::Method;
use kiln_domain::time::Timestamp;
use uuid::Uuid;

use super::{Asked, Body, Headers};
use crate::clock;

/// A request as the services see it.
#[derive(Debug)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// Path as on the wire, still percent-encoded.
    pub raw_path: String,
    /// Query as on the wire, without the question mark.
    pub raw_query: String,
    /// Query parameters in order, names and values decoded.
    pub query: Vec<(String, String)>,
    /// Headers in order, names as they were sent.
    pub headers: Headers,
    /// The host asked for, with its port if the client named one.
    pub host: String,
    /// Whether the request came over TLS.
    pub is_tls: bool,
    /// Who asks, where that is known.
    pub peer: Option<SocketAddr>,
    /// What follows the head.
    pub body: Body,
    /// When the head was read.
    pub received_at: Timestamp,
    /// Names this request in answers and logs.
    pub request_id: Uuid,
    /// What it asks for, for who counts.
    pub(crate) asked: Asked,
}

impl Request {
    /// What the engine read, received now.
    pub fn receive(request: kiln_http::Request) -> Self {
        // A `+` is a space, as both Azure services read it.
        let query = form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        Self {
            method: request.method,
            raw_path: request.path,
            raw_query: request.query,
            query,
            headers: request.headers,
            host: request.host,
            is_tls: request.is_tls,
            peer: request.peer,
            body: request.body,
            received_at: clock::now(),
            request_id: clock::new_id(),
            asked: Asked::default(),
        }
    }

    /// The value of a header; names compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The first value of a query parameter; names compare without case, as Azure's do.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Scheme and host as the client used them, without a slash at the end: links that are
    /// given to it start so.
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.scheme(), self.host)
    }

    /// Headers as pairs of name and value, names as they were sent, as signatures need them.
    pub fn header_pairs(&self) -> Vec<(String, String)> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.headers.iter().map(owned).collect()
    }
}
