//! One signed request, and its answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use kiln_server::accounts::{DEV_BATCH_ACCOUNT, DEV_BATCH_KEY};
use kiln_wire::api_version::ApiVersion;
use kiln_wire::auth::{SignedRequest, shared_key_batch};
use serde_json::Value;

use super::now;

/// A request that is about to be made.
pub(crate) struct Ask {
    url: String,
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    account: String,
    key: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) bytes: Bytes,
    /// The body, where it is JSON.
    pub(crate) body: Value,
}

impl Ask {
    /// Asks for a path, or for a whole URL as the server gave it.
    pub(crate) fn new(url: &str, method: &'static str, path: &str) -> Self {
        let path = path.strip_prefix(url).unwrap_or(path);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self {
            url: url.to_owned(),
            method,
            path: path.to_owned(),
            query,
            headers: vec![("ocp-date".to_owned(), now().to_rfc1123())],
            body: None,
            account: DEV_BATCH_ACCOUNT.to_owned(),
            key: DEV_BATCH_KEY.to_owned(),
        }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    pub(crate) fn text(mut self, body: String) -> Self {
        self.body = Some(Bytes::from(body));
        self.header("content-type", "application/json; odata=minimalmetadata")
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks in this api-version, and not in the newest; none at all when empty.
    pub(crate) fn version(self, version: &str) -> Self {
        self.query("api-version", version)
    }

    /// Gives a header, in place of an earlier one of that name.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn signed_by(mut self, account: &str, key: &str) -> Self {
        self.account = account.to_owned();
        self.key = key.to_owned();
        self
    }

    pub(crate) async fn send(mut self) -> Reply {
        if !self.query.iter().any(|(name, _)| name == "api-version") {
            self = self.version(ApiVersion::NEWEST.as_str());
        }
        self.query.retain(|(name, value)| name != "api-version" || !value.is_empty());
        let asked = format!("{} {} {:?}", self.method, self.path, self.query);
        let body = self.body.take().unwrap_or_default();
        if matches!(self.method, "POST" | "PATCH" | "PUT") {
            self.headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        if !self.headers.iter().any(|(name, _)| name == "authorization") {
            let request = SignedRequest {
                method: self.method,
                raw_path: &self.path,
                query: &self.query,
                headers: &self.headers,
            };
            let value = shared_key_batch::sign(&request, &self.account, &self.key);
            self.headers.push(("authorization".to_owned(), value.expect("the key is base64")));
        }
        self.exchange(asked, body).await
    }

    async fn exchange(self, asked: String, body: Bytes) -> Reply {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let host = self.url.trim_start_matches("http://").to_owned();
        let mut request = hyper::Request::builder()
            .method(self.method)
            .uri(format!("{}?{query}", self.path))
            .header("host", &host);
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        let stream = tokio::net::TcpStream::connect(&host).await.expect("the server listens");
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.expect("a connection");
        let exchange = async {
            let reply = sender.send_request(request).await.expect("an answer");
            let (head, body) = reply.into_parts();
            (head, body.collect().await.expect("a whole body").to_bytes())
        };
        tokio::pin!(exchange, connection);
        let (head, bytes) = tokio::select! {
            whole = &mut exchange => whole,
            ended = &mut connection => {
                assert!(ended.is_ok(), "{asked}: the connection broke: {ended:?}");
                exchange.await
            }
        };
        Reply {
            asked,
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
        }
    }
}

/// Asks for the blob at a URL that opens it; makes it when there are bytes.
pub(crate) async fn blob(url: &str, bytes: Option<&[u8]>) -> Reply {
    let slash = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    let (endpoint, path) = url.split_at(slash);
    let body = bytes.map(Bytes::copy_from_slice).unwrap_or_default();
    let method = if bytes.is_some() { "PUT" } else { "GET" };
    let ask = Ask::new(endpoint, method, path)
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-version", "2021-12-02")
        .header("content-length", &body.len().to_string());
    ask.exchange(format!("{method} {path}"), body).await
}

impl Reply {
    /// The answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let Self { asked, body, .. } = &self;
        assert_eq!(self.status, status, "{asked}: {body:#}");
        self
    }

    /// The answer, which must refuse in the service's form, with this status and code.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, code: &str) -> Self {
        let Self { asked, body, .. } = &self;
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{asked}: {body:#}");
        let request_id = self.header("request-id").expect("an id");
        let text = body["message"]["value"].as_str().expect("a message");
        assert!(text.contains(&format!("\nRequestId:{request_id}\nTime:")), "{text}");
        assert_eq!(body["message"]["lang"], "en-US");
        let metadata = body["odata.metadata"].as_str().expect("metadata");
        assert!(metadata.ends_with(
            "/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"
        ));
        assert_eq!(self.header("content-type"), Some("application/json;odata=minimalmetadata"));
        self
    }

    /// A value that a refusal gives beside its message.
    pub(crate) fn value(&self, key: &str) -> &str {
        let values = self.body["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = values.iter().find(|it| it["key"] == key);
        found.and_then(|it| it["value"].as_str()).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The ids of a list.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let items = self.body["value"].as_array().expect("a list");
        items.iter().filter_map(|it| it["id"].as_str()).collect()
    }
}
