//! Headers of a request, in order, names as they were sent.

use std::fmt;

/// Headers of a request, in order, names as they were sent. All text is in one piece.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    text: String,
    ends: Vec<Ends>,
}

/// Where a name and its value end in the text; the name begins where the last value ended.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    name: usize,
    value: usize,
}

impl Headers {
    /// Room for `n_headers` of `n_bytes` together.
    pub fn with_capacity(n_headers: usize, n_bytes: usize) -> Self {
        Self { text: String::with_capacity(n_bytes), ends: Vec::with_capacity(n_headers) }
    }

    /// Adds a header behind those there are.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name = self.text.len();
        self.text.push_str(value);
        self.ends.push(Ends { name, value: self.text.len() });
    }

    /// Puts one header in place of all of its name.
    pub fn insert(&mut self, name: &str, value: &str) {
        let mut headers = Self::default();
        for (kept, value) in self.iter().filter(|(it, _)| !it.eq_ignore_ascii_case(name)) {
            headers.push(kept, value);
        }
        headers.push(name, value);
        *self = headers;
    }

    /// Names and values in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |ends| {
            let name = self.text.get(start..ends.name).unwrap_or_default();
            let value = self.text.get(ends.name..ends.value).unwrap_or_default();
            start = ends.value;
            (name, value)
        })
    }

    /// The first value of a header; names compare without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All values of a header; names compare without case.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether there is such a header; names compare without case.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Names only: values may hold secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn names_keep_their_case_and_compare_without() {
        let mut headers = Headers::default();
        headers.push("x-ms-meta-AB", "1");
        headers.push("Accept", "a");
        headers.push("accept", "b");
        assert_eq!(headers.get("X-MS-META-ab"), Some("1"));
        assert_eq!(headers.all("ACCEPT").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(headers.iter().next(), Some(("x-ms-meta-AB", "1")));
        headers.insert("ACCEPT", "");
        assert_eq!(headers.all("accept").collect::<Vec<_>>(), [""]);
        assert_eq!((headers.len(), headers.contains_key("b")), (2, false));
    }
}
