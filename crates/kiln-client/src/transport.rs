//! Sends signed requests and reads refusals.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use kiln_domain::time::Timestamp;
use kiln_wire::auth::{SignedRequest, shared_key_batch, shared_key_blob};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, Url};

use crate::error::{DecodeError, from_json, from_xml};
use crate::{ClientError, Credentials, ServiceError};

/// Time to reach the service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence while an answer is read.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// The characters of a path segment that need no escape.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path of segments.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Which service is asked: they sign and refuse differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Batch,
    Blob,
}

/// A connection to one endpoint, with or without an account's key.
#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    service: Service,
    endpoint: Url,
    access: Access,
}

/// What opens a service to its client.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// An account's key.
    Key(Credentials),
    /// A shared access signature, as a query without its question mark.
    Signature(String),
    /// Nothing: what is asked for is public, or its URL says it all.
    #[default]
    Public,
}

impl From<Option<Credentials>> for Access {
    fn from(credentials: Option<Credentials>) -> Self {
        credentials.map_or(Self::Public, Self::Key)
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Bytes>,
}

impl Call {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: None }
    }

    pub(crate) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }
}

/// Joins path segments, each escaped whole: a `/` in an id stays in its segment.
pub(crate) fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |mut path, segment| {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
        path
    })
}

/// Escapes a blob's name; its `/` stay.
pub(crate) fn blob_path(container: &str, blob: &str) -> String {
    let blob = utf8_percent_encode(blob, PATH);
    format!("/{}/{blob}", utf8_percent_encode(container, SEGMENT))
}

/// An HTTP client fit for `endpoint`: one on loopback is never asked through a proxy.
fn http_for(endpoint: &Url) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .tcp_nodelay(true);
    if endpoint.scheme() == "http" {
        builder = builder.tls_built_in_root_certs(false);
    }
    let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback()) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(ClientError::Start)
}

impl Transport {
    pub(crate) fn new(
        service: Service,
        endpoint: &str,
        access: impl Into<Access>,
    ) -> Result<Self, ClientError> {
        let invalid = || ClientError::Endpoint { text: endpoint.to_owned() };
        let endpoint = Url::parse(endpoint).map_err(|_not_a_url| invalid())?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none() {
            return Err(invalid());
        }
        Ok(Self { http: http_for(&endpoint)?, service, endpoint, access: access.into() })
    }

    /// The endpoint without a slash at its end.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match &self.access {
            Access::Key(credentials) => Some(credentials),
            Access::Signature(_) | Access::Public => None,
        }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Sends `call`; an answer with a status of 400 or more is an error.
    pub(crate) async fn send(&self, call: Call) -> Result<Response, ClientError> {
        let text = format!("{}{}", self.endpoint(), call.path);
        let mut url = Url::parse(&text).map_err(|_not_a_url| ClientError::Endpoint { text })?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        if let Access::Signature(token) = &self.access {
            let query = url.query().filter(|it| !it.is_empty());
            let query = query.map_or_else(|| token.clone(), |query| format!("{query}&{token}"));
            url.set_query(Some(&query));
        }
        self.send_to(url, call).await
    }

    /// Sends `call` to the whole URL `next`, as the service gave it for the next page.
    pub(crate) async fn follow(&self, next: &str, call: Call) -> Result<Response, ClientError> {
        let url = Url::parse(next)
            .map_err(|_not_a_url| ClientError::Endpoint { text: next.to_owned() })?;
        self.send_to(url, call).await
    }

    async fn send_to(&self, url: Url, call: Call) -> Result<Response, ClientError> {
        let asked = format!("{} {}", call.method, url.path());
        let mut headers = self.own_headers(&call);
        if let Some(credentials) = self.credentials() {
            let value = self.sign(credentials, &call.method, &url, &headers)?;
            headers.push(("authorization".to_owned(), value));
        }
        let mut request = self.http.request(call.method, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|source| self.broken(&asked, source))?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        Err(self.refusal(asked, response).await)
    }

    fn own_headers(&self, call: &Call) -> Vec<(String, String)> {
        let mut headers: Vec<_> =
            call.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let date = match self.service {
            Service::Batch => "ocp-date",
            Service::Blob => "x-ms-date",
        };
        headers.push((date.to_owned(), now().to_rfc1123()));
        if let Some(body) = &call.body {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        headers
    }

    fn sign(
        &self,
        credentials: &Credentials,
        method: &Method,
        url: &Url,
        headers: &[(String, String)],
    ) -> Result<String, ClientError> {
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let request =
            SignedRequest { method: method.as_str(), raw_path: url.path(), query: &query, headers };
        let Credentials { account, key } = credentials;
        let signed = match self.service {
            Service::Batch => shared_key_batch::sign(&request, account, key),
            Service::Blob => shared_key_blob::sign(&request, account, key),
        };
        signed.map_err(|source| ClientError::Sign { account: account.clone(), source })
    }

    async fn refusal(&self, asked: String, response: Response) -> ClientError {
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let request_id = header("request-id").or_else(|| header("x-ms-request-id"));
        let header_code = header("x-ms-error-code");
        // A refusal whose text breaks off is still a refusal.
        let body = response.bytes().await.unwrap_or_default();
        let (code, message, values) = match self.service {
            Service::Batch => from_json(&body),
            Service::Blob => from_xml(&body),
        };
        let code = header_code.unwrap_or(code);
        ClientError::Service(Box::new(ServiceError {
            asked,
            status,
            code,
            message,
            values,
            request_id,
        }))
    }

    /// Reads the whole body of an answer.
    pub(crate) async fn read(&self, response: Response) -> Result<Bytes, ClientError> {
        let asked = response.url().path().to_owned();
        response.bytes().await.map_err(|source| self.broken(&asked, source))
    }

    /// Reads an answer of JSON.
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<T, ClientError> {
        let asked = response.url().path().to_owned();
        let body = self.read(response).await?;
        serde_json::from_slice(&body)
            .map_err(|source| ClientError::Decode { asked, source: DecodeError::Json(source) })
    }

    /// The error of an answer that broke off.
    pub(crate) fn broken(&self, asked: &str, source: reqwest::Error) -> ClientError {
        ClientError::Transport {
            asked: asked.to_owned(),
            endpoint: self.endpoint().to_owned(),
            source: source.without_url(),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("service", &self.service)
            .field("endpoint", &self.endpoint.as_str())
            .field("credentials", &self.credentials())
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "a request is signed with the time it is sent")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::{blob_path, path};

    #[test]
    fn paths_are_escaped_once() {
        assert_eq!(path(&["jobs", "a b/c"]), "/jobs/a%20b%2Fc");
        assert_eq!(blob_path("c1", "dir/a b%.txt"), "/c1/dir/a%20b%25.txt");
    }
}
