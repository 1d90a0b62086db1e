//! From text to tokens.

use super::failure::{Failure, Position};

/// One word of a formula, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: Position,
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// `0.7`
    Number(f64),
    /// `"2016-10-13T19:18:47Z"`, without its quotes.
    Text(String),
    /// `$PendingTasks`, `avg`
    Name(String),
    /// `&&`
    Symbol(&'static str),
    /// After the last one.
    End,
}

impl TokenKind {
    /// How it is called in a complaint.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("\"{text}\""),
            Self::Name(name) => name.clone(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
            Self::End => "end of formula".to_owned(),
        }
    }
}

/// Longer ones before those they begin with.
const SYMBOLS: [&str; 21] = [
    "==", "!=", "<=", ">=", "&&", "||", "=", "!", "<", ">", "+", "-", "*", "/", "?", ":", "(", ")",
    ",", ".", ";",
];

/// Takes a formula apart; the last token is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let mut cursor = Cursor { rest: text, at: Position::START };
    let mut tokens = Vec::new();
    loop {
        cursor.skip_blanks()?;
        let at = cursor.at;
        let Some(first) = cursor.rest.chars().next() else {
            tokens.push(Token { at, kind: TokenKind::End });
            return Ok(tokens);
        };
        let kind = if first.is_ascii_digit() || cursor.begins_fraction() {
            cursor.number()?
        } else if first.is_ascii_alphabetic() || matches!(first, '_' | '$') {
            cursor.name()?
        } else if first == '"' {
            cursor.text()?
        } else {
            cursor.symbol()?
        };
        tokens.push(Token { at, kind });
    }
}

struct Cursor<'a> {
    rest: &'a str,
    at: Position,
}

impl<'a> Cursor<'a> {
    /// Moves over the characters that `belongs` says yes to, and gives them.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Moves over `n_bytes`, which end between characters.
    fn take(&mut self, n_bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(n_bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
            } else {
                self.at.column = self.at.column.saturating_add(1);
            }
        }
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) -> Result<(), Failure> {
        loop {
            self.take_while(|c| c.is_whitespace() || c == '\u{feff}');
            if self.rest.starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(Failure::syntax(self.at, "The comment has no end"));
                };
                self.take(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    /// Whether a number without a whole part, `.5`, comes.
    fn begins_fraction(&self) -> bool {
        self.rest.strip_prefix('.').is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()))
    }

    fn number(&mut self) -> Result<TokenKind, Failure> {
        let (at, text) = (self.at, self.rest);
        let digits = |it: &str| it.find(|c: char| !c.is_ascii_digit()).unwrap_or(it.len());
        let from = |n_bytes: usize| text.get(n_bytes..).unwrap_or_default();
        let mut end = digits(text);
        if from(end).starts_with('.') {
            end += 1 + digits(from(end + 1));
        }
        if let Some(exponent) = from(end).strip_prefix(['e', 'E']) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let n_digits = digits(unsigned);
            if n_digits > 0 {
                end += 1 + (exponent.len() - unsigned.len()) + n_digits;
            }
        }
        let taken = self.take(end);
        if self.rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(Failure::syntax(at, format!("Invalid number: {taken}{}", self.word())));
        }
        let number = taken.parse().map_err(|_cause| Failure::syntax(at, "Invalid number"))?;
        Ok(TokenKind::Number(number))
    }

    fn name(&mut self) -> Result<TokenKind, Failure> {
        let at = self.at;
        let dollar = if self.rest.starts_with('$') { self.take(1) } else { "" };
        let word = self.word();
        if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Ok(TokenKind::Name(format!("{dollar}{word}")));
        }
        Err(Failure::syntax(at, format!("Invalid name: {dollar}{word}")))
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn text(&mut self) -> Result<TokenKind, Failure> {
        let at = self.at;
        self.take(1);
        let text = self.take_while(|c| c != '"' && c != '\n');
        if !self.rest.starts_with('"') {
            return Err(Failure::syntax(at, "The string has no end"));
        }
        self.take(1);
        Ok(TokenKind::Text(text.to_owned()))
    }

    fn symbol(&mut self) -> Result<TokenKind, Failure> {
        let Some(symbol) = SYMBOLS.into_iter().find(|it| self.rest.starts_with(it)) else {
            let character = self.rest.chars().next().unwrap_or_default();
            return Err(Failure::syntax(self.at, format!("Unexpected character: {character}")));
        };
        self.take(symbol.len());
        Ok(TokenKind::Symbol(symbol))
    }
}
