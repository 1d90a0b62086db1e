//! The head of an answer as it goes over the wire.

use bytes::{BufMut, BytesMut};
use http::StatusCode;
use tracing::warn;

use crate::Response;

/// Bytes that are made ready for a head.
const HEAD_BYTES: usize = 1024;

/// How the end of an answer's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is no body, and no word of one.
    None,
    /// After so many bytes.
    Length(u64),
    /// By an empty chunk.
    Chunks,
    /// With the connection.
    Close,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It is kept, as its version of HTTP has it.
    Kept,
    /// It is kept, which its version of HTTP has to be told.
    KeptOld,
    /// It ends.
    Closed,
    /// It goes on in this protocol.
    Switched(&'static str),
}

/// The head of `response`.
pub(crate) fn head(response: &Response, ending: Ending, after: After) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEAD_BYTES);
    out.put_slice(b"HTTP/1.1 ");
    put_number(&mut out, u64::from(response.status));
    out.put_u8(b' ');
    put_reason(&mut out, response);
    out.put_slice(b"\r\n");
    for (name, value) in &response.headers {
        if is_name(name) && is_value(value) && !is_ours(name) {
            put_header(&mut out, name, value);
        } else {
            // It can not be sent without breaking the answer, which goes without it.
            warn!(header = %name.escape_debug(), "a header was not sent");
        }
    }
    match ending {
        Ending::Length(length) => {
            out.put_slice(b"Content-Length: ");
            put_number(&mut out, length);
            out.put_slice(b"\r\n");
        }
        Ending::Chunks => put_header(&mut out, "Transfer-Encoding", "chunked"),
        Ending::None | Ending::Close => {}
    }
    match after {
        After::Kept => {}
        After::KeptOld => put_header(&mut out, "Connection", "keep-alive"),
        After::Closed => put_header(&mut out, "Connection", "close"),
        After::Switched(protocol) => {
            put_header(&mut out, "Connection", "upgrade");
            put_header(&mut out, "Upgrade", protocol);
        }
    }
    out.put_slice(b"\r\n");
    out
}

fn put_header(out: &mut BytesMut, name: &str, value: &str) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}

fn put_number(out: &mut BytesMut, number: u64) {
    out.put_slice(number.to_string().as_bytes());
}

/// The first line of the reason, as far as it is plain ASCII: what a reason phrase may hold.
fn put_reason(out: &mut BytesMut, response: &Response) {
    let Some(reason) = &response.reason else {
        let status = StatusCode::from_u16(response.status).ok();
        let reason = status.and_then(|it| it.canonical_reason()).unwrap_or_default();
        out.put_slice(reason.as_bytes());
        return;
    };
    for c in reason.lines().next().unwrap_or_default().chars() {
        let is_plain = c.is_ascii() && !c.is_ascii_control();
        out.put_u8(u8::try_from(c).ok().filter(|_| is_plain).unwrap_or(b'?'));
    }
}

fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Whether the engine alone says this.
fn is_ours(name: &str) -> bool {
    ["Content-Length", "Transfer-Encoding", "Connection"]
        .iter()
        .any(|it| it.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::{After, Ending, head};
    use crate::Response;

    #[test]
    fn heads_keep_names_and_leave_out_what_breaks_them() {
        let response = Response::new(201)
            .with_header("ETag", "\"1\"")
            .with_header("x-ms-meta-AB", "ü")
            .with_header("bad name", "x")
            .with_header("x-split", "a\r\nb: c")
            .with_header("content-length", "7");
        let text = "HTTP/1.1 201 Created\r\nETag: \"1\"\r\nx-ms-meta-AB: ü\r\nContent-Length: 5\r\n\
                    Connection: close\r\n\r\n";
        let bytes = head(&response, Ending::Length(5), After::Closed);
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    #[test]
    fn reasons_are_one_plain_line() {
        let reason = |text: &str| {
            let response = Response { reason: Some(text.to_owned()), ..Response::new(400) };
            let bytes = head(&response, Ending::None, After::Kept);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(reason("a b\r\nx: y"), "HTTP/1.1 400 a b");
        assert_eq!(reason("tü\tx"), "HTTP/1.1 400 t??x");
    }
}
