//! One connection to the Batch endpoint, with signed requests.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kiln_server::accounts::{DEV_BATCH_ACCOUNT, DEV_BATCH_KEY};
use kiln_wire::auth::{SignedRequest, shared_key_batch};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock;

/// What the requests are written for.
const VERSION: &str = "2024-07-01.20.0";

/// One connection.
pub(crate) struct Client {
    host: String,
    sender: SendRequest<Full<Bytes>>,
    /// What drives the connection, as long as this is there.
    _connection: JoinSet<()>,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Result<Self, String> {
        let host = url.trim_start_matches("http://").to_owned();
        let told = |cause: std::io::Error| format!("no connection to {url}: {cause}");
        let stream = TcpStream::connect(&host).await.map_err(told)?;
        stream.set_nodelay(true).map_err(told)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| format!("no connection to {url}: {cause}"))?;
        let mut driver = JoinSet::new();
        // Its end is seen by who asks.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { host, sender, _connection: driver })
    }

    /// Asks for `path`, and takes any answer.
    pub(crate) async fn send(
        &mut self,
        method: &'static str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<(u16, Bytes), String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let all: Vec<_> = query.iter().chain(&[("api-version", VERSION)]).map(owned).collect();
        let mut headers = vec![("ocp-date".to_owned(), clock::time().to_rfc1123())];
        if let Some(body) = &body {
            let json = "application/json; odata=minimalmetadata";
            headers.push(("content-type".to_owned(), json.to_owned()));
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        let request = SignedRequest { method, raw_path: path, query: &all, headers: &headers };
        let signature = shared_key_batch::sign(&request, DEV_BATCH_ACCOUNT, DEV_BATCH_KEY)
            .map_err(|cause| cause.to_string())?;
        headers.push(("authorization".to_owned(), signature));
        let mut target = format!("{path}?");
        for (name, value) in &all {
            // Only filters have characters that a target may not have.
            let value = value.replace(' ', "%20").replace('\'', "%27");
            target.extend([name.as_str(), "=", &value, "&"]);
        }
        let target = target.trim_end_matches('&');
        let mut asked =
            hyper::Request::builder().method(method).uri(target).header("host", &self.host);
        for (name, value) in &headers {
            asked = asked.header(name, value);
        }
        let told = |cause: &dyn std::fmt::Display| format!("{method} {path}: {cause}");
        let asked =
            asked.body(Full::new(body.unwrap_or_default())).map_err(|cause| told(&cause))?;
        self.sender.ready().await.map_err(|cause| told(&cause))?;
        let answer = self.sender.send_request(asked).await.map_err(|cause| told(&cause))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|cause| told(&cause))?;
        Ok((status, body.to_bytes()))
    }

    /// Asks for `path`; the answer must have this status.
    pub(crate) async fn ask(
        &mut self,
        (method, path): (&'static str, &str),
        query: &[(&str, &str)],
        body: Option<&Value>,
        expected: u16,
    ) -> Result<Bytes, String> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let (status, bytes) = self.send(method, path, query, body).await?;
        if status == expected {
            return Ok(bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        Err(format!("{method} {path} {query:?}: status {status}, not {expected}: {text}"))
    }

    /// A document.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Value, String> {
        let bytes = self.ask(("GET", path), &[], None, 200).await?;
        serde_json::from_slice(&bytes).map_err(|cause| format!("GET {path}: {cause}"))
    }
}
