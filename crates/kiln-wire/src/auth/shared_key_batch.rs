//! Shared Key signatures of the Batch service: made and verified.
//!
//! The text to sign is the verb, the values of eleven headers, all `ocp-` headers, the account
//! with the path and the query. Clients disagree on details that the service lets pass, so
//! [`verify`] tries each reading that a known client has:
//!
//! - an empty body is signed with the length as sent, as nothing or as `0`;
//! - query parameters are signed as written or in lower case, empty ones with or without, of
//!   repeated ones the first or all;
//! - the oldest clients send `%2F` and `%5C` in a path and sign `/`;
//! - a `Date` beside `ocp-date` is signed or not.

use std::collections::BTreeMap;

use super::hmac::{self, Key};
use super::{Mismatch, SIGNED_HEADERS, SharedKey, SignError, SignedRequest};

/// One way to read what clients leave open.
#[expect(clippy::struct_excessive_bools, reason = "each is one disagreement of its own")]
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// The length in place of the one sent.
    length: Option<&'static str>,
    /// `%2F` and `%5C` of the path as slashes.
    has_plain_slashes: bool,
    /// Names of query parameters in lower case.
    has_lower_names: bool,
    /// Query parameters without a value left out.
    skips_empty: bool,
    /// All values of a repeated parameter, not only the first.
    joins_repeated: bool,
    /// The `Date` header left out because there is an `ocp-date`.
    skips_date: bool,
}

/// The value of the `Authorization` header for a request of this account.
pub fn sign(
    request: &SignedRequest<'_>,
    account: &str,
    key_base64: &str,
) -> Result<String, SignError> {
    let key = Key::from_base64(key_base64)?;
    let signature = key.sign(&string_to_sign(request, account, &usual(request)));
    Ok(format!("SharedKey {account}:{signature}"))
}

/// Checks the signature that a request carries in its `Authorization` header.
///
/// Every key is tried with every reading; each comparison takes the same time wherever the
/// signatures differ. Keys that are not base64 match nothing.
pub fn verify(request: &SignedRequest<'_>, account: &str, keys: &[&str]) -> Result<(), Mismatch> {
    if let Some(claim) = request.header("authorization").and_then(SharedKey::parse) {
        let keys: Vec<Key> = keys.iter().filter_map(|key| Key::from_base64(key).ok()).collect();
        for reading in readings(request) {
            let text = string_to_sign(request, account, &reading);
            if hmac::is_signed_by_any(&keys, &text, claim.signature) {
                return Ok(());
            }
        }
    }
    Err(Mismatch { string_to_sign: string_to_sign(request, account, &usual(request)) })
}

/// As today's clients sign.
fn usual(request: &SignedRequest<'_>) -> Reading {
    Reading { skips_empty: true, skips_date: has_two_dates(request), ..Reading::default() }
}

fn has_two_dates(request: &SignedRequest<'_>) -> bool {
    request.header("date").is_some() && request.header("ocp-date").is_some()
}

/// All readings that differ for this request, the usual one first.
fn readings(request: &SignedRequest<'_>) -> Vec<Reading> {
    let mut readings = vec![usual(request)];
    let mut also = |makes_sense: bool, other: fn(Reading) -> Reading| {
        if makes_sense {
            let more: Vec<_> = readings.iter().copied().map(other).collect();
            readings.extend(more);
        }
    };
    match request.header("content-length") {
        None | Some("") => also(true, |r| Reading { length: Some("0"), ..r }),
        Some("0") => also(true, |r| Reading { length: Some(""), ..r }),
        Some(_) => {}
    }
    let path = request.raw_path;
    let has_slashes = ["%2F", "%2f", "%5C", "%5c"].iter().any(|escape| path.contains(escape));
    also(has_slashes, |r| Reading { has_plain_slashes: true, ..r });
    let has_capitals =
        request.query.iter().any(|(name, _)| name.bytes().any(|b| b.is_ascii_uppercase()));
    also(has_capitals, |r| Reading { has_lower_names: true, ..r });
    let has_empty = request.query.iter().any(|(_, value)| value.is_empty());
    also(has_empty, |r| Reading { skips_empty: !r.skips_empty, ..r });
    let mut names: Vec<String> =
        request.query.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    let has_repeated = names.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    also(has_repeated, |r| Reading { joins_repeated: true, ..r });
    also(has_two_dates(request), |r| Reading { skips_date: !r.skips_date, ..r });
    readings
}

fn string_to_sign(request: &SignedRequest<'_>, account: &str, reading: &Reading) -> String {
    let mut text = format!("{}\n", request.method);
    for name in SIGNED_HEADERS {
        let sent = request.header(name).unwrap_or_default();
        let value = match (name, reading.length) {
            ("content-length", Some(length)) => length,
            ("date", _) if reading.skips_date => "",
            _ => sent,
        };
        text.push_str(value);
        text.push('\n');
    }
    let named = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut ocp: Vec<(String, &String)> =
        named.filter(|(name, _)| name.starts_with("ocp-")).collect();
    ocp.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in &ocp {
        text.extend([name, ":", value, "\n"]);
    }
    text.extend(["/", account]);
    if reading.has_plain_slashes {
        text.push_str(&with_plain_slashes(request.raw_path));
    } else {
        text.push_str(request.raw_path);
    }
    for (name, value) in query(request, reading) {
        text.extend(["\n", &name, ":", &value]);
    }
    text
}

/// Names and values of the query as they are signed, in order.
fn query(request: &SignedRequest<'_>, reading: &Reading) -> BTreeMap<String, String> {
    let mut signed: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.query {
        if value.is_empty() && reading.skips_empty {
            continue;
        }
        let name = if reading.has_lower_names { name.to_ascii_lowercase() } else { name.clone() };
        match signed.get_mut(&name) {
            Some(first) if reading.joins_repeated => {
                first.push(',');
                first.push_str(value);
            }
            Some(_) => {}
            None => {
                signed.insert(name, value.clone());
            }
        }
    }
    signed
}

fn with_plain_slashes(path: &str) -> String {
    let path = path.replace("%2F", "/").replace("%2f", "/");
    path.replace("%5C", "/").replace("%5c", "/")
}

#[cfg(test)]
mod tests {
    use super::super::SignedRequest;
    use super::{sign, string_to_sign, usual, verify};

    const KEY: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    const KEY_OF_K: &str =
        "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2traw==";
    const JSON: &str = "application/json; odata=minimalmetadata; charset=utf-8";

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    struct Sent {
        method: &'static str,
        path: &'static str,
        query: Vec<(String, String)>,
        headers: Vec<(String, String)>,
    }

    fn sent(
        method: &'static str,
        path: &'static str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Sent {
        Sent { method, path, query: pairs(query), headers: pairs(headers) }
    }

    impl Sent {
        fn view(&self) -> SignedRequest<'_> {
            SignedRequest {
                method: self.method,
                raw_path: self.path,
                query: &self.query,
                headers: &self.headers,
            }
        }

        /// The same request with what was signed replaced by what goes over the wire.
        fn arrives(&self, account: &str, wire: &Self) -> bool {
            let authorization = sign(&self.view(), account, KEY).expect("a key");
            let mut headers = wire.headers.clone();
            headers.push(("authorization".to_owned(), authorization));
            let request = SignedRequest { headers: &headers, ..wire.view() };
            verify(&request, account, &["AAAA", "no key", KEY]).is_ok()
        }
    }

    #[test]
    fn signatures_are_the_known_ones() {
        let date = ("ocp-date", "Tue, 06 Sep 2022 23:47:48 GMT");
        let old = ("ocp-date", "Tue, 29 Jul 2014 21:49:13 GMT");
        let version = ("api-version", "2024-02-01.19.0");
        for (account, key, request, signature) in [
            (
                "myaccount",
                KEY,
                sent(
                    "GET",
                    "/pools",
                    &[version, ("$filter", "startswith(id,'a')"), ("timeout", "30")],
                    &[date],
                ),
                "Vnm5vLpTvdHwLF7oYR4j/Rn1147i+cAgpKRVBMcDK9U=",
            ),
            (
                "myaccount",
                KEY,
                sent(
                    "POST",
                    "/jobs/j1/tasks",
                    &[version],
                    &[("content-length", "37"), ("content-type", JSON), date],
                ),
                "7lOuKHA/vaQQ3amYJ8k05wLDWQl2mq93Xj5OVppkNx8=",
            ),
            (
                "myaccount",
                KEY,
                sent(
                    "GET",
                    "/jobs/j1/tasks/t1/files/wd%2Fout.txt",
                    &[version],
                    &[
                        ("ocp-range", "bytes=0-99"),
                        date,
                        ("if-modified-since", "Tue, 06 Sep 2022 20:00:00 GMT"),
                    ],
                ),
                "1kdmo+iQ7r8ZJ1W8gYssg2btdab8uvVkE2oinaElirs=",
            ),
            (
                "myacct",
                KEY_OF_K,
                sent(
                    "GET",
                    "/jobs",
                    &[version, ("timeout", "20"), ("$filter", "state eq 'active'")],
                    &[old],
                ),
                "AzNxleuFUFNxzUXIB3U5Xe1aW/aaHN70cgy7r6n4IFw=",
            ),
            (
                "myacct",
                KEY_OF_K,
                sent(
                    "POST",
                    "/pools",
                    &[("api-version", "2017-05-01.5.0")],
                    &[("content-length", "31"), ("content-type", JSON), old],
                ),
                "cGu2Af50vDDfLqa/BFvHn3TvZTkPEqRVRLrXUkQYoPw=",
            ),
        ] {
            let signed = sign(&request.view(), account, key).expect("a key");
            assert_eq!(signed, format!("SharedKey {account}:{signature}"));
        }
    }

    #[test]
    fn the_text_to_sign_is_the_known_one() {
        let request = sent(
            "GET",
            "/pools",
            &[
                ("api-version", "2024-02-01.19.0"),
                ("$filter", "startswith(id,'a')"),
                ("timeout", "30"),
            ],
            &[("ocp-date", "Tue, 06 Sep 2022 23:47:48 GMT")],
        );
        let view = request.view();
        assert_eq!(
            string_to_sign(&view, "myaccount", &usual(&view)),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nocp-date:Tue, 06 Sep 2022 23:47:48 GMT\n/myaccount/pools\n\
             $filter:startswith(id,'a')\napi-version:2024-02-01.19.0\ntimeout:30"
        );
    }

    #[test]
    fn what_clients_do_differently_is_let_pass() {
        let date = ("ocp-date", "Tue, 06 Sep 2022 23:47:48 GMT");
        let version = ("api-version", "2025-06-01");
        let get = |query: &[(&str, &str)]| sent("GET", "/poolusagemetrics", query, &[date]);
        let post = |headers: &[(&str, &str)]| sent("POST", "/jobs/j/enable", &[version], headers);
        for (signed, wire) in [
            (post(&[date, ("content-length", "0")]), post(&[date])),
            (post(&[date]), post(&[date, ("content-length", "0")])),
            (post(&[date]), post(&[date, ("date", "Tue, 06 Sep 2022 23:47:49 GMT")])),
            (
                sent("GET", "/jobs/j/tasks/t/files/wd/a%20b.txt", &[version], &[date]),
                sent("GET", "/jobs/j/tasks/t/files/wd%2Fa%20b.txt", &[version], &[date]),
            ),
            (get(&[version, ("timeout", "3")]), get(&[version, ("timeOut", "3")])),
            (get(&[version, ("timeOut", "3")]), get(&[version, ("timeOut", "3")])),
            (get(&[version]), get(&[version, ("$filter", "")])),
            (get(&[version, ("a", "1")]), get(&[version, ("a", "1"), ("a", "2")])),
            (get(&[version, ("a", "1,2")]), get(&[version, ("a", "1"), ("a", "2")])),
        ] {
            assert!(signed.arrives("acc", &wire), "{} {:?}", wire.path, wire.query);
        }
    }

    #[test]
    fn what_was_changed_on_the_way_is_refused() {
        let date = ("ocp-date", "Tue, 06 Sep 2022 23:47:48 GMT");
        let version = ("api-version", "2025-06-01");
        let signed = sent("DELETE", "/jobs/j", &[version], &[date]);
        assert!(signed.arrives("acc", &signed));
        for wire in [
            sent("GET", "/jobs/j", &[version], &[date]),
            sent("DELETE", "/jobs/k", &[version], &[date]),
            sent("DELETE", "/jobs/j", &[version, ("force", "true")], &[date]),
            sent("DELETE", "/jobs/j", &[version], &[("ocp-date", "Tue, 06 Sep 2022 23:47:49 GMT")]),
            sent("DELETE", "/jobs/j", &[version], &[date, ("if-match", "*")]),
            sent("DELETE", "/jobs/j", &[version], &[date, ("content-length", "5")]),
        ] {
            assert!(!signed.arrives("acc", &wire), "{} {}", wire.method, wire.path);
        }
        assert!(verify(&signed.view(), "acc", &[KEY]).is_err());
        assert!(sign(&signed.view(), "acc", "not base64!").is_err());
    }
}
