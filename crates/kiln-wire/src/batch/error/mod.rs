//! Refusals as the Batch service words them.

mod code;
mod rejection;

use std::fmt;

use kiln_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use self::code::Code;
use super::metadata;
use crate::api_version::UnknownVersion;
use crate::auth::Mismatch;

/// An answer that says no: status, code, a sentence and what it is about.
///
/// The sentence is also the reason phrase of the answer: clients read it there when an answer
/// to `HEAD` has no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Azure's name for the error.
    pub code: &'static str,
    /// One sentence, without line breaks.
    pub message: String,
    /// What it is about, as keys and values.
    pub values: Vec<(String, String)>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)?;
        for (key, value) in &self.values {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// The body of the answer. `base_url` is scheme and host as the client knows them.
    pub fn body(&self, base_url: &str, request_id: &str, at: Timestamp) -> Vec<u8> {
        let mut body = self.members(request_id, at);
        body.insert("odata.metadata".to_owned(), metadata::ERROR.url(base_url).into());
        Value::Object(body).to_string().into_bytes()
    }

    /// The same as the `error` of one task in the answer to a collection.
    pub fn in_task_result(&self, request_id: &str, at: Timestamp) -> Value {
        Value::Object(self.members(request_id, at))
    }

    fn members(&self, request_id: &str, at: Timestamp) -> Map<String, Value> {
        let time = at.to_iso_seven();
        let text = format!("{}\nRequestId:{request_id}\nTime:{time}", self.message);
        let mut members = Map::new();
        members.insert("code".to_owned(), self.code.into());
        members.insert("message".to_owned(), json!({ "lang": "en-US", "value": text }));
        if !self.values.is_empty() {
            let values =
                self.values.iter().map(|(key, value)| json!({ "key": key, "value": value }));
            members.insert("values".to_owned(), values.collect());
        }
        members
    }

    /// Seconds after which the client should ask again, for a `Retry-After` header.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        (self.status == 503).then_some(30)
    }

    fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.values.push((key.to_owned(), value.into()));
        self
    }

    fn because(self, reason: impl Into<String>) -> Self {
        self.with("Reason", reason)
    }
}

/// Refusals of the request itself, before any rule of Batch looks at it.
impl Refusal {
    /// A header that must be there is not.
    pub fn missing_header(name: &str) -> Self {
        Code::MISSING_REQUIRED_HEADER.refusal().with("HeaderName", name)
    }

    /// A header has a value that cannot be read.
    pub fn invalid_header(name: &str, value: &str) -> Self {
        Code::INVALID_HEADER_VALUE.refusal().with("HeaderName", name).with("HeaderValue", value)
    }

    /// A query parameter that must be there is not.
    pub fn missing_query_parameter(name: &str) -> Self {
        Code::MISSING_REQUIRED_QUERY_PARAMETER.refusal().with("QueryParameterName", name)
    }

    /// A query parameter has a value that is not allowed.
    pub fn invalid_query_parameter(name: &str, value: &str, reason: impl Into<String>) -> Self {
        Code::INVALID_QUERY_PARAMETER_VALUE
            .refusal()
            .with("QueryParameterName", name)
            .with("QueryParameterValue", value)
            .because(reason)
    }

    /// A query parameter that the operation does not have.
    pub fn unsupported_query_parameter(name: &str) -> Self {
        Code::UNSUPPORTED_QUERY_PARAMETER.refusal().with("QueryParameterName", name)
    }

    /// A body that is not JSON.
    pub(crate) fn body_is_not_json(error: &serde_json::Error) -> Self {
        Code::INVALID_REQUEST_BODY.refusal().because(format!("The body is not JSON: {error}"))
    }

    /// A body that is JSON but no object.
    pub(crate) fn body_is_no_object() -> Self {
        Code::INVALID_REQUEST_BODY.refusal().because("The body must be a JSON object")
    }

    /// A body that could not be received whole.
    pub fn body_unreadable(reason: impl Into<String>) -> Self {
        Code::INVALID_REQUEST_BODY.refusal().because(reason)
    }

    /// A property that must be there is not; `path` as in `startTask.commandLine`.
    pub fn missing_property(path: impl Into<String>) -> Self {
        Code::MISSING_REQUIRED_PROPERTY.refusal().with("PropertyName", path)
    }

    /// A property that this api-version does not have.
    pub fn unsupported_property(path: impl Into<String>) -> Self {
        Code::UNSUPPORTED_PROPERTY.refusal().with("PropertyName", path)
    }

    /// A property with a value that is not allowed.
    pub fn invalid_property(
        path: impl Into<String>,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Code::INVALID_PROPERTY_VALUE
            .refusal()
            .with("PropertyName", path)
            .with("PropertyValue", shortened(value.into()))
            .because(reason)
    }

    /// An `Authorization` header that cannot be read.
    pub fn invalid_authentication_info(detail: impl Into<String>) -> Self {
        Code::INVALID_AUTHENTICATION_INFO.refusal().with("AuthenticationErrorDetail", detail)
    }

    /// A signature, account or date that does not authorize the request.
    pub fn authentication_failed(detail: impl Into<String>) -> Self {
        Code::AUTHENTICATION_FAILED.refusal().with("AuthenticationErrorDetail", detail)
    }

    /// The caller is known and may not do this.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Code::FORBIDDEN.refusal().because(reason)
    }

    /// The path leads to nothing.
    pub fn invalid_uri() -> Self {
        Code::INVALID_URI.refusal()
    }

    /// There is something at the path, and it does not do this.
    pub fn unsupported_verb() -> Self {
        Code::UNSUPPORTED_HTTP_VERB.refusal()
    }

    /// The resource does not exist, and has no code of its own for that.
    pub fn resource_not_found() -> Self {
        Code::RESOURCE_NOT_FOUND.refusal()
    }

    /// More than one of the conditions that exclude each other.
    pub fn multiple_conditions() -> Self {
        Code::MULTIPLE_CONDITION_HEADERS.refusal()
    }

    /// A body that is too large; clients halve their collections when they see the code.
    pub fn body_too_large(limit_bytes: usize) -> Self {
        Code::REQUEST_BODY_TOO_LARGE.refusal().with("MaxLimit", limit_bytes.to_string())
    }

    /// A body whose length is not known.
    pub fn missing_content_length() -> Self {
        Code::MISSING_CONTENT_LENGTH.refusal()
    }

    /// Something of ours broke.
    pub fn internal_error() -> Self {
        Code::INTERNAL_ERROR.refusal()
    }

    /// It took too long.
    pub fn operation_timed_out() -> Self {
        Code::OPERATION_TIMED_OUT.refusal()
    }

    /// There is no room now; later there may be.
    pub fn server_busy() -> Self {
        Code::SERVER_BUSY.refusal()
    }

    /// The operation is one of Azure's that Kiln does not offer.
    pub fn not_implemented(reason: impl Into<String>) -> Self {
        Code::NOT_IMPLEMENTED.refusal().because(reason)
    }
}

impl From<UnknownVersion> for Refusal {
    fn from(unknown: UnknownVersion) -> Self {
        let reason = unknown.to_string();
        Code::UNSUPPORTED_REQUEST_VERSION
            .refusal()
            .with("QueryParameterName", "api-version")
            .with("QueryParameterValue", unknown.text)
            .because(reason)
    }
}

impl From<Mismatch> for Refusal {
    fn from(mismatch: Mismatch) -> Self {
        let signed = mismatch.string_to_sign;
        Self::authentication_failed(format!(
            "The signature is not the one of the account key. The text to sign is '{signed}'"
        ))
    }
}

/// Cuts a value that would make the answer unreadable.
fn shortened(value: String) -> String {
    const CHARACTERS_MAX: usize = 256;
    match value.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use kiln_domain::rejection::Rejection;
    use kiln_domain::time::Timestamp;
    use serde_json::{Value, json};

    use super::Refusal;
    use crate::api_version::ApiVersion;

    #[test]
    fn bodies_are_as_recorded() {
        let at = Timestamp::parse_iso("2022-09-06T23:47:58.4177340Z").expect("a time");
        let refusal: Refusal = Rejection::PoolExists { pool: "p".to_owned() }.into();
        let body: Value =
            serde_json::from_slice(&refusal.body("https://h", "id-1", at)).expect("JSON");
        assert_eq!(
            body,
            json!({
                "odata.metadata": "https://h/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element",
                "code": "PoolExists",
                "message": {
                    "lang": "en-US",
                    "value": "The specified pool already exists.\nRequestId:id-1\nTime:2022-09-06T23:47:58.4177340Z",
                },
            })
        );
    }

    #[test]
    fn values_say_what_was_wrong() {
        let refusal = Refusal::invalid_query_parameter(
            "maxresults",
            "-5",
            "MaxResults cannot be less than 1",
        );
        assert_eq!(
            refusal.to_string(),
            "400 InvalidQueryParameterValue: Value for one of the query parameters specified in the \
             request URI is invalid. QueryParameterName=maxresults QueryParameterValue=-5 \
             Reason=MaxResults cannot be less than 1"
        );
        let unknown = ApiVersion::parse("2010-01-01").expect_err("unknown");
        let refusal = Refusal::from(unknown);
        assert_eq!((refusal.status, refusal.code), (400, "UnsupportedRequestVersion"));
        assert!(refusal.to_string().contains("2010-01-01"));
    }

    #[test]
    fn who_finds_no_room_is_told_when_to_come_back() {
        assert_eq!(Refusal::server_busy().retry_after_seconds(), Some(30));
        assert_eq!(Refusal::invalid_uri().retry_after_seconds(), None);
    }

    #[test]
    fn clients_find_the_phrases_they_look_for() {
        let job = || "j".to_owned();
        for (rejection, phrase) in [
            (Rejection::JobBeingDeleted { job: job() }, "marked for deletion"),
            (Rejection::JobCompleted { job: job() }, "already in a completed state."),
            (Rejection::JobScheduleCompleted { schedule: job() }, "already in completed state"),
            (Rejection::PoolBeingResized { pool: job() }, "ongoing resize operation"),
        ] {
            let refusal = Refusal::from(rejection);
            assert_eq!(refusal.status, 409);
            assert!(refusal.message.contains(phrase), "{}", refusal.message);
        }
        let failed = Refusal::authentication_failed("x").message;
        assert!(failed.contains("failed to authorize the request"));
    }
}
