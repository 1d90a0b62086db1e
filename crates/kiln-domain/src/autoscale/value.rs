//! What expressions come to, and how it is written.

use std::fmt;
use std::rc::Rc;

use crate::batch::node::Treatment;
use crate::span::Span;
use crate::time::{TICKS_PER_SECOND, Timestamp};

/// Digits that a fraction is shown with.
const DIGITS_SHOWN: i32 = 6;
/// Ticks of 100 ns in a millisecond.
const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Also the answer to a question: 0 is no, all else is yes.
    Number(f64),
    /// Samples, and what is computed of them.
    Vector(Rc<[f64]>),
    Text(Rc<str>),
    Time(Timestamp),
    Interval(Span),
    Option(Treatment),
}

impl Value {
    pub(super) fn of_question(is_so: bool) -> Self {
        Self::Number(f64::from(u8::from(is_so)))
    }

    /// Its type, for complaints.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "double",
            Self::Vector(_) => "doubleVec",
            Self::Text(_) => "string",
            Self::Time(_) => "timestamp",
            Self::Interval(_) => "timeinterval",
            Self::Option(_) => "node deallocation option",
        }
    }

    /// As a number; a vector of one element is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Vector(elements) => match **elements {
                [only] => Some(only),
                _ => None,
            },
            Self::Text(_) | Self::Time(_) | Self::Interval(_) | Self::Option(_) => None,
        }
    }
}

impl fmt::Display for Value {
    /// As the results of an evaluation show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&shown(*number)),
            Self::Vector(elements) => {
                let elements: Vec<String> = elements.iter().copied().map(shown).collect();
                write!(f, "[{}]", elements.join(","))
            }
            Self::Text(text) => f.write_str(text),
            Self::Time(at) => {
                let whole_ms = Timestamp(at.0 - at.0.rem_euclid(TICKS_PER_MS));
                f.write_str(&whole_ms.to_iso())
            }
            Self::Interval(span) => write!(f, "{span}"),
            Self::Option(option) => f.write_str(option.name()),
        }
    }
}

/// A number as results show it: whole ones whole, fractions with six digits (`96.6667`).
pub(super) fn shown(number: f64) -> String {
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return if number.is_nan() { "NaN".to_owned() } else { format!("{sign}Infinity") };
    }
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{}", whole(number));
    }
    let scientific = format!("{number:.*e}", 5);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') {
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        text.to_owned()
    };
    if (-5..15).contains(&exponent) {
        let decimals = usize::try_from(DIGITS_SHOWN - 1 - exponent).unwrap_or(0);
        return trimmed(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs())
}

/// The whole part of a number, or the nearest there is; 0 of what is not a number.
#[expect(clippy::cast_possible_truncation, reason = "the cast keeps to the bounds of an i64")]
pub(super) fn whole(number: f64) -> i64 {
    number.trunc() as i64
}

#[cfg(test)]
mod tests {
    use super::{Value, shown};
    use crate::batch::node::Treatment;
    use crate::span::Span;
    use crate::time::Timestamp;

    #[test]
    fn numbers_are_shown_whole_or_with_six_digits() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (29.0 / 30.0 * 100.0, "96.6667"),
            (16_777_216.0, "16777216"),
            (1_234_567.8, "1234568"),
            (0.000_012_345_678, "0.0000123457"),
            (0.000_000_15, "1.5e-07"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(shown(number), expected);
        }
    }

    #[test]
    fn values_are_shown_as_the_service_shows_them() {
        let at = Timestamp::parse_iso("2016-10-13T19:18:47.8056789Z").expect("a time");
        for (value, expected) in [
            (Value::of_question(true), "1"),
            (Value::Vector([1.0, 0.5, 1.0].into()), "[1,0.5,1]"),
            (Value::Vector([].into()), "[]"),
            (Value::Text("a b".into()), "a b"),
            (Value::Time(at), "2016-10-13T19:18:47.805Z"),
            (Value::Interval(Span::minutes(90)), "PT1H30M"),
            (Value::Option(Treatment::TaskCompletion), "taskcompletion"),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }
}
