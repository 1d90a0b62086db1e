//! The Shared Key signature of the Blob service.
//!
//! Clients of many years spell the signed text differently: which headers without a value
//! count, how header names sort, what becomes of spaces, how the path is encoded. [`verify`] accepts each of those
//! spellings; [`sign`] makes the one that every service takes.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::hmac::{self, Key};
use super::{Mismatch, SIGNED_HEADERS, Scheme, SharedKey, SignError, SignedRequest};

/// First service version that signs a length of zero as nothing.
const EMPTY_ZERO_LENGTH_SINCE: &str = "2015-02-21";

/// The headers that the short text covers besides those of the service.
const LITE_HEADERS: [&str; 3] = ["content-md5", "content-type", "date"];

const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
const UNRESERVED_AND_MARKS: &AsciiSet =
    &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// One way to spell the signed text.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each choice is free of the others")]
struct Spelling {
    is_other_zero_length: bool,
    keeps_spaces: bool,
    sorts_by_word: bool,
    omits_empty_headers: bool,
    omits_empty_parameters: bool,
}

/// Makes the value of the `Authorization` header.
pub fn sign(
    request: &SignedRequest<'_>,
    account: &str,
    key_base64: &str,
) -> Result<String, SignError> {
    let key = Key::from_base64(key_base64)?;
    let path = format!("/{account}{}", request.raw_path);
    let text = string_to_sign(request, Scheme::Full, &path, Spelling::default());
    Ok(format!("SharedKey {account}:{}", key.sign(&text)))
}

/// Decides whether one of `keys` made the signature that this request to `account` carries.
pub fn verify(request: &SignedRequest<'_>, account: &str, keys: &[&str]) -> Result<(), Mismatch> {
    let found = request.header("authorization").and_then(SharedKey::parse);
    let scheme = found.map_or(Scheme::Full, |key| key.scheme);
    let signature = found.map_or("", |key| key.signature);
    verify_signature(request, account, keys, scheme, signature)
}

fn verify_signature(
    request: &SignedRequest<'_>,
    account: &str,
    keys: &[&str],
    scheme: Scheme,
    signature: &str,
) -> Result<(), Mismatch> {
    let paths = paths(request.raw_path, account);
    let keys: Vec<Key> = keys.iter().filter_map(|key| Key::from_base64(key).ok()).collect();
    let mut tried = BTreeSet::new();
    for path in &paths {
        for spelling in spellings(request) {
            let text = string_to_sign(request, scheme, path, spelling);
            if tried.contains(&text) {
                continue;
            }
            if hmac::is_signed_by_any(&keys, &text, signature) {
                return Ok(());
            }
            tried.insert(text);
        }
    }
    let usual = paths.first().map_or("", String::as_str);
    Err(Mismatch { string_to_sign: string_to_sign(request, scheme, usual, Spelling::default()) })
}

/// All spellings that differ for this request, the usual one first.
fn spellings(request: &SignedRequest<'_>) -> impl Iterator<Item = Spelling> {
    let has_spaces = request.headers.iter().any(|(_, value)| *value != with_single_spaces(value));
    (0_u8..if has_spaces { 32 } else { 16 }).map(|bits| Spelling {
        keeps_spaces: bits & 16 != 0,
        sorts_by_word: bits & 1 != 0,
        omits_empty_headers: bits & 2 != 0,
        omits_empty_parameters: bits & 4 != 0,
        is_other_zero_length: bits & 8 != 0,
    })
}

/// The paths that may have been signed, the usual one first.
fn paths(raw_path: &str, account: &str) -> Vec<String> {
    let raw_path = if raw_path.is_empty() { "/" } else { raw_path };
    let decoded = percent_decode_str(raw_path).decode_utf8_lossy();
    let encoded = [
        raw_path.to_owned(),
        utf8_percent_encode(&decoded, UNRESERVED).to_string(),
        utf8_percent_encode(&decoded, UNRESERVED_AND_MARKS).to_string(),
        decoded.clone().into_owned(),
    ];
    let mut paths: Vec<String> = Vec::new();
    let mut add = |path: String| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    for path in &encoded {
        add(format!("/{account}{path}"));
    }
    for path in &encoded {
        // Some clients drop the account from the path on a later request, but sign it.
        add(format!("/{account}/{account}{path}"));
        // The secondary endpoint may be signed with or without its suffix.
        let secondary = format!("/{account}-secondary");
        if let Some(rest) = path.strip_prefix(&secondary) {
            add(format!("/{account}/{account}{rest}"));
        }
        add(format!("/{account}-secondary{path}"));
    }
    paths
}

fn string_to_sign(
    request: &SignedRequest<'_>,
    scheme: Scheme,
    path: &str,
    spelling: Spelling,
) -> String {
    let mut text = format!("{}\n", request.method);
    let is_dated_apart = request.header("x-ms-date").is_some();
    let names = match scheme {
        Scheme::Full => SIGNED_HEADERS.as_slice(),
        Scheme::Lite => LITE_HEADERS.as_slice(),
    };
    for &name in names {
        let value = request.header(name).unwrap_or("");
        let value = match name {
            "content-length" => content_length(request, value, spelling),
            "date" if is_dated_apart => "",
            _ => value,
        };
        text.push_str(value);
        text.push('\n');
    }
    push_headers(&mut text, request, spelling);
    text.push_str(path);
    match scheme {
        Scheme::Full => push_parameters(&mut text, request, spelling),
        Scheme::Lite => push_comp(&mut text, request),
    }
    text
}

fn push_comp(text: &mut String, request: &SignedRequest<'_>) {
    let comp = request.query.iter().find(|(name, _)| name.eq_ignore_ascii_case("comp"));
    if let Some((_, value)) = comp {
        text.push_str("?comp=");
        text.push_str(value);
    }
}

fn content_length<'a>(request: &SignedRequest<'a>, value: &'a str, spelling: Spelling) -> &'a str {
    let version = request.header("x-ms-version").unwrap_or(EMPTY_ZERO_LENGTH_SINCE);
    let is_left_out = (version >= EMPTY_ZERO_LENGTH_SINCE) != spelling.is_other_zero_length;
    if value == "0" && is_left_out { "" } else { value }
}

fn push_headers(text: &mut String, request: &SignedRequest<'_>, spelling: Spelling) {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in request.headers {
        let name = name.to_ascii_lowercase();
        if !name.starts_with("x-ms-") {
            continue;
        }
        let value =
            if spelling.keeps_spaces { value.trim().to_owned() } else { with_single_spaces(value) };
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                known.push(',');
                known.push_str(&value);
            }
            None => headers.push((name, value)),
        }
    }
    if spelling.omits_empty_headers {
        headers.retain(|(_, value)| !value.is_empty());
    }
    if spelling.sorts_by_word {
        headers.sort_by_cached_key(|(name, _)| (name.replace('-', ""), name.clone()));
    } else {
        headers.sort_unstable();
    }
    for (name, value) in headers {
        text.push_str(&name);
        text.push(':');
        text.push_str(&value);
        text.push('\n');
    }
}

fn with_single_spaces(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn push_parameters(text: &mut String, request: &SignedRequest<'_>, spelling: Spelling) {
    let mut parameters: Vec<(String, &str)> = request
        .query
        .iter()
        .filter(|(_, value)| !(spelling.omits_empty_parameters && value.is_empty()))
        .map(|(name, value)| (name.to_lowercase(), value.as_str()))
        .collect();
    parameters.sort_unstable();
    let mut last: Option<String> = None;
    for (name, value) in parameters {
        if last.as_ref() == Some(&name) {
            text.push(',');
        } else {
            text.push('\n');
            text.push_str(&name);
            text.push(':');
            last = Some(name);
        }
        text.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::hmac::Key;
    use super::{Scheme, SignedRequest, Spelling, sign, string_to_sign, verify, verify_signature};

    const KEY: &str = "a2V5";

    fn pairs(text: &str) -> Vec<(String, String)> {
        text.split_terminator('|')
            .map(|pair| {
                let (name, value) = pair.split_once('=').expect("name=value");
                (name.to_owned(), value.to_owned())
            })
            .collect()
    }

    /// Whether a client that signs `text` for this request is let in.
    fn check(method: &str, raw_path: &str, query: &str, headers: &str, text: &str) {
        let (query, headers) = (pairs(query), pairs(headers));
        let request = SignedRequest { method, raw_path, query: &query, headers: &headers };
        let signature = Key::from_base64(KEY).expect("base64").sign(text);
        let verified =
            verify_signature(&request, "acct", &["b3RoZXI=", KEY], Scheme::Full, &signature);
        assert_eq!(verified, Ok(()), "{text:?}");
        let other = verify_signature(&request, "acct", &["b3RoZXI="], Scheme::Full, &signature);
        assert!(other.is_err(), "{text:?}");
    }

    #[test]
    fn the_usual_text() {
        let headers = "x-ms-version=2015-07-08|x-ms-date=D|content-length=11|content-type=t|date=X\
                       |x-ms-meta-b=  two   words |x-ms-blob-type=BlockBlob";
        let text = "PUT\n\n\n11\n\nt\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\nx-ms-date:D\n\
                    x-ms-meta-b:two words\nx-ms-version:2015-07-08\n/acct/c/b%20c";
        check("PUT", "/c/b%20c", "", headers, text);
        let (query, headers) = (Vec::new(), pairs(headers));
        let request =
            SignedRequest { method: "PUT", raw_path: "/c/b%20c", query: &query, headers: &headers };
        assert_eq!(
            string_to_sign(&request, Scheme::Full, "/acct/c/b%20c", Spelling::default()),
            text
        );
        let authorization = sign(&request, "acct", KEY).expect("signed");
        let signature = authorization.strip_prefix("SharedKey acct:").expect("its form");
        let verified = verify_signature(&request, "acct", &[KEY], Scheme::Full, signature);
        assert_eq!(verified, Ok(()));
    }

    #[test]
    fn parameters_are_sorted_and_joined() {
        let text = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\n/acct/acct/c\
                    \ncomp:list\ninclude:\nprefix:a b\nx:1,2";
        check("GET", "/acct/c", "prefix=a b|Comp=list|x=2|include=|x=1", "x-ms-date=D", text);
        let text = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\n/acct/c\ncomp:list";
        check("GET", "/c", "include=|comp=list", "x-ms-date=D", text);
    }

    #[test]
    fn a_length_of_zero_by_version() {
        for (version, length) in
            [("2014-02-14", "0"), ("2015-02-21", ""), ("2015-07-08", ""), ("2014-02-14", "")]
        {
            let headers = format!("content-length=0|x-ms-date=D|x-ms-version={version}");
            let text = format!(
                "PUT\n\n\n{length}\n\n\n\n\n\n\n\n\nx-ms-date:D\nx-ms-version:{version}\n/acct/c"
            );
            check("PUT", "/c", "", &headers, &text);
        }
    }

    #[test]
    fn two_orders_of_headers() {
        let headers = "x-ms-meta-a-b=1|x-ms-meta-aa=2|x-ms-date=D";
        let head = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\n";
        let by_byte = format!("{head}x-ms-meta-a-b:1\nx-ms-meta-aa:2\n/acct/c");
        let by_word = format!("{head}x-ms-meta-aa:2\nx-ms-meta-a-b:1\n/acct/c");
        check("GET", "/c", "", headers, &by_byte);
        check("GET", "/c", "", headers, &by_word);
    }

    #[test]
    fn headers_without_value() {
        let headers = "x-ms-meta-a=|x-ms-date=D";
        let head = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\n";
        check("GET", "/c", "", headers, &format!("{head}x-ms-meta-a:\n/acct/c"));
        check("GET", "/c", "", headers, &format!("{head}/acct/c"));
    }

    #[test]
    fn spaces_within_headers() {
        let headers = "x-ms-meta-a=b   c|x-ms-date=D";
        let head = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:D\nx-ms-meta-a:";
        check("GET", "/c", "", headers, &format!("{head}b   c\n/acct/c"));
        check("GET", "/c", "", headers, &format!("{head}b c\n/acct/c"));
    }

    #[test]
    fn encodings_of_the_path() {
        let head = "GET\n\n\n\n\n\n\n\n\n\n\n\n";
        for (raw_path, signed) in [
            ("/c/a(1).txt", "/acct/c/a(1).txt"),
            ("/c/a(1).txt", "/acct/c/a%281%29.txt"),
            ("/c/a%281%29.txt", "/acct/c/a(1).txt"),
            ("/c/a%7Eb", "/acct/c/a~b"),
            ("/c/%C3%A4%20", "/acct/c/ä "),
            ("/acct/c/b", "/acct/acct/c/b"),
            ("/c/b", "/acct/acct/c/b"),
            ("/acct-secondary/c/b", "/acct/acct-secondary/c/b"),
            ("/acct-secondary/c/b", "/acct/acct/c/b"),
            ("/c/b", "/acct-secondary/c/b"),
            ("", "/acct/"),
        ] {
            check("GET", raw_path, "", "", &format!("{head}{signed}"));
        }
    }

    #[test]
    fn the_short_text() {
        let head = "content-length=3|content-md5=M|content-type=t|date=X|x-ms-meta-b=1|range=R";
        let query = pairs("comp=block|blockid=QQ==|timeout=3");
        for (dated, date_line, date_header) in
            [("", "X", ""), ("|x-ms-date=D", "", "x-ms-date:D\n")]
        {
            let text =
                format!("PUT\nM\nt\n{date_line}\n{date_header}x-ms-meta-b:1\n/acct/c/b?comp=block");
            let signature = Key::from_base64(KEY).expect("base64").sign(&text);
            let headers =
                pairs(&format!("{head}{dated}|authorization=SharedKeyLite acct:{signature}"));
            let request =
                SignedRequest { method: "PUT", raw_path: "/c/b", query: &query, headers: &headers };
            assert_eq!(verify(&request, "acct", &[KEY]), Ok(()), "{text:?}");
            let full = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.replace("SharedKeyLite", "SharedKey")));
            let full: Vec<_> = full.collect();
            let request = SignedRequest { headers: &full, ..request };
            assert!(verify(&request, "acct", &[KEY]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn another_path_is_refused_with_the_text() {
        let request = SignedRequest { method: "GET", raw_path: "/c/b", query: &[], headers: &[] };
        let other = SignedRequest { raw_path: "/c/a", ..request };
        let authorization = sign(&other, "acct", KEY).expect("signed");
        let signature = authorization.strip_prefix("SharedKey acct:").expect("its form");
        let mismatch = verify_signature(&request, "acct", &[KEY], Scheme::Full, signature);
        let mismatch = mismatch.expect_err("refused");
        assert_eq!(mismatch.string_to_sign, "GET\n\n\n\n\n\n\n\n\n\n\n\n/acct/c/b");
    }
}
