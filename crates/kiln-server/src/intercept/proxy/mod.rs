//! The forward proxy: Azure's names of known accounts end here, all else passes through.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_domain::time::Timestamp;
use kiln_http::Duplex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::intercept::head::{self, Head, HeadError, host_and_port};
use crate::intercept::{Authority, AzureHost, Rewound, Upstream};

/// Connections served at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// A client must say what it wants within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A TLS handshake takes no longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// A host that does not answer is given up after this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed accept, when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections may finish for this long when the proxy stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that ends here, after TLS.
pub struct Caught {
    /// The host name the client asked for, in lower case.
    pub host: String,
    /// Whether it came through TLS.
    pub is_tls: bool,
    /// Speaks HTTP/1.1.
    pub stream: Box<dyn Duplex>,
}

/// Says whether a host ends here.
pub type IsOurs = dyn Fn(&AzureHost) -> bool + Send + Sync;
/// Serves a caught connection until it closes.
pub type Serve = dyn Fn(Caught) -> BoxFuture<'static, ()> + Send + Sync;
/// Tells the time.
pub type Now = dyn Fn() -> Timestamp + Send + Sync;

/// What the service does for the proxy.
#[derive(Clone)]
pub struct Handlers {
    /// Whether a host names an account of this Kiln.
    pub is_ours: Arc<IsOurs>,
    /// Serves a connection to such a host.
    pub serve: Arc<Serve>,
    /// Tells the time.
    pub now: Arc<Now>,
}

/// The forward proxy.
#[derive(Debug)]
pub struct Proxy {
    authority: Arc<Authority>,
    upstream: Option<Upstream>,
    handlers: Handlers,
    stop: CancellationToken,
}

impl Proxy {
    /// A proxy that stops when `stop` is cancelled.
    pub fn new(
        authority: Arc<Authority>,
        upstream: Option<Upstream>,
        handlers: Handlers,
        stop: CancellationToken,
    ) -> Self {
        Self { authority, upstream, handlers, stop }
    }

    /// Serves `listener` until stopped. Tunnels end at once then; caught connections are
    /// given a while, for the service ends them itself.
    pub async fn run(self, listener: TcpListener) {
        let proxy = Arc::new(self);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = proxy.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    let proxy = Arc::clone(&proxy);
                    connections.spawn(async move {
                        proxy.converse(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "the proxy cannot accept a connection");
                    // An elapsed pause is the wanted outcome.
                    drop(timeout(ACCEPT_PAUSE, proxy.stop.cancelled()).await);
                }
            }
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            warn!(connections = connections.len(), "connections to the proxy were cut");
        }
    }

    async fn converse(&self, mut stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let read = tokio::select! {
            () = self.stop.cancelled() => return,
            read = timeout(HEAD_TIMEOUT, head::read(&mut stream)) => read,
        };
        let done = match read {
            Ok(Ok((head, early))) if head.method == "CONNECT" => {
                self.connect(stream, &head, early).await
            }
            Ok(Ok((head, early))) => self.forward(stream, &head, early).await,
            Ok(Err(HeadError::Closed | HeadError::Broken(_))) => Ok(()),
            Ok(Err(error @ (HeadError::TooLong | HeadError::NotHttp))) => {
                refuse(&mut stream, "400 Bad Request", &error.to_string()).await
            }
            Err(_elapsed) => refuse(&mut stream, "408 Request Timeout", "nothing was asked").await,
        };
        if let Err(error) = done {
            debug!(%error, "a connection to the proxy ended early");
        }
    }

    /// `CONNECT host:port`.
    async fn connect(&self, mut stream: TcpStream, head: &Head, early: Bytes) -> io::Result<()> {
        let Some((host, port)) = host_and_port(&head.target, 443) else {
            let text = format!("`{}` is not HOST:PORT", head.target);
            return refuse(&mut stream, "400 Bad Request", &text).await;
        };
        if port == 443 && self.catches(host) {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            return self.catch_tls(Rewound::new(early, stream), host).await;
        }
        match self.reach(host, port).await {
            Ok(origin) => {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                self.tunnel(stream, origin, early).await
            }
            Err(error) => unreachable_origin(&mut stream, host, port, &error).await,
        }
    }

    /// A request with a whole URL, `GET http://host/path`.
    async fn forward(&self, mut stream: TcpStream, head: &Head, early: Bytes) -> io::Result<()> {
        let Some((authority, path)) = split_url(&head.target) else {
            let text = "this is Kiln's forward proxy; programs find it through HTTPS_PROXY, \
                        see `kiln exec --help`";
            return refuse(&mut stream, "400 Bad Request", text).await;
        };
        let Some((host, port)) = host_and_port(authority, 80) else {
            let text = format!("`{authority}` is not HOST:PORT");
            return refuse(&mut stream, "400 Bad Request", &text).await;
        };
        let mut request = head.for_origin(authority, &path).to_vec();
        request.extend_from_slice(&early);
        let request = Bytes::from(request);
        if port == 80 && self.catches(host) {
            self.hand_over(host, false, Box::new(Rewound::new(request, stream))).await;
            return Ok(());
        }
        match self.reach(host, port).await {
            Ok(origin) => self.tunnel(stream, origin, request).await,
            Err(error) => unreachable_origin(&mut stream, host, port, &error).await,
        }
    }

    fn catches(&self, host: &str) -> bool {
        AzureHost::parse(host).is_some_and(|name| (self.handlers.is_ours)(&name))
    }

    async fn catch_tls(&self, stream: Rewound<TcpStream>, host: &str) -> io::Result<()> {
        let config = self
            .authority
            .server_config(host, (self.handlers.now)())
            .inspect_err(|error| warn!(%error, host, "no certificate for a caught host"))
            .map_err(io::Error::other)?;
        let accept = TlsAcceptor::from(config).accept(stream);
        let accepted = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            accepted = timeout(HANDSHAKE_TIMEOUT, accept) => accepted,
        };
        let stream = accepted
            .map_err(|_elapsed| io::Error::other("the TLS handshake took too long"))?
            .inspect_err(|error| {
                debug!(%error, host, "a TLS handshake failed; does the program trust the CA?");
            })?;
        self.hand_over(host, true, Box::new(stream)).await;
        Ok(())
    }

    async fn hand_over(&self, host: &str, is_tls: bool, stream: Box<dyn Duplex>) {
        let host = host.to_ascii_lowercase();
        (self.handlers.serve)(Caught { host, is_tls, stream }).await;
    }

    async fn reach(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let reaching = async {
            match self.upstream.as_ref().filter(|upstream| !upstream.bypasses(host)) {
                Some(upstream) => upstream.connect(host, port).await,
                None => TcpStream::connect((host, port)).await,
            }
        };
        let origin = timeout(CONNECT_TIMEOUT, reaching).await.map_err(|_elapsed| {
            io::Error::new(io::ErrorKind::TimedOut, "no answer within 20 seconds")
        })??;
        origin.set_nodelay(true)?;
        Ok(origin)
    }

    async fn tunnel(
        &self,
        mut client: TcpStream,
        mut origin: TcpStream,
        early: Bytes,
    ) -> io::Result<()> {
        origin.write_all(&early).await?;
        tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            copied = tokio::io::copy_bidirectional(&mut client, &mut origin) => copied.map(drop),
        }
    }
}

async fn unreachable_origin(
    stream: &mut TcpStream,
    host: &str,
    port: u16,
    error: &io::Error,
) -> io::Result<()> {
    refuse(stream, "502 Bad Gateway", &format!("cannot reach {host}:{port}: {error}")).await
}

async fn refuse(stream: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\nkiln: {text}\n",
        text.len() + "kiln: \n".len(),
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Splits `http://host:port/path?query`.
fn split_url(target: &str) -> Option<(&str, String)> {
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let authority = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    Some((authority, path))
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}

impl fmt::Debug for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caught")
            .field("host", &self.host)
            .field("is_tls", &self.is_tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
