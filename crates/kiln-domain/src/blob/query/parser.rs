//! From tokens to a statement; its expressions are read in `expressions`.

use super::failure::InvalidQuery;
use super::lexer::{Token, tokens};
use super::syntax::{Aggregate, Column, Select, Statement, Step};
use crate::blob::limits::{QUERY_COLUMNS_MAX, QUERY_SPLIT_BYTES_MIN};

/// Parentheses, operators and functions within each other.
const DEPTH_MAX: usize = 64;
/// The one table.
const TABLE: &str = "blobstorage";
/// Words that are no names unless they are quoted.
const RESERVED: [&str; 21] = [
    "select", "from", "where", "limit", "as", "and", "or", "not", "between", "in", "like",
    "escape", "is", "null", "missing", "case", "when", "then", "else", "end", "cast",
];

pub(super) type Parsed<T> = Result<T, InvalidQuery>;

impl Statement {
    /// Reads a query.
    ///
    /// # Errors
    /// When it is none: where, and what was expected there.
    pub fn parse(text: &str) -> Parsed<Self> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
        parser.expect_word("select")?;
        let select = parser.select()?;
        parser.expect_word("from")?;
        let source = parser.table()?;
        let is_split = matches!(select, Select::Split { .. });
        let condition = match parser.takes_word("where") && !is_split {
            true => Some(parser.expression()?),
            false => None,
        };
        let limit = match parser.takes_word("limit") && !is_split {
            true => Some(parser.whole()?),
            false => None,
        };
        parser.takes(";");
        if *parser.peek() != Token::End {
            return Err(parser.error("The end is expected"));
        }
        Ok(Self { select, source, condition, limit })
    }
}

pub(super) struct Parser {
    tokens: Vec<(usize, Token)>,
    pub(super) next: usize,
    pub(super) depth: usize,
}

impl Parser {
    fn select(&mut self) -> Parsed<Select> {
        if self.takes("*") {
            return Ok(Select::All);
        }
        if self.is_word("sys") && self.is_sign_behind(1, ".") {
            return self.split();
        }
        if let Some(aggregate) = self.aggregate()? {
            return Ok(aggregate);
        }
        let mut columns = Vec::new();
        loop {
            if columns.len() == QUERY_COLUMNS_MAX {
                return Err(self.error(format!("More than {QUERY_COLUMNS_MAX} columns")));
            }
            let expression = self.expression()?;
            let alias = self.alias()?;
            let is_named = alias.is_some();
            let name = alias.unwrap_or_else(|| format!("_{}", columns.len() + 1));
            columns.push(Column { expression, name, is_named });
            if !self.takes(",") {
                return Ok(Select::Columns(columns));
            }
        }
    }

    /// `sys.split(10485760)`
    fn split(&mut self) -> Parsed<Select> {
        self.next += 2;
        self.expect_word("split")?;
        self.expect("(")?;
        let at = self.at();
        let part_bytes_min = self.whole()?;
        if part_bytes_min < QUERY_SPLIT_BYTES_MIN {
            let reason = format!("A split size of at least {QUERY_SPLIT_BYTES_MIN} is expected");
            return Err(InvalidQuery::syntax(reason, at));
        }
        self.expect(")")?;
        Ok(Select::Split { part_bytes_min })
    }

    /// `COUNT(*)`, `SUM(price) AS total`: alone, as the service has it.
    fn aggregate(&mut self) -> Parsed<Option<Select>> {
        let Token::Word(word) = self.peek() else { return Ok(None) };
        let function = match word.to_ascii_lowercase().as_str() {
            "count" => Aggregate::Count,
            "sum" => Aggregate::Sum,
            "avg" | "average" => Aggregate::Average,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            _ => return Ok(None),
        };
        if !self.is_sign_behind(1, "(") {
            return Ok(None);
        }
        self.next += 2;
        let of = match function == Aggregate::Count && self.takes("*") {
            true => None,
            false => Some(self.expression()?),
        };
        self.expect(")")?;
        let name = self.alias()?.unwrap_or_else(|| "_1".to_owned());
        if *self.peek() == Token::Sign(",") {
            return Err(self.error("An aggregate stands alone"));
        }
        Ok(Some(Select::Aggregate { function, of, name }))
    }

    fn alias(&mut self) -> Parsed<Option<String>> {
        let is_expected = self.takes_word("as");
        let name = self.name().filter(|(name, is_exact)| *is_exact || !is_reserved(name));
        match name {
            Some((name, _)) => {
                self.next += 1;
                Ok(Some(name))
            }
            None if is_expected => Err(self.error("A name is expected")),
            None => Ok(None),
        }
    }

    /// `BlobStorage`, `BlobStorage[*].warehouses[*]`; the first `[*]` is the blob's records.
    fn table(&mut self) -> Parsed<Vec<Step>> {
        self.expect_word(TABLE)?;
        if *self.peek() != Token::Sign("[") {
            return Ok(Vec::new());
        }
        let mut steps = self.steps(true)?;
        if steps.first() != Some(&Step::Every) {
            return Err(self.error("`BlobStorage[*]` is expected"));
        }
        steps.remove(0);
        Ok(steps)
    }

    /// `.name`, `[0]` and, in a table, `[*]`, as often as they come.
    pub(super) fn steps(&mut self, is_of_table: bool) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if steps.len() > DEPTH_MAX {
                return Err(self.error("The path is too long"));
            }
            if self.takes(".") {
                steps.push(self.member()?);
            } else if self.takes("[") {
                steps.push(if is_of_table && self.takes("*") {
                    Step::Every
                } else {
                    let idx = self.whole()?;
                    Step::Element(usize::try_from(idx).unwrap_or(usize::MAX))
                });
                self.expect("]")?;
            } else {
                return Ok(steps);
            }
        }
    }

    pub(super) fn member(&mut self) -> Parsed<Step> {
        let Some((name, is_exact)) = self.name() else {
            return Err(self.error("A name is expected"));
        };
        self.next += 1;
        Ok(Step::Member { name, is_exact })
    }

    pub(super) fn text(&mut self) -> Parsed<String> {
        let Token::Text(text) = self.peek() else {
            return Err(self.error("A text in single quotes is expected"));
        };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }

    pub(super) fn whole(&mut self) -> Parsed<u64> {
        if let Token::Int(number) = self.peek()
            && let Ok(whole) = u64::try_from(*number)
        {
            self.next += 1;
            return Ok(whole);
        }
        Err(self.error("A whole number is expected"))
    }

    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.descend()?;
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    pub(super) fn descend(&mut self) -> Parsed<()> {
        if self.depth == DEPTH_MAX {
            return Err(self.error("Too deep"));
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    pub(super) fn at(&self) -> usize {
        self.tokens.get(self.next).or_else(|| self.tokens.last()).map_or(0, |(at, _)| *at)
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> InvalidQuery {
        InvalidQuery::syntax(reason, self.at())
    }

    /// A name that comes, and whether its case counts.
    fn name(&self) -> Option<(String, bool)> {
        if let Token::Name(name) = self.peek() {
            return Some((name.clone(), true));
        }
        if let Token::Word(word) = self.peek() {
            return Some((word.clone(), false));
        }
        None
    }

    pub(super) fn is_word(&self, wanted: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(wanted))
    }

    pub(super) fn is_sign_behind(&self, n_tokens: usize, wanted: &str) -> bool {
        let token = self.tokens.get(self.next + n_tokens);
        matches!(token, Some((_, Token::Sign(sign))) if *sign == wanted)
    }

    pub(super) fn takes_word(&mut self, wanted: &str) -> bool {
        let takes = self.is_word(wanted);
        self.next += usize::from(takes);
        takes
    }

    pub(super) fn takes(&mut self, wanted: &str) -> bool {
        let takes = matches!(self.peek(), Token::Sign(sign) if *sign == wanted);
        self.next += usize::from(takes);
        takes
    }

    pub(super) fn expect_word(&mut self, wanted: &str) -> Parsed<()> {
        match self.takes_word(wanted) {
            true => Ok(()),
            false => Err(self.error(format!("`{}` is expected", wanted.to_ascii_uppercase()))),
        }
    }

    pub(super) fn expect(&mut self, wanted: &str) -> Parsed<()> {
        match self.takes(wanted) {
            true => Ok(()),
            false => Err(self.error(format!("`{wanted}` is expected"))),
        }
    }
}

pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
