//! What an index can know of a filter: never less than the items that the filter wants.
//!
//! An index answers for words of a closed list (`state`) and for ranges of ids. Each item that
//! is found that way is still compared with the whole filter.

use super::filter::{Expr, Filter, Literal, Operator};

/// A range of ids in lower case, both ends included; absent ends are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdRange {
    /// The first.
    pub first: Option<String>,
    /// The last.
    pub last: Option<String>,
}

/// Comes after every id that begins with what stands before it.
const AFTER_ALL: char = '\u{10FFFF}';

impl Filter {
    /// Whether an item whose property `path` is `word` can be wanted; an absent property is the
    /// empty word.
    pub fn may_be(&self, path: &str, word: &str) -> bool {
        may_be(self.expr(), path, word)
    }

    /// Where the ids of items that are wanted may lie.
    pub fn ids(&self) -> IdRange {
        range(self.expr())
    }
}

/// Whether an item whose property `path` is `word` can be wanted.
fn may_be(expr: &Expr, path: &str, word: &str) -> bool {
    match expr {
        Expr::And(all) => all.iter().all(|expr| may_be(expr, path, word)),
        Expr::Or(any) => any.iter().any(|expr| may_be(expr, path, word)),
        Expr::Not(expr) => match expr.as_ref() {
            Expr::Compare { property, value: Literal::Text(_), .. } if property.path == path => {
                !may_be(expr, path, word)
            }
            Expr::Compare { .. }
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::StartsWith { .. } => true,
        },
        Expr::Compare { property, operator, value } if property.path == path => {
            match (operator, value) {
                (Operator::Equal, Literal::Text(text)) => text.eq_ignore_ascii_case(word),
                (Operator::NotEqual, Literal::Text(text)) => !text.eq_ignore_ascii_case(word),
                _ => true,
            }
        }
        Expr::Compare { .. } | Expr::StartsWith { .. } => true,
    }
}

fn range(expr: &Expr) -> IdRange {
    match expr {
        Expr::And(all) => all.iter().map(range).fold(IdRange::default(), |one, other| IdRange {
            first: one.first.max(other.first),
            last: match (one.last, other.last) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        }),
        Expr::Or(any) => any
            .iter()
            .map(range)
            .reduce(|one, other| IdRange {
                first: one.first.min(other.first),
                last: one.last.zip(other.last).map(|(one, other)| one.max(other)),
            })
            .unwrap_or_default(),
        Expr::Compare { property, operator, value: Literal::Text(text) }
            if property.path == "id" =>
        {
            let text = || Some(text.clone());
            match operator {
                Operator::Equal => IdRange { first: text(), last: text() },
                Operator::Greater | Operator::GreaterOrEqual => {
                    IdRange { first: text(), last: None }
                }
                Operator::Less | Operator::LessOrEqual => IdRange { first: None, last: text() },
                Operator::NotEqual => IdRange::default(),
            }
        }
        Expr::StartsWith { property, prefix } if property.path == "id" => {
            IdRange { first: Some(prefix.clone()), last: Some(format!("{prefix}{AFTER_ALL}")) }
        }
        Expr::Compare { .. } | Expr::StartsWith { .. } | Expr::Not(_) => IdRange::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, List};
    use super::IdRange;

    const STATES: [&str; 3] = ["active", "running", "completed"];

    fn check(text: &str, words: &str, first: &str, last: &str) {
        let filter = Filter::parse(List::Tasks, text).expect("a filter");
        let may_be = STATES.into_iter().filter(|word| filter.may_be("state", word));
        assert_eq!(may_be.collect::<Vec<_>>().join(" "), words, "{text}");
        let IdRange { first: found_first, last: found_last } = filter.ids();
        assert_eq!(found_first.unwrap_or_default(), first, "{text}");
        assert_eq!(found_last.unwrap_or_default(), last, "{text}");
    }

    #[test]
    fn an_index_knows_words_and_ids() {
        check("state eq 'Active'", "active", "", "");
        check("state ne 'completed'", "active running", "", "");
        check("not (state eq 'completed')", "active running", "", "");
        check("not (state eq null)", "active running completed", "", "");
        check("not (state eq 'active' or id eq 'a')", "active running completed", "", "");
        check("state eq 'active' or state eq 'running'", "active running", "", "");
        check("state eq 'active' and state eq 'running'", "", "", "");
        check("state eq 'active' or id eq 'a'", "active running completed", "", "");
        check("id eq 'A' and executionInfo/exitCode eq 1", "active running completed", "a", "a");
        check("id ge 'b' and id lt 'd'", "active running completed", "b", "d");
        check("id eq 'b' or id eq 'd'", "active running completed", "b", "d");
        check("id gt 'b' or state eq 'active'", "active running completed", "", "");
        check("startswith(id,'Ab')", "active running completed", "ab", "ab\u{10FFFF}");
        check("not startswith(id,'ab')", "active running completed", "", "");
    }
}
