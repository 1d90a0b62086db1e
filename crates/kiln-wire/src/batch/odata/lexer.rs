//! The words of a filter.

/// One word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    Comma,
    /// A name, an operator, a number, a bare date.
    Word(&'a str),
    /// `'it''s'`, without its quotes.
    Text(String),
    /// `datetime'…'`, without its quotes.
    Time(String),
}

/// Takes the text apart; `Err` holds a sentence for the client.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let token;
        (token, rest) = match first {
            '(' => (Token::Open, after(rest, 1)),
            ')' => (Token::Close, after(rest, 1)),
            ',' => (Token::Comma, after(rest, 1)),
            '\'' => {
                let (inner, rest) = quoted(rest)?;
                (Token::Text(inner), rest)
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "(),'".contains(c));
                let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
                if rest.starts_with('\'') {
                    let is_time = ["datetime", "datetimeoffset", "time"]
                        .iter()
                        .any(|prefix| word.eq_ignore_ascii_case(prefix));
                    if !is_time {
                        return Err(format!("'{word}' cannot stand before a text"));
                    }
                    let (inner, rest) = quoted(rest)?;
                    (Token::Time(inner), rest)
                } else {
                    (Token::Word(word), rest)
                }
            }
        };
        found.push(token);
        rest = rest.trim_start();
    }
    Ok(found)
}

/// The text between quotes, two of which stand for one, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut inner = String::new();
    let mut rest = after(text, 1);
    loop {
        let Some((part, tail)) = rest.split_once('\'') else {
            return Err("A text has no closing quote".to_owned());
        };
        inner.push_str(part);
        match tail.strip_prefix('\'') {
            Some(more) => {
                inner.push('\'');
                rest = more;
            }
            None => return Ok((inner, tail)),
        }
    }
}

fn after(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Token, tokens};

    #[test]
    fn words_texts_and_signs() {
        let found = tokens("startswith(id,'it''s') and x/y ge DateTime'2011'").expect("tokens");
        assert_eq!(
            found,
            [
                Token::Word("startswith"),
                Token::Open,
                Token::Word("id"),
                Token::Comma,
                Token::Text("it's".to_owned()),
                Token::Close,
                Token::Word("and"),
                Token::Word("x/y"),
                Token::Word("ge"),
                Token::Time("2011".to_owned()),
            ]
        );
        assert!(tokens("id eq 'a").is_err());
        assert!(tokens("guid'a'").is_err());
    }
}
