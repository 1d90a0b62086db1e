//! Values of expressions, and how one becomes another.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::failure::Problem;
use super::moment::Moment;
use super::syntax::Type;
use super::tree::Tree;

/// What an expression comes to in a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The row has no such member.
    Missing,
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A point in time.
    Time(Moment),
    /// An object or array.
    Tree(&'a Tree),
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "as the service's FLOAT loses it")]
    pub(super) fn to_float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// `None` where one of them is no number at all.
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (left, right) => left.to_float().partial_cmp(&right.to_float()),
        }
    }
}

impl From<Number> for Value<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(number) => Self::Int(number),
            Number::Float(number) => Self::Float(number),
        }
    }
}

impl<'a> From<&'a Tree> for Value<'a> {
    fn from(tree: &'a Tree) -> Self {
        match tree {
            Tree::Null => Self::Null,
            Tree::Bool(value) => Self::Bool(*value),
            Tree::Int(value) => Self::Int(*value),
            Tree::Float(value) => Self::Float(*value),
            Tree::Text(value) => Self::Text(Cow::Borrowed(value)),
            Tree::Array(_) | Tree::Object(_) => Self::Tree(tree),
        }
    }
}

impl<'a> Value<'a> {
    /// Whether there is nothing.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Missing | Self::Null)
    }

    /// True, false, or unknown.
    pub(super) fn to_truth(&self) -> Result<Option<bool>, Problem> {
        match self {
            Self::Missing | Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(*value)),
            Self::Int(value) => Ok(Some(*value != 0)),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Some(true)),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Some(false)),
            Self::Float(_) | Self::Text(_) | Self::Time(_) | Self::Tree(_) => {
                Err(Problem::InvalidTypeConversion)
            }
        }
    }

    pub(super) fn to_number(&self) -> Result<Option<Number>, Problem> {
        match self {
            Self::Missing | Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(Number::Int(i64::from(*value)))),
            Self::Int(value) => Ok(Some(Number::Int(*value))),
            Self::Float(value) => Ok(Some(Number::Float(*value))),
            Self::Text(text) => number_of(text).map(Some).ok_or(Problem::InvalidTypeConversion),
            Self::Time(_) | Self::Tree(_) => Err(Problem::InvalidTypeConversion),
        }
    }

    /// A whole number; a fraction is cut off a number, and refused in a text.
    pub(super) fn to_whole(&self) -> Result<Option<i64>, Problem> {
        match (self, self.to_number()?) {
            (_, None) => Ok(None),
            (_, Some(Number::Int(number))) => Ok(Some(number)),
            (Self::Text(_), Some(Number::Float(_))) => Err(Problem::InvalidTypeConversion),
            (_, Some(Number::Float(number))) => {
                whole_of(number).map(Some).ok_or(Problem::ArithmeticOverflow)
            }
        }
    }

    pub(super) fn to_moment(&self) -> Result<Option<Moment>, Problem> {
        match self {
            Self::Missing | Self::Null => Ok(None),
            Self::Time(moment) => Ok(Some(*moment)),
            Self::Text(text) => Moment::parse(text).map(Some).ok_or(Problem::InvalidTypeConversion),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Tree(_) => {
                Err(Problem::InvalidTypeConversion)
            }
        }
    }

    /// The value as text; nothing where there is nothing.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Missing | Self::Null => return None,
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Float(value) => Cow::Owned(value.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Time(moment) => Cow::Owned(moment.to_string()),
            // A tree came from JSON, so it can go there.
            Self::Tree(tree) => Cow::Owned(serde_json::to_string(tree).unwrap_or_default()),
        })
    }

    /// The value as another type.
    pub(super) fn cast(self, wanted: Type) -> Result<Self, Problem> {
        let cast = match wanted {
            Type::Int => self.to_whole()?.map(Self::Int),
            Type::Float => self.to_number()?.map(|number| Self::Float(number.to_float())),
            Type::String => self.to_text().map(|text| Self::Text(Cow::Owned(text.into_owned()))),
            Type::Timestamp => self.to_moment()?.map(Self::Time),
            Type::Boolean => self.to_truth()?.map(Self::Bool),
        };
        Ok(cast.unwrap_or(Self::Null))
    }

    /// Which of two is greater, after the one of the lower type was made one of the higher:
    /// text, then truth, then numbers, then times. `None` where one is nothing.
    pub(super) fn compare(&self, other: &Self) -> Result<Option<Ordering>, Problem> {
        fn both<T>(left: Option<T>, right: Option<T>) -> Option<(T, T)> {
            left.zip(right)
        }
        if self.is_nothing() || other.is_nothing() {
            return Ok(None);
        }
        Ok(match self.rank()?.max(other.rank()?) {
            Rank::Text => {
                both(self.to_text(), other.to_text()).map(|(left, right)| left.cmp(&right))
            }
            Rank::Truth => {
                both(self.to_truth()?, other.to_truth()?).map(|(left, right)| left.cmp(&right))
            }
            Rank::Number => both(self.to_number()?, other.to_number()?)
                .and_then(|(left, right)| left.compare(right)),
            Rank::Time => both(self.to_moment()?, other.to_moment()?)
                .map(|(left, right)| left.at.cmp(&right.at)),
        })
    }

    fn rank(&self) -> Result<Rank, Problem> {
        match self {
            Self::Missing | Self::Null | Self::Text(_) => Ok(Rank::Text),
            Self::Bool(_) => Ok(Rank::Truth),
            Self::Int(_) | Self::Float(_) => Ok(Rank::Number),
            Self::Time(_) => Ok(Rank::Time),
            Self::Tree(_) => Err(Problem::InvalidTypeConversion),
        }
    }

    /// The same value for longer than its row; `None` for an object or array.
    pub(super) fn into_owned(self) -> Option<Value<'static>> {
        Some(match self {
            Self::Missing => Value::Missing,
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Time(moment) => Value::Time(moment),
            Self::Tree(_) => return None,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Text,
    Truth,
    Number,
    Time,
}

fn number_of(text: &str) -> Option<Number> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(Number::Int(number));
    }
    // Rust's own parser also takes words such as `nan`.
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let number: f64 = text.chars().all(is_of_number).then(|| text.parse().ok())??;
    number.is_finite().then_some(Number::Float(number))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked, the fraction goes")]
fn whole_of(number: f64) -> Option<i64> {
    // Two numbers that a FLOAT holds exactly: the least INT, and one more than the greatest.
    const RANGE: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    RANGE.contains(&number).then_some(number as i64)
}
