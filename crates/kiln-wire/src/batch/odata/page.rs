//! Pages of a list: how many items, and how the next page is asked for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kiln_domain::limits::PAGE_ITEMS_MAX;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::option;
use crate::batch::error::Refusal;

/// Bytes of the checksum that makes a damaged token known.
const CHECKSUM_BYTES: usize = 6;
/// What is escaped in a query; some clients take a link apart and decode it once.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same for names, which begin with a dollar.
const ESCAPED_NAME: &AsciiSet = &ESCAPED.remove(b'$');

/// How many items a page may have: `maxresults`, or the most there may be.
pub fn max_results(query: &[(String, String)]) -> Result<usize, Refusal> {
    let Some(text) = option(query, "maxresults") else {
        return Ok(PAGE_ITEMS_MAX);
    };
    let refused = |reason: String| Refusal::invalid_query_parameter("maxresults", text, reason);
    let Ok(number) = text.parse::<i64>() else {
        return Err(refused("MaxResults must be an integer".to_owned()));
    };
    match usize::try_from(number) {
        Ok(items @ 1..=PAGE_ITEMS_MAX) => Ok(items),
        Ok(0) | Err(_) => Err(refused("MaxResults cannot be less than 1".to_owned())),
        Ok(_) => Err(refused(format!("MaxResults cannot be greater than {PAGE_ITEMS_MAX}"))),
    }
}

/// The token that continues the list at `path` after `cursor`. Only letters, digits, `-` and
/// `_`, so that no client changes it on its way.
pub fn continuation(path: &str, cursor: &str) -> String {
    let mut bytes = checksum(path, cursor).to_vec();
    bytes.extend_from_slice(cursor.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor that the query continues at, if it asks for a further page of the list at `path`.
pub fn cursor(path: &str, query: &[(String, String)]) -> Result<Option<String>, Refusal> {
    let Some(token) = option(query, "$skiptoken") else {
        return Ok(None);
    };
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (sum, cursor) = bytes.split_at_checked(CHECKSUM_BYTES)?;
        let cursor = std::str::from_utf8(cursor).ok()?;
        (sum == checksum(path, cursor)).then(|| cursor.to_owned())
    };
    let reason = "The token does not continue this list";
    read().map(Some).ok_or_else(|| Refusal::invalid_query_parameter("$skiptoken", token, reason))
}

/// The link to the next page: as the client asked for this one, with another token.
pub fn next_link(
    base_url: &str,
    raw_path: &str,
    query: &[(String, String)],
    token: &str,
) -> String {
    let mut link = format!("{}{raw_path}?", base_url.trim_end_matches('/'));
    for (name, value) in query.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken")) {
        link.extend(utf8_percent_encode(name, ESCAPED_NAME));
        link.push('=');
        link.extend(utf8_percent_encode(value, ESCAPED));
        link.push('&');
    }
    link.push_str("$skiptoken=");
    link.push_str(token);
    link
}

fn checksum(path: &str, cursor: &str) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(path.to_ascii_lowercase());
    hash.update([0]);
    hash.update(cursor);
    let mut sum = [0; CHECKSUM_BYTES];
    for (to, from) in sum.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{continuation, cursor, max_results, next_link};

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn a_token_leads_back_to_its_cursor() {
        for at in ["", "task-1", "ä/ö?&=", &"x".repeat(300)] {
            let token = continuation("/jobs/J/tasks", at);
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            let asked = query(&[("$SkipToken", &token)]);
            assert_eq!(cursor("/jobs/j/tasks", &asked), Ok(Some(at.to_owned())));
            assert!(cursor("/jobs/k/tasks", &asked).is_err());
        }
        assert_eq!(cursor("/jobs", &query(&[])), Ok(None));
    }

    #[test]
    fn a_damaged_token_is_refused() {
        let token = continuation("/jobs", "job-1");
        for at in 0..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).expect("text");
            assert!(cursor("/jobs", &query(&[("$skiptoken", &damaged)])).is_err(), "{damaged}");
        }
        for text in ["a", "!", "AAAA", "é"] {
            assert!(cursor("/jobs", &query(&[("$skiptoken", text)])).is_err(), "{text}");
        }
    }

    #[test]
    fn the_link_repeats_what_was_asked() {
        let asked = query(&[
            ("api-version", "2025-06-01"),
            ("$filter", "state eq 'active'"),
            ("$skiptoken", "old"),
            ("timeOut", "30"),
        ]);
        assert_eq!(
            next_link("https://h:1/", "/jobs/j%201/tasks", &asked, "new"),
            "https://h:1/jobs/j%201/tasks?api-version=2025-06-01&$filter=state%20eq%20%27active%27\
             &timeOut=30&$skiptoken=new"
        );
    }

    #[test]
    fn sizes_of_pages() {
        let size = |text| {
            max_results(&query(&[("maxResults", text)])).map_err(|refusal| {
                refusal.values.last().map(|(_, v)| v.clone()).unwrap_or_default()
            })
        };
        assert_eq!(max_results(&[]), Ok(1000));
        assert_eq!(size("1"), Ok(1));
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("0"), Err("MaxResults cannot be less than 1".to_owned()));
        assert_eq!(size("-5"), Err("MaxResults cannot be less than 1".to_owned()));
        assert_eq!(size("1001"), Err("MaxResults cannot be greater than 1000".to_owned()));
        assert_eq!(size("many"), Err("MaxResults must be an integer".to_owned()));
    }
}
