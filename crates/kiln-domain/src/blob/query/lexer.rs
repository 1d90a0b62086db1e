//! From the text of a query to tokens.

use super::failure::InvalidQuery;

/// One word of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// `SELECT`, `price`, `_1`.
    Word(String),
    /// `"unit price"`, without its quotes.
    Name(String),
    /// `'text'`, without its quotes.
    Text(String),
    /// `7`
    Int(i64),
    /// `0.7`
    Float(f64),
    /// `<=`
    Sign(&'static str),
    /// After the last one.
    End,
}

/// Longer ones before those they begin with.
const SIGNS: [&str; 19] = [
    "<=", ">=", "<>", "!=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", ".", "[", "]",
    ";",
];

/// Takes a query apart, each token with the character where it begins; the last is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, InvalidQuery> {
    let mut cursor = Cursor { rest: text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        cursor.take_while(char::is_whitespace);
        let at = cursor.at;
        let token = match cursor.rest.chars().next() {
            None => {
                tokens.push((at, Token::End));
                return Ok(tokens);
            }
            Some('\'') => Token::Text(cursor.quoted('\'')?),
            Some('"') => Token::Name(cursor.quoted('"')?),
            Some(c) if c.is_ascii_digit() => cursor.number()?,
            Some(c) if c.is_alphabetic() || c == '_' => {
                Token::Word(cursor.take_while(is_of_word).to_owned())
            }
            Some(c) => match SIGNS.into_iter().find(|sign| cursor.rest.starts_with(sign)) {
                Some(sign) => {
                    cursor.take(sign.len());
                    Token::Sign(sign)
                }
                None => return Err(InvalidQuery::syntax(format!("Unexpected `{c}`"), at)),
            },
        };
        tokens.push((at, token));
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Cursor<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Moves over `n_bytes`, which end between characters.
    fn take(&mut self, n_bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(n_bytes);
        self.at += taken.chars().count();
        self.rest = rest;
        taken
    }

    /// What stands between two of `quote`; twice the quote is one of it.
    fn quoted(&mut self, quote: char) -> Result<String, InvalidQuery> {
        let begin = self.at;
        self.take(quote.len_utf8());
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote));
            if self.rest.is_empty() {
                return Err(InvalidQuery::syntax("A quote has no end", begin));
            }
            self.take(quote.len_utf8());
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.take(quote.len_utf8());
        }
    }

    fn number(&mut self) -> Result<Token, InvalidQuery> {
        let (begin, text) = (self.at, self.rest);
        let digits = |from: usize| {
            let rest = text.get(from..).unwrap_or_default();
            rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
        };
        let at = |from: usize| text.get(from..).unwrap_or_default();
        let mut end = digits(0);
        if at(end).starts_with('.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if at(end).starts_with(['e', 'E']) {
            let sign = usize::from(at(end + 1).starts_with(['+', '-']));
            let n_digits = digits(end + 1 + sign);
            if n_digits > 0 {
                end += 1 + sign + n_digits;
            }
        }
        let taken = self.take(end);
        if self.rest.starts_with(is_of_word) {
            return Err(InvalidQuery::syntax("Invalid number", begin));
        }
        if let Ok(whole) = taken.parse() {
            return Ok(Token::Int(whole));
        }
        match taken.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Float(number)),
            Ok(_) | Err(_) => Err(InvalidQuery::syntax("Invalid number", begin)),
        }
    }
}
