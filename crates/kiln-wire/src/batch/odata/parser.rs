//! The grammar of filters: `or` binds least, then `and`, then `not`.

use kiln_domain::time::Timestamp;

use super::filter::{Expr, Literal, Operator};
use super::lexer::{self, Token};
use super::properties::{Kind, List, Property};

/// Parentheses and `not`s inside each other.
const DEPTH_MAX: usize = 64;
const ENDS_EARLY: &str = "The filter ends too early";

/// Parses a filter; `Err` holds a sentence for the client.
pub(super) fn parse(list: List, text: &str) -> Result<Expr, String> {
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser { list, tokens: tokens.as_slice(), depth: 0 };
    let expr = parser.or()?;
    if !parser.tokens.is_empty() {
        return Err("The filter does not end where it should".to_owned());
    }
    Ok(expr)
}

struct Parser<'t> {
    list: List,
    /// What is still to be read.
    tokens: &'t [Token<'t>],
    depth: usize,
}

/// One side of a comparison.
enum Side {
    Property(Property),
    Value(Raw),
}

/// A value before it is known what it is compared with.
enum Raw {
    Text(String),
    Time(String),
    Number(f64),
    Bool(bool),
    Null,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Expr, String> {
        let mut any = vec![self.and()?];
        while self.takes_word("or") {
            any.push(self.and()?);
        }
        Ok(if any.len() == 1 { any.swap_remove(0) } else { Expr::Or(any) })
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut all = vec![self.not()?];
        while self.takes_word("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expr::And(all) })
    }

    fn not(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("The filter is nested too deeply".to_owned());
        }
        let expr = if self.takes_word("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.takes(&Token::Open) {
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        if self.takes_word("startswith") {
            return self.starts_with();
        }
        let left = self.side()?;
        let word = match self.next()? {
            Token::Word(word) => *word,
            Token::Open | Token::Close | Token::Comma | Token::Text(_) | Token::Time(_) => "",
        };
        let operator = Operator::named(word)
            .ok_or_else(|| format!("'{word}' is no operator: use eq, ne, gt, ge, lt or le"))?;
        match (left, self.side()?) {
            (Side::Property(property), Side::Value(value)) => compare(property, operator, value),
            (Side::Value(value), Side::Property(property)) => {
                compare(property, operator.turned(), value)
            }
            (Side::Property(_), Side::Property(_)) | (Side::Value(_), Side::Value(_)) => {
                Err("A property is compared with a value".to_owned())
            }
        }
    }

    /// `startswith(id,'a')`, perhaps with `eq true` behind it.
    fn starts_with(&mut self) -> Result<Expr, String> {
        let form = || "startswith takes a property and a text".to_owned();
        self.expect(&Token::Open)?;
        let Side::Property(property) = self.side()? else { return Err(form()) };
        self.expect(&Token::Comma)?;
        let Side::Value(Raw::Text(prefix)) = self.side()? else { return Err(form()) };
        self.expect(&Token::Close)?;
        if property.kind != Kind::Text {
            return Err(format!("'{}' cannot be used with startswith", property.path));
        }
        let expr = Expr::StartsWith { property, prefix: prefix.to_ascii_lowercase() };
        let is_wanted = match self.tokens {
            [Token::Word(operator), Token::Word(value), ..] => {
                match (Operator::named(operator), literal(value)) {
                    (Some(Operator::Equal), Some(Raw::Bool(is))) => Some(is),
                    (Some(Operator::NotEqual), Some(Raw::Bool(is))) => Some(!is),
                    _ => None,
                }
            }
            _ => None,
        };
        if is_wanted.is_some() {
            self.tokens = self.tokens.get(2..).unwrap_or_default();
        }
        Ok(if is_wanted == Some(false) { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn side(&mut self) -> Result<Side, String> {
        Ok(match self.next()? {
            Token::Text(text) => Side::Value(Raw::Text(text.clone())),
            Token::Time(text) => Side::Value(Raw::Time(text.clone())),
            Token::Word(word) => match (literal(word), self.list.property(word)) {
                (Some(value), _) => Side::Value(value),
                (None, Some(property)) => Side::Property(property),
                (None, None) => {
                    return Err(format!("This list cannot be filtered by '{word}'"));
                }
            },
            Token::Open | Token::Close | Token::Comma => {
                return Err("A property or a value is missing".to_owned());
            }
        })
    }

    fn next(&mut self) -> Result<&'t Token<'t>, String> {
        let (first, rest) = self.tokens.split_first().ok_or(ENDS_EARLY)?;
        self.tokens = rest;
        Ok(first)
    }

    fn takes(&mut self, token: &Token<'_>) -> bool {
        let rest = self.tokens.split_first().filter(|(first, _)| *first == token);
        self.tokens = rest.map_or(self.tokens, |(_, rest)| rest);
        rest.is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let rest = self.tokens.split_first().filter(
            |(first, _)| matches!(first, Token::Word(found) if found.eq_ignore_ascii_case(word)),
        );
        self.tokens = rest.map_or(self.tokens, |(_, rest)| rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &Token<'_>) -> Result<(), String> {
        if self.tokens.is_empty() {
            return Err(ENDS_EARLY.to_owned());
        }
        if self.takes(token) { Ok(()) } else { Err("A bracket or comma is missing".to_owned()) }
    }
}

/// A word that is a value: a number, a date, `true`, `false` or `null`.
fn literal(word: &str) -> Option<Raw> {
    match word {
        "true" => return Some(Raw::Bool(true)),
        "false" => return Some(Raw::Bool(false)),
        "null" => return Some(Raw::Null),
        _ => {}
    }
    let begins_like_a_number =
        word.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit());
    if !begins_like_a_number {
        return None;
    }
    match word.parse() {
        Ok(number) => Some(Raw::Number(number)),
        Err(_) => Some(Raw::Time(word.to_owned())),
    }
}

/// A comparison whose value is of the kind of its property.
fn compare(property: Property, operator: Operator, value: Raw) -> Result<Expr, String> {
    let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    if !is_equality && matches!(property.kind, Kind::Word | Kind::Bool) {
        return Err(format!("'{}' can be compared with eq and ne only", property.path));
    }
    let is = match property.kind {
        Kind::Text | Kind::Word => "a text",
        Kind::Number => "a number",
        Kind::Time => "a date and time",
        Kind::Bool => "true or false",
    };
    let value = match (property.kind, value) {
        (_, Raw::Null) => Some(Literal::Null),
        (Kind::Text | Kind::Word, Raw::Text(text)) => {
            Some(Literal::Text(text.to_ascii_lowercase()))
        }
        (Kind::Number, Raw::Number(number)) => Some(Literal::Number(number)),
        (Kind::Time, Raw::Time(text) | Raw::Text(text)) => Timestamp::parse_iso(&text)
            .or_else(|| Timestamp::parse_rfc1123(&text))
            .map(Literal::Time),
        (Kind::Bool, Raw::Bool(is)) => Some(Literal::Bool(is)),
        (Kind::Text | Kind::Word, Raw::Time(_) | Raw::Number(_) | Raw::Bool(_))
        | (Kind::Number, Raw::Text(_) | Raw::Time(_) | Raw::Bool(_))
        | (Kind::Time, Raw::Number(_) | Raw::Bool(_))
        | (Kind::Bool, Raw::Text(_) | Raw::Time(_) | Raw::Number(_)) => None,
    };
    let value = value.ok_or_else(|| format!("'{}' is {is}", property.path))?;
    Ok(Expr::Compare { property, operator, value })
}
