//! The language in which clients ask for tags: `"key" >= 'value' AND @container = 'name'`.

use kiln_domain::blob::limits::{TAG_KEY_LENGTH, TAG_VALUE_LENGTH_MAX};
use kiln_domain::blob::tag_filter::{Search, TagFilter, TagTest};
use kiln_domain::comparison::Comparison;

/// Comparisons in one filter.
const TESTS_MAX: usize = 32;
/// Parentheses inside each other.
const DEPTH_MAX: usize = 16;

/// The text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no filter of tags: {reason} at character {at}")]
pub struct InvalidFilter {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, from 0.
    pub at: usize,
}

/// Reads the condition of a request: comparisons joined by `AND` and `OR`, in parentheses.
pub fn condition(text: &str) -> Result<TagFilter, InvalidFilter> {
    let mut parser = Parser::new(text)?;
    let filter = parser.any(0)?;
    parser.end()?;
    Ok(filter)
}

/// Reads what blobs are looked for: comparisons joined by `AND`, and perhaps a container.
pub fn search(text: &str) -> Result<Search, InvalidFilter> {
    let mut parser = Parser::new(text)?;
    let mut search = Search::default();
    loop {
        let at = parser.at();
        let (key, comparison, value) = parser.comparison()?;
        match (key, comparison) {
            (Name::Container, Comparison::Equal) if search.container.is_none() => {
                search.container = Some(value);
            }
            (Name::Container, _) => {
                return Err(InvalidFilter { reason: "`@container` is compared once, by `=`", at });
            }
            (Name::Tag(_), Comparison::NotEqual) => {
                return Err(InvalidFilter { reason: "blobs are not looked for by `<>`", at });
            }
            (Name::Tag(key), comparison) => search.tests.push(TagTest { key, comparison, value }),
        }
        if !parser.takes_word("and") {
            break;
        }
    }
    parser.end()?;
    if search.tests.is_empty() {
        return Err(InvalidFilter { reason: "no tag is compared", at: 0 });
    }
    Ok(search)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Tag(String),
    Container,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Key(String),
    Value(String),
    Sign(&'static str),
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    n_tests: usize,
    length: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, InvalidFilter> {
        let length = text.chars().count();
        Ok(Self { tokens: tokens(text)?, next: 0, n_tests: 0, length })
    }

    fn any(&mut self, depth: usize) -> Result<TagFilter, InvalidFilter> {
        let mut parts = vec![self.all(depth)?];
        while self.takes_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(joined(parts, TagFilter::Any))
    }

    fn all(&mut self, depth: usize) -> Result<TagFilter, InvalidFilter> {
        let mut parts = vec![self.part(depth)?];
        while self.takes_word("and") {
            parts.push(self.part(depth)?);
        }
        Ok(joined(parts, TagFilter::All))
    }

    fn part(&mut self, depth: usize) -> Result<TagFilter, InvalidFilter> {
        if self.takes_sign("(") {
            if depth >= DEPTH_MAX {
                return Err(self.error("too many parentheses"));
            }
            let filter = self.any(depth + 1)?;
            return if self.takes_sign(")") {
                Ok(filter)
            } else {
                Err(self.error("`)` is expected"))
            };
        }
        match self.comparison()? {
            (Name::Tag(key), comparison, value) => {
                Ok(TagFilter::Test(TagTest { key, comparison, value }))
            }
            (Name::Container, ..) => Err(self.error("`@container` is for searches")),
        }
    }

    fn comparison(&mut self) -> Result<(Name, Comparison, String), InvalidFilter> {
        self.n_tests += 1;
        if self.n_tests > TESTS_MAX {
            return Err(self.error("too many comparisons"));
        }
        let name = match self.peek().cloned() {
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("@container") => Name::Container,
            Some(Token::Word(word)) if word.starts_with('@') => {
                return Err(self.error("only `@container` begins with `@`"));
            }
            Some(Token::Word(key) | Token::Key(key)) => Name::Tag(key),
            Some(Token::Value(_) | Token::Sign(_)) | None => {
                return Err(self.error("the key of a tag is expected"));
            }
        };
        if let Name::Tag(key) = &name
            && !TAG_KEY_LENGTH.contains(&key.chars().count())
        {
            return Err(self.error("the key of a tag has 1 to 128 characters"));
        }
        self.next += 1;
        let comparison = match self.peek() {
            Some(Token::Sign("=")) => Comparison::Equal,
            Some(Token::Sign("<>")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(_) | None => return Err(self.error("a comparison is expected")),
        };
        self.next += 1;
        let Some(Token::Value(value)) = self.peek().cloned() else {
            return Err(self.error("a value in single quotes is expected"));
        };
        if value.chars().count() > TAG_VALUE_LENGTH_MAX {
            return Err(self.error("the value of a tag has at most 256 characters"));
        }
        self.next += 1;
        Ok((name, comparison, value))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.length, |(at, _)| *at)
    }

    fn error(&self, reason: &'static str) -> InvalidFilter {
        InvalidFilter { reason, at: self.at() }
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let takes =
            matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(takes);
        takes
    }

    fn takes_sign(&mut self, wanted: &str) -> bool {
        let takes = matches!(self.peek(), Some(Token::Sign(sign)) if *sign == wanted);
        self.next += usize::from(takes);
        takes
    }

    fn end(&self) -> Result<(), InvalidFilter> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error("the end is expected")) }
    }
}

fn joined(mut parts: Vec<TagFilter>, join: impl FnOnce(Vec<TagFilter>) -> TagFilter) -> TagFilter {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

const SIGNS: [&str; 8] = ["<>", "<=", ">=", "<", ">", "=", "(", ")"];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, InvalidFilter> {
    let mut found = Vec::new();
    let (mut rest, mut at) = (text, 0);
    loop {
        let trimmed = rest.trim_start();
        at += rest.chars().count() - trimmed.chars().count();
        rest = trimmed;
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let (token, behind) = match first {
            '"' | '\'' => {
                let inner = rest.strip_prefix(first).unwrap_or(rest);
                let Some((inside, behind)) = inner.split_once(first) else {
                    return Err(InvalidFilter { reason: "a quote is not closed", at });
                };
                let inside = inside.to_owned();
                (if first == '"' { Token::Key(inside) } else { Token::Value(inside) }, behind)
            }
            _ => match SIGNS.iter().find_map(|sign| Some((*sign, rest.strip_prefix(*sign)?))) {
                Some((sign, behind)) => (Token::Sign(sign), behind),
                None => {
                    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@');
                    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                    let (word, behind) = rest.split_at(end);
                    if word.is_empty() {
                        return Err(InvalidFilter { reason: "this character means nothing", at });
                    }
                    (Token::Word(word.to_owned()), behind)
                }
            },
        };
        found.push((at, token));
        at += rest.chars().count() - behind.chars().count();
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, condition, search};
    use kiln_domain::blob::tags::Tags;

    fn check(text: &str, tags: &str, expected: bool) {
        let pairs = tags.split_whitespace().filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let tags = Tags::admit(pairs).expect("allowed");
        assert_eq!(condition(text).expect("a filter").holds(&tags), expected, "{text}");
    }

    #[test]
    fn conditions() {
        check("\"a\" = '1'", "a=1", true);
        check("a='1'", "a=2", false);
        check("a = '1' AND b = '2' OR c <> '3'", "a=1 b=2", true);
        check("a = '1' and (b = '2' or c <> '3')", "a=1 c=4", true);
        check("a = '1' AND (b = '2' OR c <> '3')", "a=1 c=3", false);
        check("a >= '1' AND a < '2'", "a=19", true);
    }

    #[test]
    fn searches() {
        let found = search("@container = 'c' AND \"my key\">='a' AND x < 'b'").expect("a search");
        assert_eq!(found.container.as_deref(), Some("c"));
        let tests: Vec<_> = found
            .tests
            .iter()
            .map(|it| (it.key.as_str(), it.comparison, it.value.as_str()))
            .collect();
        let expected = [("my key", Comparison::GreaterOrEqual, "a"), ("x", Comparison::Less, "b")];
        assert_eq!(tests, expected);
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "",
            "a",
            "a =",
            "a = b",
            "a = 'b",
            "\"a = 'b'",
            "a = 'b' c",
            "a = 'b' AND",
            "(a = 'b'",
            "a ! 'b'",
            "@container = 'c'",
            "a == 'b'",
        ] {
            assert!(condition(bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "@container = 'c'",
            "a <> 'b'",
            "a = 'b' OR a = 'c'",
            "@container > 'c' AND a = 'b'",
            "@odd = 'c'",
        ] {
            assert!(search(bad).is_err(), "{bad}");
        }
        assert!(condition(&format!("{}a = 'b'{}", "(".repeat(17), ")".repeat(17))).is_err());
        let many = vec!["a = 'b'"; 33].join(" OR ");
        assert!(condition(&many).is_err());
        let error = search("a = 'b' AND ? = 'c'").expect_err("refused");
        assert_eq!(error.at, 12);
    }
}
