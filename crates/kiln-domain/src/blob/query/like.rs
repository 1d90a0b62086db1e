//! Patterns of `LIKE`.

/// Characters of a pattern: comparing takes steps for each of them and each of the text.
const PATTERN_CHARACTERS_MAX: usize = 512;

/// A pattern: `%` for any text, `_` for one character, `[a-f]` and `[^a-f]` for one of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Literal(char),
    Set { ranges: Vec<(char, char)>, is_of_others: bool },
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { ranges, is_of_others } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *is_of_others
            }
        }
    }
}

impl Pattern {
    /// Reads a pattern; what follows `escape` means itself.
    pub(super) fn parse(text: &str, escape: Option<char>) -> Result<Self, &'static str> {
        if text.chars().count() > PATTERN_CHARACTERS_MAX {
            return Err("A pattern has at most 512 characters");
        }
        let mut rest = text.chars();
        let mut pieces = Vec::new();
        while let Some(c) = rest.next() {
            pieces.push(if Some(c) == escape {
                Piece::Literal(rest.next().ok_or("Nothing follows the escape character")?)
            } else {
                match c {
                    '%' => Piece::Any,
                    '_' => Piece::One,
                    '[' => set(&mut rest, escape)?,
                    literal => Piece::Literal(literal),
                }
            });
        }
        Ok(Self(pieces))
    }

    /// Whether `text` is of this pattern. Goes back to the last `%` alone, which is enough.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (mut rest, mut next) = (text.chars(), 0);
        let mut last_any = None;
        loop {
            match self.0.get(next) {
                Some(Piece::Any) => {
                    next += 1;
                    last_any = Some((next, rest.clone()));
                    continue;
                }
                Some(piece) => {
                    let mut ahead = rest.clone();
                    if ahead.next().is_some_and(|c| piece.takes(c)) {
                        (rest, next) = (ahead, next + 1);
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((after_any, from)) = &mut last_any else { return false };
            if from.next().is_none() {
                return false;
            }
            (rest, next) = (from.clone(), *after_any);
        }
    }
}

/// The rest of a set, behind its `[`.
fn set(rest: &mut std::str::Chars<'_>, escape: Option<char>) -> Result<Piece, &'static str> {
    const NO_END: &str = "A set of characters has no end";
    let is_of_others = rest.as_str().starts_with('^');
    if is_of_others {
        rest.next();
    }
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let mut next = || match rest.next() {
            Some(c) if Some(c) == escape => rest.next().map(|c| (c, true)).ok_or(NO_END),
            Some(c) => Ok((c, false)),
            None => Err(NO_END),
        };
        let (low, _) = match next()? {
            (']', false) => return Ok(Piece::Set { ranges, is_of_others }),
            other => other,
        };
        let mut ahead = rest.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        if is_range {
            rest.next();
            let high = match rest.next() {
                Some(c) if Some(c) == escape => rest.next().ok_or(NO_END)?,
                Some(c) => c,
                None => return Err(NO_END),
            };
            ranges.push((low, high));
        } else {
            ranges.push((low, low));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn check(text: &str, pattern: &str, escape: Option<char>, expected: bool) {
        let pattern = Pattern::parse(pattern, escape).expect("a pattern");
        assert_eq!(pattern.matches(text), expected, "{text} {pattern:?}");
    }

    #[test]
    fn patterns_of_like() {
        check("abc", "a%", None, true);
        check("test2", "a%", None, false);
        check("abc", "a[bcd]c", None, true);
        check("a_bc", "[^xyz]%", None, true);
        check("xc", "[^xyz]%", None, false);
        check("ab", "a_", None, true);
        check("a", "a_", None, false);
        check("gh[i", "[g-h]_![[a-j]", Some('!'), true);
        check("50%", "50!%", Some('!'), true);
        check("500", "50!%", Some('!'), false);
        check("", "", None, true);
        check("", "%", None, true);
        check("abcabd", "%ab_", None, true);
        check("aXbXc", "a%X%c", None, true);
        check("aXbXd", "a%X%c", None, false);
        check("é", "_", None, true);
        check("-", "[a-]", None, true);
        check("A", "a", None, false);
    }

    #[test]
    fn what_is_no_pattern() {
        for (text, escape) in [("[a", None), ("a!", Some('!')), ("[a-", None)] {
            assert!(Pattern::parse(text, escape).is_err(), "{text}");
        }
        assert!(Pattern::parse(&"%".repeat(513), None).is_err());
        let hard = Pattern::parse(&"%a".repeat(200), None).expect("a pattern");
        assert!(!hard.matches(&"b".repeat(10_000)));
    }
}
