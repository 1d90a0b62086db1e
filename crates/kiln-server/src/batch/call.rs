//! One request, authenticated and taken apart.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use kiln_domain::limits;
use kiln_domain::time::Timestamp;
use kiln_wire::api_version::ApiVersion;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::{Gates, Operation, Shape, lift, operation_of};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use super::error::disk_full;
use super::{authenticate, spec};
use crate::http::{BodyError, Headers, Request};
use crate::room::{TO_ADD_BYTES_MIN, room_of};
use crate::server::Server;

/// One request, authenticated and taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) server: Arc<Server>,
    /// The Batch account that asks.
    pub(super) account: String,
    pub(super) version: ApiVersion,
    pub(super) method: Method,
    /// Which of Azure's operations it asks for; the api-version has it.
    pub(super) operation: Option<Operation>,
    /// Segments of the path, decoded.
    pub(super) segments: Vec<String>,
    /// The path as on the wire.
    pub(super) raw_path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Headers,
    /// Scheme and host that links in answers begin with.
    pub(super) base_url: String,
    pub(super) request_id: String,
    pub(super) now: Timestamp,
    body: Bytes,
}

impl Call {
    /// Checks version, signature and size of a request, and reads its body.
    pub(super) async fn accept(server: Arc<Server>, request: Request) -> Result<Self, Refusal> {
        let version = resolve_version(&request)?;
        let caller = authenticate::caller(&server, &request)?;
        let limit = if request.raw_path.ends_with("/addtaskcollection") {
            Gates::of(version).task_collection_bytes_max
        } else {
            limits::BATCH_BODY_BYTES_MAX
        };
        let segments = split_path(&request.raw_path)?;
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        caller.may_use(&names)?;
        let operation = operation_of(request.method.as_str(), &names);
        if let Some(operation) = operation {
            request.asked.note(crate::monitor::Operation::Batch(operation.name));
            if operation.adds() {
                require_room(&server)?;
            }
        }
        if operation.is_some_and(|it| !it.is_in(version)) {
            return Err(Refusal::invalid_uri());
        }
        let base_url = request.base_url();
        let body = request.body.collect(limit).await.map_err(|error| match error {
            BodyError::TooLarge { limit_bytes } => Refusal::body_too_large(limit_bytes),
            BodyError::Broken(cause) => Refusal::body_unreadable(cause.to_string()),
        })?;
        Ok(Self {
            server,
            account: caller.account,
            version,
            method: request.method,
            operation,
            segments,
            raw_path: request.raw_path,
            query: request.query,
            headers: request.headers,
            base_url,
            request_id: request.request_id.to_string(),
            now: request.received_at,
            body,
        })
    }

    /// The body as a document of the newest api-version.
    pub(super) fn lift(&self, shape: Shape) -> Result<Value, Refusal> {
        let mut document = lift(self.version, shape, &self.body)?;
        spec::forget_passwords(&mut document);
        Ok(document)
    }

    /// The body of one of Kiln's own operations; one that is empty says nothing.
    pub(super) fn own_body<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&self.body)
            .map_err(|cause| Refusal::body_unreadable(cause.to_string()))
    }

    /// The first value of a query parameter, its name compared without case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter says `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The URL of this request without its query.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.base_url, self.raw_path)
    }

    /// The refusal of an operation that is not there.
    pub(super) fn not_offered(&self) -> Refusal {
        match self.operation {
            Some(operation) => {
                Refusal::not_implemented(format!("Kiln does not offer {} yet", operation.name))
            }
            None => Refusal::invalid_uri(),
        }
    }
}

/// What would take the last of the disk is refused: removing needs some of it.
fn require_room(server: &Server) -> Result<(), Refusal> {
    match room_of(&server.config.data) {
        Some(room) if room.free_bytes < TO_ADD_BYTES_MIN => Err(disk_full()),
        // What can not be asked is found out by writing.
        Some(_) | None => Ok(()),
    }
}

fn resolve_version(request: &Request) -> Result<ApiVersion, Refusal> {
    let text = request
        .parameter("api-version")
        .ok_or_else(|| Refusal::missing_query_parameter("api-version"))?;
    let resolved = ApiVersion::parse(text).map_err(Refusal::from)?;
    if resolved.is_newer_than_known {
        warn!(asked = text, served = resolved.version.as_str(), "unknown newer api-version");
    }
    Ok(resolved.version)
}

/// Splits at the slashes as they are on the wire, then decodes each segment; slashes within a
/// segment (`files/wd%2Fout.txt`) separate as well.
fn split_path(raw_path: &str) -> Result<Vec<String>, Refusal> {
    let mut segments = Vec::new();
    for raw in raw_path.split('/').filter(|segment| !segment.is_empty()) {
        let segment =
            percent_decode_str(raw).decode_utf8().map_err(|_bytes| Refusal::invalid_uri())?;
        segments.extend(segment.split(['/', '\\']).filter(|it| !it.is_empty()).map(str::to_owned));
    }
    Ok(segments)
}
