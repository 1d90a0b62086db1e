//! The engine over real sockets: what goes in, byte for byte, and what comes out.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use kiln_http::{
    Duplex, FileRange, Handler, Listener, Piece, Request, Response, ResponseBody, Upgrade,
    serve_connection,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// No test waits longer for a server that says nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers each path in its own way.
#[expect(clippy::panic, reason = "a handler that panics is one of the cases")]
async fn answer(request: Request, gate: Arc<Semaphore>) -> Response {
    let Request { method, path, query, host, headers, mut body, .. } = request;
    match path.as_str() {
        "/head" => {
            let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
            let text = format!("{method} {path} {query} {host} {}", names.join(","));
            Response::new(200).with_header("x-Kept-As-IS", "1").with_body(text)
        }
        "/echo" => match body.collect(64 * 1024 * 1024).await {
            Ok(bytes) => Response::new(200).with_body(bytes),
            Err(error) => Response::new(400).with_body(error.to_string()),
        },
        "/count" => {
            let mut n_bytes = 0;
            while let Some(Ok(bytes)) = body.next().await {
                n_bytes += bytes.len();
            }
            Response::new(200).with_body(n_bytes.to_string())
        }
        "/first" => {
            let first = body.next().await;
            let is_some = first.is_some_and(|it| it.is_ok());
            Response::new(if is_some { 200 } else { 400 })
        }
        "/early" => Response::new(403).with_body("no"),
        "/none" => Response::new(204),
        "/panic" => panic!("on purpose"),
        "/wait" => {
            let place = gate.acquire().await;
            drop(place);
            Response::new(200).with_body("waited")
        }
        "/chunks" => {
            let pieces = ["a", "", "bcd"].map(|it| Ok(Bytes::from_static(it.as_bytes())));
            let stream = Box::pin(stream::iter(pieces));
            Response { body: ResponseBody::Stream { length: None, stream }, ..Response::new(200) }
        }
        "/short" => {
            let stream = Box::pin(stream::iter([Ok(Bytes::from_static(b"abc"))]));
            let body = ResponseBody::Stream { length: Some(5), stream };
            Response { body, ..Response::new(200) }
        }
        "/file" => Response { body: file(), ..Response::new(200) },
        "/shout" => {
            let upgrade = Upgrade::new("shout", |mut stream| async move {
                let mut word = [0; 3];
                while stream.read_exact(&mut word).await.is_ok() {
                    word.make_ascii_uppercase();
                    stream.write_all(&word).await.expect("taken");
                }
            });
            Response { body: ResponseBody::Upgrade(upgrade), ..Response::new(101) }
        }
        _ => Response::new(404),
    }
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 31 % 251).expect("below 251")).collect()
}

/// Bytes, a part of a file, bytes.
fn file() -> ResponseBody {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&noise(9_000_000)).expect("written");
    let range = FileRange { file: Arc::new(file), offset: 1000, length: 8_000_000 };
    let pieces = [
        Ok(Piece::Bytes(Bytes::from_static(b"begin"))),
        Ok(Piece::File(range)),
        Ok(Piece::Bytes(Bytes::from_static(b"end"))),
    ];
    ResponseBody::Pieces { length: 8_000_008, stream: Box::pin(stream::iter(pieces)) }
}

/// A server of its own for a test.
struct Rig {
    address: SocketAddr,
    stop: CancellationToken,
    gate: Arc<Semaphore>,
    serving: tokio::task::JoinSet<()>,
}

fn handler(gate: &Arc<Semaphore>, n_places: usize) -> Handler {
    let gate = Arc::clone(gate);
    Handler::with_places(
        move |request| answer(request, Arc::clone(&gate)),
        |refusal| {
            Response::new(refusal.status())
                .with_header("Retry-After", "1")
                .with_body(refusal.to_string())
        },
        n_places,
    )
}

impl Rig {
    async fn start(connections_max: usize, n_places: usize) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(any).await.expect("a port");
        let listener = listener.with_connections_max(connections_max);
        let (address, stop) = (listener.address(), CancellationToken::new());
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(listener.serve(handler(&gate, n_places), stop.clone()));
        Self { address, stop, gate, serving }
    }

    async fn connect(&self) -> Client<TcpStream> {
        Client { stream: TcpStream::connect(self.address).await.expect("connected") }
    }
}

struct Client<S> {
    stream: S,
}

impl<S: Duplex> Client<S> {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
    }

    /// All until the server closes.
    async fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let reading = self.stream.read_to_end(&mut all);
        tokio::time::timeout(PATIENCE, reading).await.expect("the server closes").expect("read");
        all
    }

    /// One answer whose length is told: its head and its body.
    async fn answer(&mut self) -> (String, Vec<u8>) {
        let reading = async {
            let head = self.head().await;
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length = length.map_or(0, |it| it.parse().expect("a number"));
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.expect("a body");
            (head, body)
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer")
    }

    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("a head"));
        }
        String::from_utf8(head).expect("text")
    }

    /// Sends a request and checks the first line of its answer.
    async fn check(&mut self, request: &str, line: &str) -> (String, Vec<u8>) {
        self.send(request).await;
        let (head, body) = self.answer().await;
        assert_eq!(head.lines().next(), Some(line), "{request:?}: {head}");
        (head, body)
    }
}

#[tokio::test]
async fn names_keep_their_case_both_ways_and_connections_are_kept() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    for _ in 0..3 {
        let request = "GET /head?a=%2f HTTP/1.1\r\nHOST: h\r\nx-ms-meta-AB: 1\r\n\r\n";
        let (head, body) = client.check(request, "HTTP/1.1 200 OK").await;
        assert_eq!(String::from_utf8_lossy(&body), "GET /head a=%2f h HOST,x-ms-meta-AB");
        assert!(head.contains("\r\nx-Kept-As-IS: 1\r\n"), "{head}");
    }
}

#[tokio::test]
async fn requests_that_arrive_together_or_in_crumbs_are_answered_in_order() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    let two = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\
               POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n\
               \r\nGET /head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    client.send(two).await;
    assert_eq!(client.answer().await.1, b"abc");
    assert_eq!(client.answer().await.1, b"de");
    let last = String::from_utf8(client.rest().await).expect("text");
    assert!(last.contains("\r\nConnection: close\r\n"), "{last}");

    let mut client = rig.connect().await;
    for byte in two.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.1, b"abc");
    assert_eq!(client.answer().await.1, b"de");
}

#[tokio::test]
async fn large_bodies_stream_in_and_out() {
    let rig = Rig::start(9, 9).await;
    let content = noise(5_000_000);
    let mut client = rig.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n").await;
    client.send(&content).await;
    assert!(client.answer().await.1 == content);
    client.send("POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for chunk in content.chunks(70_000) {
        client.send(format!("{:X};x=y\r\n", chunk.len())).await;
        client.send(chunk).await;
        client.send("\r\n").await;
    }
    client.send("0\r\nx-trailer: 1\r\n\r\n").await;
    assert_eq!(client.answer().await.1, b"5000000");
}

#[tokio::test]
async fn files_are_sent_whole_on_tcp_and_elsewhere() {
    let expected = [b"begin", &noise(9_000_000)[1000..8_001_000], b"end"].concat();
    let request = "GET /file HTTP/1.1\r\nHost: h\r\n\r\n";
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    for _ in 0..2 {
        assert!(client.check(request, "HTTP/1.1 200 OK").await.1 == expected);
    }
    let (near, far) = tokio::io::duplex(10_000);
    let mut serving = tokio::task::JoinSet::new();
    let far: Box<dyn Duplex> = Box::new(far);
    serving.spawn(serve_connection(far, true, None, handler(&rig.gate, 9), rig.stop.clone()));
    let mut client = Client { stream: near };
    for _ in 0..2 {
        assert!(client.check(request, "HTTP/1.1 200 OK").await.1 == expected);
    }
}

#[tokio::test]
async fn bodies_of_unknown_length_are_chunked_or_end_with_the_connection() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    client.send("GET /chunks HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    let text = String::from_utf8(client.rest().await).expect("text");
    assert!(text.contains("Transfer-Encoding: chunked\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n"), "{text}");
    let mut client = rig.connect().await;
    client.send("GET /chunks HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").await;
    let text = String::from_utf8(client.rest().await).expect("text");
    assert!(text.ends_with("Connection: close\r\n\r\nabcd"), "{text}");
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_the_connection() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    client.send("GET /short HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let text = String::from_utf8(client.rest().await).expect("text");
    assert!(text.ends_with("Content-Length: 5\r\n\r\nabc"), "{text}");
}

#[tokio::test]
async fn answers_without_a_body_say_so() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    client
        .send("HEAD /head HTTP/1.1\r\nHost: h\r\n\r\nHEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    client.send("GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    let text = String::from_utf8(client.rest().await).expect("text");
    let expected = "HTTP/1.1 200 OK\r\nx-Kept-As-IS: 1\r\nContent-Length: 18\r\n\r\n\
                    HTTP/1.1 404 Not Found\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
                    HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_gets_it_when_the_body_is_wanted() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    let head = |path| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    client.send(head("/echo")).await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc").await;
    assert_eq!(client.answer().await.1, b"abc");
    // One that did not wait is not told.
    client.send(head("/echo") + "abc").await;
    assert_eq!(client.answer().await.1, b"abc");
    // One that is refused can not be trusted to know whether it still sends its body.
    client.send(head("/early")).await;
    let text = String::from_utf8(client.rest().await).expect("text");
    assert!(text.starts_with("HTTP/1.1 403 "), "{text}");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
}

#[tokio::test]
async fn an_early_answer_arrives_and_the_connection_goes_on() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    let content = noise(6_000_000);
    for path in ["/early", "/first"] {
        client
            .send(format!("PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 6000000\r\n\r\n"))
            .await;
        client.send(&content).await;
        let (head, _) = client.answer().await;
        assert!(!head.contains("Connection"), "{head}");
    }
    client.check("GET /head HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK").await;
    // A body too long to be thrown away ends the connection, after its answer.
    let length = 1_u64 << 40;
    client
        .send(format!("PUT /early HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"))
        .await;
    let text = String::from_utf8(client.rest().await).expect("text");
    assert!(text.starts_with("HTTP/1.1 403 ") && text.contains("Connection: close"), "{text}");
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_the_connection_closed() {
    let rig = Rig::start(99, 9).await;
    let check = async |request: String, status: u16| {
        let mut client = rig.connect().await;
        client.send(&request).await;
        let text = String::from_utf8(client.rest().await).expect("text");
        let shown: String = request.chars().take(80).collect();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{shown:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{shown:?}: {text}");
    };
    check("GET / HTTP/1.1\r\n\r\n".to_owned(), 400).await;
    check("GET / HTTP/3.0\r\nHost: h\r\n\r\n".to_owned(), 505).await;
    check("\x16\x03\x01\x02\r\n\r\n".to_owned(), 400).await;
    check("GET / HTTP/1.1\nHost: h\n\nGET /\r\n\r\n".to_owned(), 400).await;
    let smuggled = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /";
    check(format!("POST /echo HTTP/1.1\r\nHost: h\r\n{smuggled}"), 400).await;
    check(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(40_000)), 414).await;
    check(format!("GET / HTTP/1.1\r\nHost: h\r\na: {}\r\n\r\n", "a".repeat(70_000)), 431).await;
    let chunked = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(format!("{chunked}3\r\nabcX\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 400).await;
    check(format!("{chunked}-1\r\nabc"), 400).await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_told_to_the_handler() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc").await;
    client.stream.shutdown().await.expect("half closed");
    let text = String::from_utf8(client.rest().await).expect("text");
    assert!(text.starts_with("HTTP/1.1 400 ") && text.ends_with("the body ended early"), "{text}");
}

#[tokio::test]
async fn a_panic_is_answered_and_hurts_nobody_else() {
    let rig = Rig::start(9, 9).await;
    let mut client = rig.connect().await;
    client
        .check("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 500 Internal Server Error")
        .await;
    client.check("GET /head HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK").await;
}

#[tokio::test]
async fn beyond_the_bounds_clients_are_told_to_come_back() {
    let rig = Rig::start(2, 1).await;
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    first.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await;
    // The place is taken once the second client is told so.
    let busy = loop {
        second.send("GET /head HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let (head, _) = second.answer().await;
        if head.starts_with("HTTP/1.1 503 ") {
            break head;
        }
    };
    assert!(busy.contains("\r\nRetry-After: 1\r\n"), "{busy}");
    let mut third = rig.connect().await;
    let text = String::from_utf8(third.rest().await).expect("text");
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Connection: close"), "{text}");
    rig.gate.add_permits(1);
    assert_eq!(first.answer().await.1, b"waited");
    second.check("GET /head HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK").await;
    drop(first);
    // A place is free again, sooner or later.
    loop {
        let mut fourth = rig.connect().await;
        fourth.send("GET /head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
        if fourth.rest().await.starts_with(b"HTTP/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_lets_requests_finish() {
    let mut rig = Rig::start(9, 9).await;
    let (mut idle, mut busy) = (rig.connect().await, rig.connect().await);
    idle.check("GET /head HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK").await;
    let body =
        "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    busy.send(body).await;
    assert_eq!(busy.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    rig.stop.cancel();
    assert!(idle.rest().await.is_empty());
    busy.send("abc").await;
    let text = String::from_utf8(busy.rest().await).expect("text");
    assert!(text.contains("Connection: close") && text.ends_with("\r\n\r\n3"), "{text}");
    rig.serving.join_next().await.expect("served").expect("without a panic");
}

#[tokio::test]
async fn a_connection_goes_on_in_another_protocol_until_one_side_ends_it() {
    let mut rig = Rig::start(9, 9).await;
    let ask = "POST /shout HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n";
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    // What comes right behind the request belongs to the new protocol.
    first.send(format!("{ask}abc")).await;
    let head = first.head().await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("Connection: upgrade\r\nUpgrade: shout\r\n"), "{head}");
    first.send("def").await;
    first.stream.shutdown().await.expect("half closed");
    assert_eq!(first.rest().await, b"ABCDEF");
    second.send(ask).await;
    second.head().await;
    rig.stop.cancel();
    assert!(second.rest().await.is_empty());
    rig.serving.join_next().await.expect("served").expect("without a panic");
    // A client that still sends a body, or speaks an old HTTP, can not change.
    let rig = Rig::start(9, 9).await;
    for request in
        [ask.replace("1.1", "1.0"), ask.replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n")]
    {
        let mut client = rig.connect().await;
        client.send(request).await;
        assert!(client.rest().await.is_empty());
    }
}
