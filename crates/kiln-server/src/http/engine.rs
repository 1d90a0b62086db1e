//! The engine: accepts connections and turns them into requests and answers.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Body, Request, Response, ResponseBody};
use crate::clock;

/// Connections of one listener that are open at once at the most.
const CONNECTIONS_MAX: usize = 4096;
/// Time in which a client must have sent the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one request head, and of the read buffer.
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// Time that open connections get to finish when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers the requests of a listener.
pub type Handler = Arc<dyn Fn(Request) -> Answer + Send + Sync>;

/// A bound address that is about to be served.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let inner = TcpListener::bind(address).await?;
        let address = inner.local_addr()?;
        Ok(Self { inner, address })
    }

    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop` is cancelled, then lets the open ones finish.
    pub async fn serve(self, handler: Handler, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.inner.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        debug!(%error, "no TCP_NODELAY");
                    }
                    let (handler, stop) = (Arc::clone(&handler), stop.clone());
                    connections.spawn(async move {
                        serve_connection(stream, false, Some(peer), handler, stop).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    warn!(%error, address = %self.address, "a connection was not accepted");
                    clock::pause(Duration::from_millis(50)).await;
                }
            }
        }
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            debug!(address = %self.address, "connections still open were cut");
        }
    }
}

/// Serves one connection until its client, or `stop`, ends it.
pub async fn serve_connection<S>(
    stream: S,
    is_tls: bool,
    peer: Option<SocketAddr>,
    handler: Handler,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let is_head = request.method() == http::Method::HEAD;
            let response = match to_request(request, is_tls, peer) {
                Ok(request) => handler(request).await,
                Err(status) => Response::new(status),
            };
            Ok::<_, Infallible>(from_response(response, is_head))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, ?peer, "connection ended early");
    }
}

fn to_request(
    request: hyper::Request<Incoming>,
    is_tls: bool,
    peer: Option<SocketAddr>,
) -> Result<Request, u16> {
    let (parts, body) = request.into_parts();
    let raw_query = parts.uri.query().unwrap_or("").to_owned();
    let host = match (parts.uri.authority(), parts.headers.get(http::header::HOST)) {
        (_, Some(host)) => host.to_str().map_err(|_not_text| 400_u16)?.to_owned(),
        (Some(authority), None) => authority.as_str().to_owned(),
        (None, None) => return Err(400),
    };
    let query = parse_query(&raw_query);
    let pieces = BodyStream::new(body).filter_map(|frame| {
        std::future::ready(match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error))),
        })
    });
    Ok(Request {
        method: parts.method,
        raw_path: parts.uri.path().to_owned(),
        raw_query,
        query,
        headers: parts.headers,
        host,
        is_tls,
        peer,
        body: Body::from_stream(pieces),
        received_at: clock::now(),
        request_id: clock::new_id(),
    })
}

/// Splits and decodes a query; a `+` is a space, as both Azure services read it.
fn parse_query(raw: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(raw.as_bytes()).into_owned().collect()
}

type EngineBody = UnsyncBoxBody<Bytes, io::Error>;

fn from_response(response: Response, is_head: bool) -> hyper::Response<EngineBody> {
    let mut out = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        // A value with a line end in it can not be sent; the answer goes without it.
        match http::HeaderValue::from_bytes(value.as_bytes()) {
            Ok(value) => out = out.header(name.as_ref(), value),
            Err(error) => warn!(%error, header = %name, "a header value was not sent"),
        }
    }
    if let Some(reason) = response.reason.as_deref().map(one_line)
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason.into_bytes())
    {
        out = out.extension(reason);
    }
    let empty = || Empty::new().map_err(|never| match never {}).boxed_unsync();
    let (length, body) = match response.body {
        ResponseBody::Empty => (None, empty()),
        ResponseBody::HeadOnly { length } => (Some(length), empty()),
        ResponseBody::Bytes(bytes) if is_head => (Some(bytes.len() as u64), empty()),
        ResponseBody::Bytes(bytes) => {
            (None, Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
        }
        ResponseBody::Stream { length, .. } if is_head => (length, empty()),
        ResponseBody::Stream { length, stream } => {
            (length, StreamBody::new(stream.map(|piece| piece.map(Frame::data))).boxed_unsync())
        }
    };
    if let Some(length) = length {
        out = out.header(http::header::CONTENT_LENGTH, length);
    }
    out.body(body).unwrap_or_else(|error| {
        warn!(%error, "an answer could not be built");
        let mut failed = hyper::Response::new(empty());
        *failed.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

/// The first line, as far as it is plain ASCII: what a reason phrase may hold.
fn one_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' })
        .collect()
}
