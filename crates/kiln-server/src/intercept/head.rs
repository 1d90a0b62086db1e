//! The first lines of a request to the proxy.
//!
//! Only what the proxy needs is read: the request line, and the header lines as they are.
//! Clients differ: some send no header at all with CONNECT, not even Host.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes of request line and headers that the proxy accepts.
pub(super) const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Request line and headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The verb.
    pub(super) method: String,
    /// What the client wants: `host:port` or `http://host/path`.
    pub(super) target: String,
    /// Header lines without their ends.
    pub(super) lines: Vec<String>,
}

/// Why no head was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadError {
    /// The client closed before it said anything.
    #[error("the client closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// More than [`HEAD_BYTES_MAX`].
    #[error("request line and headers are longer than {HEAD_BYTES_MAX} bytes")]
    TooLong,
    /// Not HTTP.
    #[error("this is not an HTTP request")]
    NotHttp,
}

/// Reads a head; also gives the bytes that came after it.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Head, Bytes), HeadError> {
    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        if let Some(end) = end_of_head(&buffer) {
            let head = buffer.split_to(end);
            return Ok((parse(&head).ok_or(HeadError::NotHttp)?, buffer.freeze()));
        }
        if buffer.len() >= HEAD_BYTES_MAX {
            return Err(HeadError::TooLong);
        }
        let n = stream.read_buf(&mut buffer).await.map_err(HeadError::Broken)?;
        if n == 0 {
            return Err(if buffer.is_empty() { HeadError::Closed } else { HeadError::NotHttp });
        }
    }
}

/// Where the head ends: behind the first empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let lf = bytes.windows(2).position(|two| two == b"\n\n").map(|at| at + 2);
    match (crlf, lf) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let mut words = lines.next()?.split_ascii_whitespace();
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    let lines = lines.filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
    Some(Head { method: method.to_owned(), target: target.to_owned(), lines })
}

impl Head {
    /// The same request as the origin wants it: `path` in place of the whole URL, without
    /// what is meant for the proxy, and the last one on its connection.
    pub(super) fn for_origin(&self, authority: &str, path: &str) -> Bytes {
        let mut text = format!("{} {path} HTTP/1.1\r\nHost: {authority}\r\n", self.method);
        for line in &self.lines {
            let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
            let is_for_proxy =
                matches!(name.as_str(), "host" | "connection" | "keep-alive" | "proxy-connection")
                    || name.starts_with("proxy-auth");
            if !is_for_proxy {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        text.push_str("Connection: close\r\n\r\n");
        Bytes::from(text)
    }
}

/// Splits `host:port`, `[::1]:port` or a bare host.
pub(super) fn host_and_port(authority: &str, default_port: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, HeadError, host_and_port, read};

    #[tokio::test]
    async fn heads_of_odd_clients() {
        let bare = &b"CONNECT a.blob.core.windows.net:443 HTTP/1.0\r\n\r\n\x16\x03"[..];
        let (head, rest) = read(&mut &*bare).await.expect("a head");
        assert_eq!(head.method, "CONNECT");
        assert_eq!(head.target, "a.blob.core.windows.net:443");
        assert!(head.lines.is_empty());
        assert_eq!(&rest[..], b"\x16\x03");

        let chatty = b"CONNECT a:443 HTTP/1.1\nConnection: close\nContent-Type: x\n\n";
        let (head, rest) = read(&mut &chatty[..]).await.expect("a head");
        assert_eq!(head.lines, ["Connection: close", "Content-Type: x"]);
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_head() {
        assert!(matches!(read(&mut &b""[..]).await, Err(HeadError::Closed)));
        assert!(matches!(read(&mut &b"\x16\x03\x01"[..]).await, Err(HeadError::NotHttp)));
        assert!(matches!(read(&mut &b"GET / FTP\r\n\r\n"[..]).await, Err(HeadError::NotHttp)));
        let long = vec![b'a'; HEAD_BYTES_MAX + 1];
        assert!(matches!(read(&mut &long[..]).await, Err(HeadError::TooLong)));
    }

    #[tokio::test]
    async fn the_origin_sees_its_own_request() {
        let sent = b"GET http://h/x HTTP/1.1\r\nHost: other\r\nA: b\r\nProxy-Authorization: s\r\n\
            Proxy-Connection: keep-alive\r\n\r\n";
        let (head, _) = read(&mut &sent[..]).await.expect("a head");
        assert_eq!(
            &head.for_origin("h", "/x")[..],
            b"GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn authorities() {
        assert_eq!(host_and_port("a:443", 80), Some(("a", 443)));
        assert_eq!(host_and_port("[::1]:443", 80), Some(("::1", 443)));
        assert_eq!(host_and_port("a", 80), Some(("a", 80)));
        assert_eq!(host_and_port("a:x", 80), None);
        assert_eq!(host_and_port(":1", 80), None);
    }
}
