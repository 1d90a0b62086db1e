//! The proxy between local sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use kiln_domain::time::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{Caught, Handlers, Proxy, split_url};
use crate::intercept::{Authority, AzureHost, Upstream};

struct World {
    address: SocketAddr,
    authority: Arc<Authority>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    directory: std::path::PathBuf,
}

fn now() -> Timestamp {
    Timestamp::parse_iso("2026-11-22T12:00:00Z").expect("a time")
}

/// Answers one request with the host it was asked under, and echoes what follows the head.
async fn echo(mut caught: Caught) {
    let mut buffer = vec![0; 4096];
    let n = caught.stream.read(&mut buffer).await.expect("a request");
    let line = String::from_utf8_lossy(&buffer[..n]).lines().next().unwrap_or("").to_owned();
    let text = format!("{} {} {line}\n", caught.host, caught.is_tls);
    caught.stream.write_all(text.as_bytes()).await.expect("to answer");
    caught.stream.shutdown().await.expect("to end");
}

async fn start(name: &str, upstream: Option<Upstream>) -> World {
    let directory = std::env::temp_dir().join(format!("kiln-proxy-{name}-{}", std::process::id()));
    let authority = Arc::new(Authority::open(&directory, None, now()).expect("an authority"));
    let stop = CancellationToken::new();
    let handlers = Handlers {
        is_ours: Arc::new(|host| match host {
            AzureHost::Blob { account } => account == "mine",
            AzureHost::Batch { account, .. } => account == "mybatch",
        }),
        serve: Arc::new(|caught| echo(caught).boxed()),
        now: Arc::new(now),
    };
    let proxy = Proxy::new(Arc::clone(&authority), upstream, handlers, stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = JoinSet::new();
    tasks.spawn(proxy.run(listener));
    World { address, authority, stop, tasks, directory }
}

impl World {
    async fn say(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("the proxy");
        stream.write_all(text.as_bytes()).await.expect("to ask");
        stream
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        std::fs::remove_dir_all(&self.directory).expect("to remove the scratch directory");
    }
}

async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    String::from_utf8(head).expect("text")
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    text
}

/// A server that answers every connection with `text` after its first bytes.
async fn origin(text: &'static str) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let n = stream.read(&mut buffer).await.expect("bytes");
            stream.write_all(text.as_bytes()).await.expect("to answer");
            stream.write_all(&buffer[..n]).await.expect("to answer");
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn known_accounts_end_here() {
    let world = start("caught", None).await;
    for host in ["mine.blob.core.windows.net", "MyBatch.westeurope.batch.azure.com"] {
        // As requests-based Python asks: no header, not even Host.
        let mut stream = world.say(&format!("CONNECT {host}:443 HTTP/1.0\r\n\r\n")).await;
        assert!(head_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let mut roots = RootCertStore::empty();
        roots.add(world.authority.certificate().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let mut tls = connector.connect(name, stream).await.expect("a handshake");
        tls.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.expect("to ask");
        let mut text = String::new();
        tls.read_to_string(&mut text).await.expect("an answer");
        assert_eq!(text, format!("{} true GET /x HTTP/1.1\n", host.to_lowercase()));
    }
    world.end().await;
}

#[tokio::test]
async fn other_hosts_are_tunnelled_untouched() {
    let world = start("tunnel", None).await;
    let (address, tasks) = origin("origin:").await;
    // `Connection: close` on CONNECT must not end the tunnel.
    let ask = format!("CONNECT {address} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let mut stream = world.say(&ask).await;
    assert!(head_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
    stream.write_all(b"\x00\x01raw").await.expect("to write");
    assert_eq!(rest_of(&mut stream).await, "origin:\0\x01raw");
    drop(tasks);
    world.end().await;
}

#[tokio::test]
async fn plain_requests_are_forwarded() {
    let world = start("plain", None).await;
    let (address, tasks) = origin("").await;
    let ask = format!("GET http://{address}/a?b HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut stream = world.say(&ask).await;
    let seen = rest_of(&mut stream).await;
    assert_eq!(seen, format!("GET /a?b HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
    let mut stream = world.say("GET http://mine.blob.core.windows.net/c HTTP/1.1\r\n\r\n").await;
    assert_eq!(rest_of(&mut stream).await, "mine.blob.core.windows.net false GET /c HTTP/1.1\n");
    drop(tasks);
    world.end().await;
}

#[tokio::test]
async fn the_machines_own_proxy_is_used() {
    let (proxy_address, tasks) = origin("HTTP/1.1 200 OK\r\n\r\n").await;
    let upstream = Upstream::parse(&format!("http://u:p@{proxy_address}"), "").expect("a proxy");
    let world = start("upstream", upstream).await;
    let mut stream = world.say("CONNECT example.invalid:443 HTTP/1.1\r\n\r\n").await;
    assert!(head_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(
        rest_of(&mut stream).await,
        "CONNECT example.invalid:443 HTTP/1.1\r\nHost: example.invalid:443\r\n\
         Proxy-Authorization: Basic dTpw\r\n\r\n"
    );
    drop(tasks);
    world.end().await;
}

#[tokio::test]
async fn refusals_say_why() {
    let world = start("refusals", None).await;
    for (ask, status, text) in [
        ("GET / HTTP/1.1\r\n\r\n", "400", "forward proxy"),
        ("CONNECT :443 HTTP/1.1\r\n\r\n", "400", "is not HOST:PORT"),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", "502", "cannot reach 127.0.0.1:1"),
        ("\x16\x03\x01\n\n", "400", "not an HTTP request"),
    ] {
        let mut stream = world.say(ask).await;
        let answer = rest_of(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(text), "{answer}");
    }
    world.end().await;
}

#[test]
fn urls() {
    let check = |url, expected: Option<(&str, &str)>| {
        let split = split_url(url);
        assert_eq!(split.as_ref().map(|(host, path)| (*host, path.as_str())), expected, "{url}");
    };
    check("http://h/p?q", Some(("h", "/p?q")));
    check("HTTP://h:1", Some(("h:1", "/")));
    check("http://h?q", Some(("h", "/?q")));
    check("http://u:p@h/", Some(("h", "/")));
    check("https://h/", None);
    check("/p", None);
}
