//! What answers have in common.

use kiln_domain::blob::metadata::Metadata;
use kiln_domain::time::Timestamp;
use kiln_wire::blob::encryption;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::gates::Gates;
use kiln_wire::blob::version::ServiceVersion;

use super::failure::Failure;
use crate::clock;
use crate::http::{BUSY_RETRY_AFTER_SECONDS, Refusal, Request, Response, code_of};

/// Characters of a client's request id that are echoed.
const CLIENT_REQUEST_ID_LENGTH_MAX: usize = 1024;

/// What an operation comes to.
pub(super) type Answer = Result<Response, Failure>;

/// What the head of every answer repeats of its request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request_id: String,
    pub(super) client_request_id: Option<String>,
    pub(super) version: ServiceVersion,
    pub(super) received_at: Timestamp,
    pub(super) is_head: bool,
    /// Of a write: what it says of keys, which its answer repeats.
    pub(super) encryption: Vec<(&'static str, String)>,
}

impl Head {
    /// The head of the answer to `request`.
    pub(super) fn of(request: &Request, version: ServiceVersion) -> Self {
        Self {
            request_id: request.request_id.to_string(),
            client_request_id: request
                .header("x-ms-client-request-id")
                .filter(|id| id.len() <= CLIENT_REQUEST_ID_LENGTH_MAX)
                .map(str::to_owned),
            version,
            received_at: request.received_at,
            is_head: request.method == http::Method::HEAD,
            encryption: if request.method == http::Method::PUT {
                let sent = [encryption::HASH, encryption::SCOPE].into_iter();
                sent.filter_map(|name| Some((name, request.header(name)?.to_owned()))).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Completes an answer.
    pub(super) fn complete(&self, result: Answer) -> Response {
        let response = match result {
            Ok(response) => self.encryption.iter().fold(response, |response, (name, value)| {
                response.with_header(*name, value.as_str())
            }),
            Err(failure) => self.error(&failure.into_error(&self.request_id)),
        };
        let mut response = response
            .with_header("Server", "Kiln-Blob/1.0")
            .with_header("x-ms-request-id", self.request_id.as_str())
            .with_header("x-ms-version", self.version.as_str())
            .with_header("Date", self.received_at.to_rfc1123());
        if let Some(id) = &self.client_request_id {
            response = response.with_header("x-ms-client-request-id", id.as_str());
        }
        response
    }

    /// The answer to a refusal. Where no body may follow there is none, nor a word of one.
    fn error(&self, error: &BlobError) -> Response {
        let mut response = Response::new(error.status).with_header("x-ms-error-code", error.code);
        for (name, value) in &error.headers {
            response = response.with_header(*name, value.as_str());
        }
        if self.is_head || error.status == 304 {
            return response;
        }
        response
            .with_header("Content-Type", "application/xml")
            .with_body(error.body(&self.request_id, self.received_at))
    }
}

/// The answer to what the HTTP engine refused.
pub(super) fn refused(refusal: Refusal) -> Response {
    let head = Head {
        request_id: clock::new_id().to_string(),
        client_request_id: None,
        version: ServiceVersion::NEWEST,
        received_at: clock::now(),
        is_head: false,
        encryption: Vec::new(),
    };
    let error = if refusal == Refusal::Busy {
        let message = "The server is currently unable to receive requests. Please retry your \
                       request.";
        BlobError::new(refusal.status(), code_of(refusal), message)
            .with_header("Retry-After", BUSY_RETRY_AFTER_SECONDS.to_string())
    } else {
        BlobError::new(refusal.status(), code_of(refusal), format!("{refusal}."))
    };
    head.complete(Err(error.into()))
}

/// The entity tag and time of what was written or read.
pub(super) fn with_face(response: Response, modified_at: Timestamp, gates: &Gates) -> Response {
    response
        .with_header("ETag", gates.etag(&modified_at.to_etag()))
        .with_header("Last-Modified", modified_at.to_rfc1123())
}

/// Attached metadata, a header for each.
pub(super) fn with_metadata(mut response: Response, metadata: &Metadata) -> Response {
    for (name, value) in metadata.iter() {
        response = response.with_header(format!("x-ms-meta-{name}"), value);
    }
    response
}

/// That what was written is kept encrypted, as clients are used to be told.
pub(super) fn with_encryption(response: Response, gates: &Gates) -> Response {
    if gates.has_encryption_headers() {
        response.with_header("x-ms-request-server-encrypted", "true")
    } else {
        response
    }
}

/// An XML document.
pub(super) fn xml(document: String) -> Response {
    Response::new(200).with_header("Content-Type", "application/xml").with_body(document)
}
