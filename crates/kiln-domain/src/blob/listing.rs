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
    /// Of the first name, only moments from this one on.
    pub from_moment: i64,
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
    /// Name and moment of the first item of the next page.
    pub next: Option<(String, i64)>,
}

/// The moment of what is not of the past: it comes last among all of its name.
pub const PRESENT: i64 = i64::MAX;

/// Where a list goes on: at the first item of this name and moment, or later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The name's bytes.
    pub name: Vec<u8>,
    /// The moment; that of what is not of the past is [`PRESENT`].
    pub moment: i64,
}

impl Cursor {
    /// Goes on behind an item.
    fn pass(&mut self, (name, moment): (&str, i64)) {
        self.name.clear();
        self.name.extend_from_slice(name.as_bytes());
        match moment.checked_add(1) {
            Some(next) => self.moment = next,
            None => {
                self.name.push(0);
                self.moment = i64::MIN;
            }
        }
    }
}

/// Items fetched at once while prefixes are folded: many of them may fold into one line.
const FETCH_WHILE_FOLDING: usize = 16;

/// Cuts one page out of what `fetch(from, limit)` finds: up to `limit` items at `from` or
/// later, in the order of their names' bytes and moments, which `key_of` tells.
pub fn page<T, E>(
    query: Query<'_>,
    key_of: impl Fn(&T) -> (&str, i64),
    mut fetch: impl FnMut(&Cursor, usize) -> Result<Vec<T>, E>,
) -> Result<Page<T>, E> {
    let mut entries = Vec::new();
    let mut cursor = start(query);
    let mut n_fetch = FETCH_WHILE_FOLDING;
    loop {
        let n_wanted = query.n_entries_max.saturating_sub(entries.len()) + 1;
        let limit = if query.delimiter.is_empty() { n_wanted } else { n_wanted.min(n_fetch) };
        let found = fetch(&cursor, limit)?;
        let is_last_fetch = found.len() < limit;
        let mut folded = None;
        for item in found {
            let (name, moment) = key_of(&item);
            let is_past = !query.before.is_empty() && name >= query.before;
            let Some(rest) = name.strip_prefix(query.prefix).filter(|_| !is_past) else {
                return Ok(Page { entries, next: None });
            };
            if entries.len() >= query.n_entries_max {
                let next = Some((name.to_owned(), moment));
                return Ok(Page { entries, next });
            }
            if let Some(common) = fold(query, rest) {
                folded = Some(after_all(&common));
                entries.push(Entry::Prefix(common));
                break;
            }
            cursor.pass((name, moment));
            entries.push(Entry::Item(item));
        }
        match folded {
            Some(name) => {
                cursor = Cursor { name, moment: i64::MIN };
                n_fetch = FETCH_WHILE_FOLDING;
            }
            None if is_last_fetch => return Ok(Page { entries, next: None }),
            None => n_fetch = n_fetch.saturating_mul(4),
        }
    }
}

/// Where the first page begins.
fn start(query: Query<'_>) -> Cursor {
    if query.prefix > query.from {
        return Cursor { name: query.prefix.as_bytes().to_vec(), moment: i64::MIN };
    }
    Cursor { name: query.from.as_bytes().to_vec(), moment: query.from_moment }
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

    use super::{Cursor, Entry, PRESENT, Query, page};

    type Item = (String, i64);

    fn key_of(item: &Item) -> (&str, i64) {
        (item.0.as_str(), item.1)
    }

    /// All pages of a list, joined; `n_fetched` counts what was read for it.
    fn walk(items: &BTreeSet<Item>, query: Query<'_>) -> (Vec<Entry<Item>>, usize) {
        let (mut all, mut n_fetched) = (Vec::new(), 0);
        let (mut from, mut from_moment) = (query.from.to_owned(), query.from_moment);
        loop {
            let query = Query { from: &from, from_moment, ..query };
            let result = page(query, key_of, |from: &Cursor, limit| {
                let found: Vec<Item> = items
                    .iter()
                    .filter(|item| {
                        let (name, moment) = key_of(item);
                        (name.as_bytes(), moment) >= (from.name.as_slice(), from.moment)
                    })
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
                Some(next) => (from, from_moment) = next,
                None => return (all, n_fetched),
            }
        }
    }

    /// The same list, from a definition that needs no pages.
    fn model(items: &BTreeSet<Item>, query: Query<'_>) -> Vec<Entry<Item>> {
        let mut entries: Vec<Entry<Item>> = Vec::new();
        for item in items {
            let name = &item.0;
            let is_in = name.as_str() >= query.from
                && (query.before.is_empty() || name.as_str() < query.before);
            let Some(rest) = name.strip_prefix(query.prefix).filter(|_| is_in) else { continue };
            let at = if query.delimiter.is_empty() { None } else { rest.find(query.delimiter) };
            let entry = match at {
                Some(at) => {
                    let end = query.prefix.len() + at + query.delimiter.len();
                    Entry::Prefix(name.split_at(end).0.to_owned())
                }
                None => Entry::Item(item.clone()),
            };
            if entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        entries
    }

    /// Names of all sorts; some have a past, and some of these no present.
    fn items() -> BTreeSet<Item> {
        let mut items = BTreeSet::new();
        let parts = ["", "a", "b", "é", "/", "--", "~", "\u{10FFFF}"];
        let mut names = Vec::new();
        for x in parts {
            for y in parts {
                for z in parts {
                    names.extend([format!("{x}{y}{z}"), format!("{x}{y}/{z}")]);
                }
            }
        }
        for (n, name) in names.into_iter().filter(|name| !name.is_empty()).enumerate() {
            if n % 5 != 0 {
                items.insert((name.clone(), PRESENT));
            }
            items.extend((0..i64::try_from(n % 3).expect("small")).map(|at| (name.clone(), at)));
        }
        items
    }

    const ALL: Query<'static> = Query {
        prefix: "",
        delimiter: "",
        from: "",
        from_moment: i64::MIN,
        before: "",
        n_entries_max: 5000,
    };

    #[test]
    fn pages_join_to_the_model() {
        let items = items();
        for prefix in ["", "a", "a/", "é", "zz", "\u{10FFFF}"] {
            for delimiter in ["", "/", "--", "é"] {
                for (from, before) in [("", ""), ("a/b", ""), ("", "b"), ("b", "é")] {
                    for n_entries_max in [1, 2, 7, 5000] {
                        let query = Query { prefix, delimiter, from, before, n_entries_max, ..ALL };
                        assert_eq!(walk(&items, query).0, model(&items, query), "{query:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn folding_skips_what_it_folds() {
        let items: BTreeSet<Item> =
            (0..10_000).map(|n| (format!("{}/{n:05}", n % 10), PRESENT)).collect();
        let query = Query { delimiter: "/", ..ALL };
        let (entries, n_fetched) = walk(&items, query);
        assert_eq!(entries.len(), 10);
        assert!(n_fetched <= 10 * 16, "{n_fetched} names were read");
    }
}
