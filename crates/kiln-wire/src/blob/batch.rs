//! Batches: many small requests in the body of one, and their answers in the body of one.
//!
//! `multipart/mixed` with parts of `application/http`. Lines end with CR LF; a bare LF is taken
//! from clients, and never sent.

use super::error::BlobError;

/// Requests in one batch.
pub const PARTS_MAX: usize = 256;
/// Bytes of one batch.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Characters of a boundary.
const BOUNDARY_LENGTH_MAX: usize = 70;
/// Headers of one part.
const HEADERS_MAX: usize = 64;

/// One request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number its answer repeats.
    pub content_id: Option<String>,
    /// The verb.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names and values of headers, as sent.
    pub headers: Vec<(String, String)>,
}

/// Why a body is no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// Not `multipart/mixed` with a boundary.
    #[error("the content type is not `multipart/mixed` with a boundary")]
    ContentType,
    /// A part is not as it must be.
    #[error("part {number} of the batch: {what}")]
    Part {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// No end, or nothing in it.
    #[error("{what}")]
    Body {
        /// What is wrong.
        what: &'static str,
    },
    /// Too many.
    #[error("a batch has at most {PARTS_MAX} parts")]
    TooMany,
}

impl From<BadBatch> for BlobError {
    fn from(bad: BadBatch) -> Self {
        let reason = bad.to_string();
        match bad {
            BadBatch::ContentType => {
                let message = "The value for one of the HTTP headers is not in the correct format.";
                Self::new(400, "InvalidHeaderValue", message)
                    .with_detail("HeaderName", "Content-Type")
                    .with_detail("Reason", reason)
            }
            BadBatch::TooMany => {
                let message = "The batch request contains more requests than it may.";
                Self::new(400, "ExceedsMaxBatchRequestCount", message).with_detail("Reason", reason)
            }
            BadBatch::Part { .. } | BadBatch::Body { .. } => {
                Self::new(400, "InvalidInput", "One of the request inputs is not valid.")
                    .with_detail("Reason", reason)
            }
        }
    }
}

/// Reads a batch.
pub fn read(content_type: &str, body: &[u8]) -> Result<Vec<Part>, BadBatch> {
    let boundary = boundary(content_type)?;
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(BadBatch::Body { what: "the batch is not text" });
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        let delimiter = line.strip_prefix("--").and_then(|it| it.strip_prefix(boundary.as_str()));
        let is_end = match delimiter.map(str::trim_end) {
            Some("") => false,
            Some("--") => true,
            Some(_) | None => {
                if let Some(lines) = &mut open {
                    lines.push(line);
                }
                continue;
            }
        };
        if let Some(lines) = open.take() {
            if parts.len() == PARTS_MAX {
                return Err(BadBatch::TooMany);
            }
            parts.push(part(&lines, parts.len() + 1)?);
        }
        if is_end {
            let is_empty = parts.is_empty();
            let nothing = BadBatch::Body { what: "the batch has no requests" };
            return if is_empty { Err(nothing) } else { Ok(parts) };
        }
        open = Some(Vec::new());
    }
    Err(BadBatch::Body { what: "the batch does not end with its boundary" })
}

fn boundary(content_type: &str) -> Result<String, BadBatch> {
    let mut pieces = content_type.split(';').map(str::trim);
    let is_mixed = pieces.next().is_some_and(|it| it.eq_ignore_ascii_case("multipart/mixed"));
    let named = pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    match named {
        Some(name) if is_mixed && (1..=BOUNDARY_LENGTH_MAX).contains(&name.len()) => {
            Ok(name.to_owned())
        }
        Some(_) | None => Err(BadBatch::ContentType),
    }
}

fn part(lines: &[&str], number: usize) -> Result<Part, BadBatch> {
    let bad = |what| BadBatch::Part { number, what };
    let mut lines = lines.iter().copied();
    let outer = headers(&mut lines).ok_or_else(|| bad("a header is not well formed"))?;
    let find = |name: &str| {
        let found = outer.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let is_http = find("Content-Type").is_some_and(|it| {
        it.split(';').next().unwrap_or(it).trim().eq_ignore_ascii_case("application/http")
    });
    if !is_http {
        return Err(bad("its content type is not `application/http`"));
    }
    if find("Content-Transfer-Encoding").is_some_and(|it| !it.eq_ignore_ascii_case("binary")) {
        return Err(bad("its transfer encoding is not `binary`"));
    }
    let line = lines.next().unwrap_or("");
    let mut words = line.split(' ');
    let (method, target) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) => (method, target),
        (Some(method), Some(target), None, None) => (method, target),
        _ => return Err(bad("its request line is not well formed")),
    };
    let is_verb = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_verb || !target.starts_with('/') || !target.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(bad("its request line is not well formed"));
    }
    let headers = headers(&mut lines).ok_or_else(|| bad("a header is not well formed"))?;
    if lines.any(|line| !line.trim().is_empty()) {
        return Err(bad("it has a body"));
    }
    Ok(Part {
        content_id: find("Content-ID").map(str::to_owned),
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
    })
}

/// The headers up to the next empty line.
fn headers<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let is_name = !name.is_empty() && name.bytes().all(is_token);
        let value = value.trim();
        if !is_name || value.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        if found.len() == HEADERS_MAX {
            return None;
        }
        found.push((name.to_owned(), value.to_owned()));
    }
    Some(found)
}

/// Whether a byte can stand in the name of a header.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The answer to one request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAnswer {
    /// The number of the request.
    pub content_id: Option<String>,
    /// The status code.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// What follows the head.
    pub body: Vec<u8>,
}

/// Writes the answers of a batch.
pub fn write(boundary: &str, answers: &[PartAnswer]) -> Vec<u8> {
    let mut out = Vec::new();
    for answer in answers {
        let mut head = format!("--{boundary}\r\nContent-Type: application/http\r\n");
        if let Some(id) = &answer.content_id {
            head.push_str("Content-ID: ");
            head.push_str(id);
            head.push_str("\r\n");
        }
        head.push_str("\r\nHTTP/1.1 ");
        head.push_str(&answer.status.to_string());
        head.push(' ');
        head.push_str(reason(answer.status));
        head.push_str("\r\n");
        for (name, value) in &answer.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&answer.body);
        if !answer.body.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

/// The words that go with a status code.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        412 => "Precondition Failed",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::{BadBatch, PARTS_MAX, Part, PartAnswer, read, write};

    const TYPE: &str = "multipart/mixed; boundary=batch_1";
    const TWO: &str = "--batch_1\r\nContent-Type: application/http\r\n\
        Content-Transfer-Encoding: binary\r\nContent-ID: 0\r\n\r\n\
        DELETE /c/b%20c?snapshot=x HTTP/1.1\r\nx-ms-date: D\r\nContent-Length: 0\r\n\r\n\r\n\
        --batch_1\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n\
        PUT /c/d?comp=tier HTTP/1.1\r\nx-ms-access-tier: Cool\r\n\r\n--batch_1--\r\n";

    #[test]
    fn two_requests() {
        let expected = [
            Part {
                content_id: Some("0".to_owned()),
                method: "DELETE".to_owned(),
                target: "/c/b%20c?snapshot=x".to_owned(),
                headers: vec![
                    ("x-ms-date".to_owned(), "D".to_owned()),
                    ("Content-Length".to_owned(), "0".to_owned()),
                ],
            },
            Part {
                content_id: Some("1".to_owned()),
                method: "PUT".to_owned(),
                target: "/c/d?comp=tier".to_owned(),
                headers: vec![("x-ms-access-tier".to_owned(), "Cool".to_owned())],
            },
        ];
        assert_eq!(read(TYPE, TWO.as_bytes()), Ok(expected.to_vec()));
        let bare = TWO.replace("\r\n", "\n");
        assert_eq!(read(TYPE, bare.as_bytes()), Ok(expected.to_vec()));
        let quoted = "Multipart/Mixed; charset=x; Boundary=\"batch_1\"";
        assert_eq!(read(quoted, TWO.as_bytes()).map(|it| it.len()), Ok(2));
    }

    #[test]
    fn what_is_no_batch() {
        for content_type in ["", "multipart/mixed", "text/plain; boundary=batch_1"] {
            let refused = read(content_type, TWO.as_bytes());
            assert_eq!(refused, Err(BadBatch::ContentType), "{content_type}");
        }
        let check = |from: &str, to: &str, expected: &str| {
            let refused = read(TYPE, TWO.replacen(from, to, 1).as_bytes()).expect_err("refused");
            assert_eq!(refused.to_string(), expected, "{to:?}");
        };
        check("--batch_1--", "", "the batch does not end with its boundary");
        check(
            "application/http",
            "text/plain",
            "part 1 of the batch: its content type is not \
               `application/http`",
        );
        check("binary", "base64", "part 1 of the batch: its transfer encoding is not `binary`");
        let line = "part 1 of the batch: its request line is not well formed";
        check("DELETE /c", "DELETE c", line);
        check("DELETE /c", "delete /c", line);
        check(" HTTP/1.1", " HTTP/1.1 x", line);
        check(" HTTP/1.1", " HTTP/2", line);
        check("x-ms-date: D", "x-ms-date", "part 1 of the batch: a header is not well formed");
        check("x-ms-date: D", "x ms: D", "part 1 of the batch: a header is not well formed");
        check("\r\n\r\n\r\n--", "\r\n\r\nbody\r\n--", "part 1 of the batch: it has a body");
        let none = read(TYPE, b"--batch_1--");
        assert_eq!(none, Err(BadBatch::Body { what: "the batch has no requests" }));
        assert!(read(TYPE, b"\xff").is_err());
    }

    #[test]
    fn a_batch_has_a_limit() {
        let part =
            "--batch_1\r\nContent-Type: application/http\r\n\r\nDELETE /c/b HTTP/1.1\r\n\r\n";
        let body = |n_parts| format!("{}--batch_1--\r\n", part.repeat(n_parts));
        assert_eq!(read(TYPE, body(PARTS_MAX).as_bytes()).map(|it| it.len()), Ok(PARTS_MAX));
        assert_eq!(read(TYPE, body(PARTS_MAX + 1).as_bytes()), Err(BadBatch::TooMany));
    }

    #[test]
    fn answers_end_their_lines() {
        let answers = [
            PartAnswer {
                content_id: Some("0".to_owned()),
                status: 202,
                headers: vec![("x-ms-version".to_owned(), "V".to_owned())],
                body: Vec::new(),
            },
            PartAnswer { content_id: None, status: 404, headers: Vec::new(), body: b"no".to_vec() },
        ];
        let expected = "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n\
            HTTP/1.1 202 Accepted\r\nx-ms-version: V\r\n\r\n\
            --b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\nno\r\n--b--\r\n";
        assert_eq!(String::from_utf8(write("b", &answers)).as_deref(), Ok(expected));
    }
}
