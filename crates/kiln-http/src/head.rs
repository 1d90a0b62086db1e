//! The head of a request: its first line and its headers, read strictly.
//!
//! Where two programs on the way could read a request in two ways, it is refused: two lengths,
//! a length beside chunks, folded lines, line ends that are half there.

use http::Method;

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};
use crate::{Headers, Refusal};

/// The head of a request.
#[derive(Debug)]
pub struct Head {
    /// The verb.
    pub method: Method,
    /// The path as on the wire, still percent-encoded.
    pub path: String,
    /// The query as on the wire, without its question mark.
    pub query: String,
    /// The host asked for, with its port if the client named one.
    pub host: String,
    /// Headers in order, names as they were sent.
    pub headers: Headers,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the client can take chunks and keeps the connection unless told otherwise.
    pub is_http_11: bool,
    /// Whether the client wants to use the connection again.
    pub keeps_alive: bool,
    /// Whether the client waits for a word before it sends the body.
    pub expects_continue: bool,
}

/// How long the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, until one is empty.
    Chunked,
}

/// Looks for the end of a head in bytes of which it knows the beginning already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    n_seen: usize,
}

impl Scan {
    /// Bytes of the head with its empty last line, once it is there.
    ///
    /// # Errors
    /// When it is longer than is taken.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let from = self.n_seen.saturating_sub(3);
        let found = bytes.get(from..).unwrap_or_default();
        let found = found.windows(4).position(|four| four == b"\r\n\r\n");
        self.n_seen = bytes.len();
        match found.map(|at| from + at + 4) {
            Some(end) if end <= HEAD_BYTES_MAX => Ok(Some(end)),
            None if bytes.len() < HEAD_BYTES_MAX => Ok(None),
            Some(_) | None => Err(too_long(bytes)),
        }
    }
}

/// Which part of a head that has no end is too long.
fn too_long(bytes: &[u8]) -> Refusal {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    if line > TARGET_BYTES_MAX { Refusal::TargetTooLong } else { Refusal::HeadTooLarge }
}

/// Reads a whole head, from its first line to its empty one.
///
/// # Errors
/// When it is refused.
pub fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    check_line_ends(bytes)?;
    let mut storage = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut storage);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(n)) if n == bytes.len() => {}
        Ok(_) => return Err(Refusal::Malformed("the head does not end where it should")),
        Err(error) => return Err(refusal_of(error)),
    }
    let is_http_11 = parsed.version == Some(1);
    let method = parsed.method.and_then(|it| Method::from_bytes(it.as_bytes()).ok());
    let method = method.ok_or(Refusal::Malformed("a verb is expected"))?;
    let target = target(parsed.path.unwrap_or_default())?;
    let (path, query) = (target.path.to_owned(), target.query.to_owned());
    let headers = headers(parsed.headers);
    let host = host(&headers, target.authority)?;
    let framing = framing(&headers, is_http_11)?;
    let expects_continue = match headers.get("expect") {
        Some(it) if it.eq_ignore_ascii_case("100-continue") => is_http_11,
        Some(_) => return Err(Refusal::UnknownExpectation),
        None => false,
    };
    let says = |word| has_word(&headers, "connection", word);
    let keeps_alive = !says("close") && (is_http_11 || says("keep-alive"));
    Ok(Head {
        method,
        path,
        query,
        host,
        headers,
        framing,
        is_http_11,
        keeps_alive,
        expects_continue,
    })
}

/// Every line ends with both of its bytes, and neither is anywhere else.
fn check_line_ends(bytes: &[u8]) -> Result<(), Refusal> {
    let mut before = b'\0';
    for &byte in bytes {
        if (byte == b'\n') != (before == b'\r') {
            return Err(Refusal::Malformed("a line end is half there"));
        }
        before = byte;
    }
    Ok(())
}

fn refusal_of(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadTooLarge,
        httparse::Error::Version => Refusal::UnknownVersion,
        httparse::Error::HeaderName => Refusal::Malformed("the name of a header"),
        httparse::Error::HeaderValue => Refusal::Malformed("the value of a header"),
        httparse::Error::NewLine => Refusal::Malformed("a line end"),
        httparse::Error::Status => Refusal::Malformed("a status"),
        httparse::Error::Token => Refusal::Malformed("the request line"),
    }
}

fn headers(parsed: &[httparse::Header<'_>]) -> Headers {
    let n_bytes = parsed.iter().map(|it| it.name.len() + it.value.len()).sum();
    let mut headers = Headers::with_capacity(parsed.len(), n_bytes);
    for header in parsed {
        headers.push(header.name, String::from_utf8_lossy(header.value).trim());
    }
    headers
}

struct Target<'t> {
    authority: Option<&'t str>,
    path: &'t str,
    query: &'t str,
}

/// Takes apart `/path?query`, `http://host/path?query` or `*`.
fn target(target: &str) -> Result<Target<'_>, Refusal> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if target.contains('#') {
        return Err(Refusal::Malformed("a fragment in the target"));
    }
    let (authority, rest) = match target.split_once("://") {
        _ if target.starts_with('/') || target == "*" => (None, target),
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
            if authority.is_empty() || authority.contains('@') {
                return Err(Refusal::Malformed("the host in the target"));
            }
            (Some(authority), rest)
        }
        Some(_) | None => return Err(Refusal::Malformed("the target")),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok(Target { authority, path: if path.is_empty() { "/" } else { path }, query })
}

/// The host asked for: there is one, and only one.
fn host(headers: &Headers, authority: Option<&str>) -> Result<String, Refusal> {
    let mut hosts = headers.all("host");
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Refusal::Malformed("two Host headers"));
    }
    match authority.or(first) {
        Some(host) if !host.contains(|it: char| it.is_ascii_whitespace() || it == '/') => {
            Ok(host.to_owned())
        }
        Some(_) => Err(Refusal::Malformed("the Host header")),
        None => Err(Refusal::Malformed("no Host header")),
    }
}

/// How long the body is, if that can be read in one way only.
fn framing(headers: &Headers, is_http_11: bool) -> Result<Framing, Refusal> {
    let mut length = None;
    for value in headers.all("content-length") {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let this = value.parse::<u64>().ok().filter(|_| is_number);
        let this = this.ok_or(Refusal::Malformed("Content-Length"))?;
        if length.is_some_and(|known| known != this) {
            return Err(Refusal::Malformed("two Content-Length headers that differ"));
        }
        length = Some(this);
    }
    let mut codings = headers.all("transfer-encoding");
    let (coding, another) = (codings.next(), codings.next());
    match (coding, length) {
        (None, length) => Ok(Framing::Length(length.unwrap_or(0))),
        (Some(_), Some(_)) => Err(Refusal::Malformed("Transfer-Encoding beside Content-Length")),
        (Some(_), None) if another.is_some() => {
            Err(Refusal::Malformed("two Transfer-Encoding headers"))
        }
        (Some(_), None) if !is_http_11 => Err(Refusal::Malformed("Transfer-Encoding in HTTP/1.0")),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        (Some(_), None) => Err(Refusal::UnknownCoding),
    }
}

fn has_word(headers: &Headers, name: &str, word: &str) -> bool {
    headers.all(name).any(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::{Framing, Scan, parse};
    use crate::Refusal;
    use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

    fn read(head: &str) -> Result<super::Head, Refusal> {
        let bytes = format!("{head}\r\n\r\n");
        assert_eq!(Scan::default().end(bytes.as_bytes()), Ok(Some(bytes.len())));
        parse(bytes.as_bytes())
    }

    #[test]
    fn names_and_target_stay_as_they_were_sent() {
        let head = read("PUT /c/a%20b%2F%c3?Comp=x&sig=a%2Bb HTTP/1.1\r\nHost: h:1\r\nx-ms-meta-AB: \t v  w \r\nx-empty:")
            .expect("a head");
        assert_eq!(head.method, http::Method::PUT);
        assert_eq!(
            (head.path.as_str(), head.query.as_str()),
            ("/c/a%20b%2F%c3", "Comp=x&sig=a%2Bb")
        );
        assert_eq!(head.host, "h:1");
        let headers: Vec<_> = head.headers.iter().collect();
        assert_eq!(headers, [("Host", "h:1"), ("x-ms-meta-AB", "v  w"), ("x-empty", "")]);
        assert_eq!(head.framing, Framing::Length(0));
        assert!(head.is_http_11 && head.keeps_alive && !head.expects_continue);
    }

    #[test]
    fn targets() {
        let target = |line: &str| {
            let head = read(&format!("GET {line} HTTP/1.1\r\nHost: h"))?;
            Ok::<_, Refusal>((head.host, head.path, head.query))
        };
        let three = |host: &str, path: &str, query: &str| {
            Ok((host.to_owned(), path.to_owned(), query.to_owned()))
        };
        assert_eq!(target("/"), three("h", "/", ""));
        assert_eq!(target("//a//b?"), three("h", "//a//b", ""));
        assert_eq!(target("/a?b?c"), three("h", "/a", "b?c"));
        assert_eq!(target("HTTP://o:8/x?y"), three("o:8", "/x", "y"));
        assert_eq!(target("http://o"), three("o", "/", ""));
        assert_eq!(target("http://o?y"), three("o", "/", "y"));
        assert_eq!(target("*"), three("h", "*", ""));
        for bad in ["x", "h:443", "ftp://h/", "http:///", "http://u@h/", "/a#b"] {
            assert!(matches!(target(bad), Err(Refusal::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let check = |lines: &str, status: u16| {
            let refusal = read(&format!("POST / HTTP/1.1\r\n{lines}")).expect_err(lines);
            assert_eq!(refusal.status(), status, "{lines}: {refusal}");
        };
        check("x: y", 400);
        check("Host: a\r\nHost: a", 400);
        check("Host: a b", 400);
        check("Host: a\r\nContent-Length: 1\r\nContent-Length: 2", 400);
        for length in ["+1", "-1", "1, 1", "0x1", "1 1", "", "18446744073709551616"] {
            check(&format!("Host: a\r\nContent-Length: {length}"), 400);
        }
        check("Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400);
        check("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400);
        check("Host: a\r\nTransfer-Encoding: gzip, chunked", 501);
        check("Host: a\r\nTransfer-Encoding: xchunked", 501);
        check("Host: a\r\nx : b", 400);
        check("Host: a\r\nx: b\r\n c", 400);
        check("Host: a\r\nx: b\nc: d", 400);
        check("Host: a\r\nx: b\rc", 400);
        check("Host: a\r\nx: b\0c", 400);
        check("Host: a\r\nExpect: more", 417);
    }

    #[test]
    fn lines_and_versions() {
        let check = |line: &str, status: u16| {
            let refusal = read(&format!("{line}\r\nHost: a")).expect_err(line);
            assert_eq!(refusal.status(), status, "{line}: {refusal}");
        };
        check("GET / HTTP/2.0", 505);
        check("GET / HTTP/1.2", 505);
        check("GET  / HTTP/1.1", 400);
        check("GET /", 400);
        check("G@T / HTTP/1.1", 400);
        check("GET / HTTP/1.1 ", 400);
        let old = read("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive").expect("a head");
        assert!(!old.is_http_11 && old.keeps_alive);
        assert!(!read("GET / HTTP/1.0\r\nHost: a").expect("a head").keeps_alive);
        assert!(
            !read("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close").expect("it").keeps_alive
        );
        let chunked = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked";
        assert_eq!(read(chunked).expect_err("refused").status(), 400);
        let same = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 07\r\nContent-Length: 7";
        assert_eq!(read(same).expect("a head").framing, Framing::Length(7));
    }

    #[test]
    fn heads_have_an_end() {
        let mut scan = Scan::default();
        assert_eq!(scan.end(b"GET / HTTP/1.1\r\n\r"), Ok(None));
        assert_eq!(scan.end(b"GET / HTTP/1.1\r\n\r\nX"), Ok(Some(18)));
        let long = vec![b'a'; HEAD_BYTES_MAX];
        assert_eq!(Scan::default().end(&long), Err(Refusal::TargetTooLong));
        let mut long = b"GET / HTTP/1.1\r\n".to_vec();
        long.resize(HEAD_BYTES_MAX, b'a');
        assert_eq!(Scan::default().end(&long), Err(Refusal::HeadTooLarge));
        let many = format!("GET / HTTP/1.1\r\nHost: a{}", "\r\na: b".repeat(HEADERS_MAX));
        assert_eq!(read(&many).expect_err("refused"), Refusal::HeadTooLarge);
    }
}
