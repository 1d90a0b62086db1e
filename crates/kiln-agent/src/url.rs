//! URLs as clients send them: names of blobs are often not escaped in them.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may not stand in a path, `%` aside.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// What may not stand in a query, `%` aside.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
/// What may not stand in a blob name within a path.
const NAME: &AsciiSet = &PATH.add(b'%').add(b'+').add(b'&').add(b'=');

/// A URL in its three parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// `https://host:port`
    origin: String,
    /// Escaped, from the first slash on.
    path: String,
    /// Escaped, without the question mark.
    query: String,
}

impl Parts {
    /// Takes a URL apart and escapes what must be; `None` if it is no `http` URL.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        if host.is_empty() {
            return None;
        }
        Some(Self {
            origin: format!("{scheme}://{host}"),
            path: format!("/{}", escape(path, PATH)),
            query: escape(query, QUERY),
        })
    }

    /// The blob `name` in the container that this is the URL of.
    pub(crate) fn blob(&self, name: &str) -> String {
        let path = self.path.trim_end_matches('/');
        let name = utf8_percent_encode(name, NAME);
        with_query(&format!("{}{path}/{name}", self.origin), &self.query)
    }

    /// An operation on the blob `name`, with more in the query.
    pub(crate) fn with_query(&self, name: &str, more: &str) -> String {
        let address = self.blob(name);
        let separator = if self.query.is_empty() { '?' } else { '&' };
        format!("{address}{separator}{more}")
    }

    /// A page of the list of blobs in the container that this is the URL of.
    pub(crate) fn list(&self, prefix: &str, marker: &str) -> String {
        self.list_with([("prefix", prefix), ("marker", marker)])
    }

    /// A page of that list, with these parameters as far as they are not empty.
    pub(crate) fn list_with<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let path = self.path.trim_end_matches('/');
        let mut query = "restype=container&comp=list".to_owned();
        for (name, value) in parameters {
            if !value.is_empty() {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                query.extend(["&", name, "="].into_iter().chain(value));
            }
        }
        if !self.query.is_empty() {
            query.push('&');
            query.push_str(&self.query);
        }
        with_query(&format!("{}{path}", self.origin), &query)
    }

    /// All of it.
    pub(crate) fn whole(&self) -> String {
        with_query(&format!("{}{}", self.origin, self.path), &self.query)
    }
}

fn with_query(address: &str, query: &str) -> String {
    if query.is_empty() { address.to_owned() } else { format!("{address}?{query}") }
}

/// Escapes what `set` says and every `%` that begins no escape.
fn escape(text: &str, set: &'static AsciiSet) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('%');
    if let Some(first) = parts.next() {
        out.extend(utf8_percent_encode(first, set));
    }
    for part in parts {
        let is_escape = part
            .as_bytes()
            .first_chunk::<2>()
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        out.push_str(if is_escape { "%" } else { "%25" });
        out.extend(utf8_percent_encode(part, set));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Parts;

    #[track_caller]
    fn check(url: &str, expected: &str) {
        assert_eq!(Parts::parse(url).expect("a URL").whole(), expected, "{url}");
    }

    #[test]
    fn escapes_what_clients_do_not() {
        check("http://h", "http://h/");
        check("https://h:1/c/a b.txt?sig=x%2By/z", "https://h:1/c/a%20b.txt?sig=x%2By/z");
        check("http://h/c/100%.txt", "http://h/c/100%25.txt");
        check("http://h/c/a%20b+c", "http://h/c/a%20b+c");
        check("http://h/c/é#1", "http://h/c/%C3%A9%231");
        assert_eq!(Parts::parse("ftp://h/x"), None);
        assert_eq!(Parts::parse("nonsense"), None);
    }

    #[test]
    fn names_within_a_container() {
        let container = Parts::parse("https://h/c?sv=1&sig=a%2Fb").expect("a URL");
        assert_eq!(container.blob("d/a b%+"), "https://h/c/d/a%20b%25%2B?sv=1&sig=a%2Fb");
        assert_eq!(
            container.with_query("a", "comp=block"),
            "https://h/c/a?sv=1&sig=a%2Fb&comp=block"
        );
        let open = Parts::parse("https://h/c/").expect("a URL");
        assert_eq!(open.with_query("a", "comp=block"), "https://h/c/a?comp=block");
        assert_eq!(
            container.list("d/", "m 1"),
            "https://h/c?restype=container&comp=list&prefix=d%2F&marker=m%201&sv=1&sig=a%2Fb"
        );
    }
}
