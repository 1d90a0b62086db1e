//! Answers with the headers that every answer of the service has.

use std::borrow::Cow;

use bytes::Bytes;
use kiln_domain::time::Timestamp;
use kiln_wire::batch::error::Refusal;

use super::call::Call;
use crate::clock;
use crate::http::{Request, Response, ResponseBody};

/// The content type of JSON answers.
const JSON: &str = "application/json;odata=minimalmetadata";

/// What is needed of a request to answer it, whatever becomes of it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) request_id: String,
    pub(super) method: http::Method,
    pub(super) path: String,
    base_url: String,
    client_request_id: Option<String>,
}

impl Frame {
    pub(super) fn of(request: &Request) -> Self {
        let wants_id = request
            .header("return-client-request-id")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let client_request_id =
            request.header("client-request-id").filter(|_| wants_id).map(str::to_owned);
        Self {
            request_id: request.request_id.to_string(),
            method: request.method.clone(),
            path: request.raw_path.clone(),
            base_url: request.base_url(),
            client_request_id,
        }
    }

    /// Of a request that was not read.
    pub(super) fn unread(base_url: &str) -> Self {
        Self {
            request_id: clock::new_id().to_string(),
            method: http::Method::GET,
            path: String::new(),
            base_url: base_url.to_owned(),
            client_request_id: None,
        }
    }

    fn headers(&self) -> Vec<(Cow<'static, str>, String)> {
        let mut headers: Vec<(Cow<'static, str>, String)> = vec![
            ("Server".into(), concat!("Kiln/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("request-id".into(), self.request_id.clone()),
            ("DataServiceVersion".into(), "3.0".to_owned()),
            ("X-Content-Type-Options".into(), "nosniff".to_owned()),
        ];
        if let Some(id) = &self.client_request_id {
            headers.push(("client-request-id".into(), id.clone()));
        }
        headers
    }
}

/// What an operation answers.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: ResponseBody,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: ResponseBody::Empty }
    }

    /// A JSON document.
    pub(super) fn json(document: &serde_json::Value) -> Self {
        let bytes = serde_json::to_vec(document).unwrap_or_default();
        Self::new(200).header("Content-Type", JSON).body(ResponseBody::Bytes(Bytes::from(bytes)))
    }

    /// A resource was made; `url` is where it is.
    pub(super) fn created(url: String, modified_at: Timestamp) -> Self {
        Self::new(201)
            .header("Location", url.clone())
            .header("DataServiceId", url)
            .revision(modified_at)
    }

    /// An action was taken on the resource that `call` names.
    pub(super) fn done(status: u16, call: &Call, modified_at: Timestamp) -> Self {
        Self::new(status).header("DataServiceId", call.url()).revision(modified_at)
    }

    /// The tag and time of the resource.
    pub(super) fn revision(self, modified_at: Timestamp) -> Self {
        self.header("ETag", modified_at.to_etag()).header("Last-Modified", modified_at.to_rfc1123())
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: ResponseBody) -> Self {
        self.body = body;
        self
    }

    pub(super) fn into_response(self, frame: &Frame) -> Response {
        let mut headers = frame.headers();
        headers.extend(self.headers.into_iter().map(|(name, value)| (name.into(), value)));
        Response { status: self.status, reason: None, headers, body: self.body }
    }
}

/// The answer to a request that was refused.
pub(super) fn refuse(refusal: &Refusal, frame: &Frame) -> Response {
    let mut headers = frame.headers();
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.push(("Retry-After".into(), seconds.to_string()));
    }
    let mut body = ResponseBody::Empty;
    if frame.method != http::Method::HEAD && refusal.status != 304 {
        headers.push(("Content-Type".into(), JSON.to_owned()));
        let bytes = refusal.body(&frame.base_url, &frame.request_id, clock::now());
        body = ResponseBody::Bytes(Bytes::from(bytes));
    }
    let reason = Some(refusal.message.clone());
    Response { status: refusal.status, reason, headers, body }
}
