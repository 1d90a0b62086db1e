//! How a sorted run of names is cut into pages, with common prefixes folded.

/// What part of the names is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Only names that begin so.
    pub prefix: &'a str,
    /// Fold names that hold this after the prefix; empty folds nothing.
    pub delimiter: &'a str,
    /// Only names from this one on, itself included.
    pub from: &'a str,
    /// Only names before this one; empty has no end.
    pub before: &'a str,
    /// Entries on the page.
    pub n_entries_max: usize,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<T> {
    /// An item with a name.
    Item(T),
    /// All items whose names begin so.
    Prefix(String),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its lines, sorted by bytes.
    pub entries: Vec<Entry<T>>,
    /// Name of the first item of the next page.
    pub next: Option<String>,
}

/// Items fetched at once while prefixes are folded: many of them may fold into one line.
const FETCH_WHILE_FOLDING: usize = 16;

/// Cuts one page out of what `fetch(from, limit)` finds: up to `limit` items whose names are
/// `from` or later by bytes, in order.
pub fn page<T, E>(
    query: Query<'_>,
    name_of: impl Fn(&T) -> &str,
    mut fetch: impl FnMut(&[u8], usize) -> Result<Vec<T>, E>,
) -> Result<Page<T>, E> {
    let mut entries = Vec::new();
    let mut cursor = query.prefix.max(query.from).as_bytes().to_vec();
    let mut n_fetch = FETCH_WHILE_FOLDING;
    loop {
        let n_wanted = query.n_entries_max.saturating_sub(entries.len()) + 1;
        let limit = if query.delimiter.is_empty() { n_wanted } else { n_wanted.min(n_fetch) };
        let found = fetch(&cursor, limit)?;
        let is_last_fetch = found.len() < limit;
        let mut folded = None;
        for item in found {
            let name = name_of(&item);
            let is_past = !query.before.is_empty() && name >= query.before;
            let Some(rest) = name.strip_prefix(query.prefix).filter(|_| !is_past) else {
                return Ok(Page { entries, next: None });
            };
            if entries.len() >= query.n_entries_max {
                let next = Some(name.to_owned());
                return Ok(Page { entries, next });
            }
            if let Some(common) = fold(query, rest) {
                folded = Some(after_all(&common));
                entries.push(Entry::Prefix(common));
                break;
            }
            cursor.clear();
            cursor.extend_from_slice(name.as_bytes());
            cursor.push(0);
            entries.push(Entry::Item(item));
        }
        match folded {
            Some(after) => {
                cursor = after;
                n_fetch = FETCH_WHILE_FOLDING;
            }
            None if is_last_fetch => return Ok(Page { entries, next: None }),
            None => n_fetch = n_fetch.saturating_mul(4),
        }
    }
}

/// The common prefix that `rest`, a name behind the query's prefix, folds into.
fn fold(query: Query<'_>, rest: &str) -> Option<String> {
    if query.delimiter.is_empty() {
        return None;
    }
    let (head, _) = rest.split_once(query.delimiter)?;
    Some(format!("{}{head}{}", query.prefix, query.delimiter))
}

/// The least bytes that sort after every name with this prefix.
fn after_all(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1); // no byte of UTF-8 is 0xFF
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use super::{Entry, Query, page};

    /// All pages of a list, joined; `n_fetched` counts what was read for it.
    fn walk(names: &BTreeSet<String>, query: Query<'_>) -> (Vec<Entry<String>>, usize) {
        let (mut all, mut n_fetched) = (Vec::new(), 0);
        let mut from = query.from.to_owned();
        loop {
            let query = Query { from: &from, ..query };
            let result = page(query, String::as_str, |from, limit| {
                let found: Vec<String> = names
                    .iter()
                    .filter(|name| name.as_bytes() >= from)
                    .take(limit)
                    .cloned()
                    .collect();
                n_fetched += found.len();
                Ok::<_, Infallible>(found)
            });
            let found = match result {
                Ok(found) => found,
                Err(never) => match never {},
            };
            assert!(found.entries.len() <= query.n_entries_max);
            all.extend(found.entries);
            match found.next {
                Some(next) => from = next,
                None => return (all, n_fetched),
            }
        }
    }

    /// The same list, from a definition that needs no pages.
    fn model(names: &BTreeSet<String>, query: Query<'_>) -> Vec<Entry<String>> {
        let mut entries: Vec<Entry<String>> = Vec::new();
        for name in names {
            let is_in = name.as_str() >= query.from
                && (query.before.is_empty() || name.as_str() < query.before);
            let Some(rest) = name.strip_prefix(query.prefix).filter(|_| is_in) else { continue };
            let at = if query.delimiter.is_empty() { None } else { rest.find(query.delimiter) };
            let entry = match at {
                Some(at) => {
                    let end = query.prefix.len() + at + query.delimiter.len();
                    Entry::Prefix(name.split_at(end).0.to_owned())
                }
                None => Entry::Item(name.clone()),
            };
            if entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        entries
    }

    fn names() -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let parts = ["", "a", "b", "é", "/", "--", "~", "\u{10FFFF}"];
        for x in parts {
            for y in parts {
                for z in parts {
                    let name = format!("{x}{y}/{z}");
                    names.insert(format!("{x}{y}{z}"));
                    names.insert(name);
                }
            }
        }
        names.remove("");
        names
    }

    #[test]
    fn pages_join_to_the_model() {
        let names = names();
        for prefix in ["", "a", "a/", "é", "zz", "\u{10FFFF}"] {
            for delimiter in ["", "/", "--", "é"] {
                for (from, before) in [("", ""), ("a/b", ""), ("", "b"), ("b", "é")] {
                    for n_entries_max in [1, 2, 7, 5000] {
                        let query = Query { prefix, delimiter, from, before, n_entries_max };
                        assert_eq!(walk(&names, query).0, model(&names, query), "{query:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn folding_skips_what_it_folds() {
        let names: BTreeSet<String> = (0..10_000).map(|n| format!("{}/{n:05}", n % 10)).collect();
        let query = Query { prefix: "", delimiter: "/", from: "", before: "", n_entries_max: 5000 };
        let (entries, n_fetched) = walk(&names, query);
        assert_eq!(entries.len(), 10);
        assert!(n_fetched <= 10 * 16, "{n_fetched} names were read");
    }
}
