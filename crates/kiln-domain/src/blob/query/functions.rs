//! The functions of the language.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::evaluate::{Scene, evaluate};
use super::failure::Problem;
use super::syntax::{Expression, Function, Side};
use super::value::Value;

/// What `function` makes of its arguments; nothing where one of them is nothing.
pub(super) fn call<'a>(
    function: Function,
    arguments: &'a [Expression],
    scene: Scene<'a>,
) -> Result<Value<'a>, Problem> {
    let argument = |idx: usize| {
        arguments.get(idx).map_or(Ok(Value::Null), |argument| evaluate(argument, scene))
    };
    if function == Function::Coalesce {
        return coalesce(arguments, scene);
    }
    let (first, second) = (argument(0)?, argument(1)?);
    let found = match function {
        Function::Lower => first.to_text().map(|text| text.to_lowercase()).map(text_value),
        Function::Upper => first.to_text().map(|text| text.to_uppercase()).map(text_value),
        Function::CharLength => first
            .to_text()
            .map(|text| Value::Int(i64::try_from(text.chars().count()).unwrap_or(i64::MAX))),
        Function::Substring => {
            let length = match arguments.get(2) {
                Some(length) => evaluate(length, scene)?.to_whole()?,
                None => Some(i64::MAX),
            };
            let range = second.to_whole()?.zip(length);
            let found = first.to_text().zip(range);
            found.map(|(text, (start, length))| text_value(part_of(&text, start, length)))
        }
        Function::Trim(side) => {
            let cut = if arguments.len() > 1 { second.to_text() } else { Some(Cow::Borrowed(" ")) };
            let found = first.to_text().zip(cut);
            found.map(|(text, cut)| text_value(trimmed(&text, &cut, side).to_owned()))
        }
        Function::NullIf if first.compare(&second)? == Some(Ordering::Equal) => None,
        Function::NullIf => Some(first),
        Function::DateAdd(part) => match first.to_whole()?.zip(second.to_moment()?) {
            Some((count, moment)) => {
                Some(Value::Time(moment.plus(part, count).ok_or(Problem::ArithmeticOverflow)?))
            }
            None => None,
        },
        Function::DateDiff(part) => {
            let found = first.to_moment()?.zip(second.to_moment()?);
            found.and_then(|(from, to)| from.until(to, part)).map(Value::Int)
        }
        Function::Extract(part) => first.to_moment()?.map(|moment| Value::Int(moment.part(part))),
        Function::ToString => match first.to_moment()?.zip(second.to_text()) {
            Some((moment, pattern)) => {
                let text = moment.format(&pattern).ok_or(Problem::InvalidTypeConversion)?;
                Some(text_value(text))
            }
            None => None,
        },
        Function::ToTimestamp => first.to_moment()?.map(Value::Time),
        Function::UtcNow => Some(Value::Time(scene.now)),
        Function::Coalesce => None,
    };
    Ok(found.unwrap_or(Value::Null))
}

fn text_value<'a>(text: String) -> Value<'a> {
    Value::Text(Cow::Owned(text))
}

/// The first that is something.
fn coalesce<'a>(arguments: &'a [Expression], scene: Scene<'a>) -> Result<Value<'a>, Problem> {
    for argument in arguments {
        let value = evaluate(argument, scene)?;
        if !value.is_nothing() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

/// `length` characters from the one that `start` counts, from 0.
fn part_of(text: &str, start: i64, length: i64) -> String {
    // What lies before the text counts for the length, as in T-SQL.
    let length = if start < 0 { length.saturating_add(start) } else { length };
    let start = usize::try_from(start).unwrap_or(0);
    let length = usize::try_from(length).unwrap_or(0);
    text.chars().skip(start).take(length).collect()
}

fn trimmed<'a>(text: &'a str, cut: &str, side: Side) -> &'a str {
    let is_cut = |c: char| cut.contains(c);
    match side {
        Side::Leading => text.trim_start_matches(is_cut),
        Side::Trailing => text.trim_end_matches(is_cut),
        Side::Both => text.trim_matches(is_cut),
    }
}
