//! Which operators are there between which types, and what they give.

use std::rc::Rc;

use super::syntax::{Computation, Operator, UnaryOperator};
use super::value::{Value, whole};
use crate::comparison::Comparison;
use crate::span::Span;
use crate::time::Timestamp;

/// Applies an operator to both its operands; the reason when their types have none.
///
/// `&&` and `||` come here with a first operand that decides nothing by itself: the second
/// one is the answer.
pub(super) fn binary(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let result = match operator {
        Operator::And | Operator::Or => right.number().map(|it| Value::of_question(is_yes(it))),
        Operator::Compare(comparison) => compare(comparison, left, right).map(Value::of_question),
        Operator::Compute(computation) => arithmetic(computation, left, right)?,
    };
    result.ok_or_else(|| {
        let (left, right) = (left.kind(), right.kind());
        format!("Operator {} can not be applied to {left} and {right}", operator.symbol())
    })
}

/// Applies an operator that stands before its operand.
pub(super) fn unary(operator: UnaryOperator, operand: &Value) -> Result<Value, String> {
    let (symbol, result) = match operator {
        UnaryOperator::Minus => ("-", negative(operand)),
        UnaryOperator::Not => {
            ("!", operand.number().map(|number| Value::of_question(!is_yes(number))))
        }
    };
    result.ok_or_else(|| format!("Operator {symbol} can not be applied to {}", operand.kind()))
}

/// What a number answers to a question.
pub(super) fn is_yes(number: f64) -> bool {
    number != 0.0
}

fn negative(operand: &Value) -> Option<Value> {
    match operand {
        Value::Number(number) => Some(Value::Number(-number)),
        Value::Vector(elements) => Some(Value::Vector(elements.iter().map(|it| -it).collect())),
        Value::Interval(span) => Some(Value::Interval(span.negative())),
        Value::Text(_) | Value::Time(_) | Value::Option(_) => None,
    }
}

/// `None` when values of these types are not compared.
fn compare(comparison: Comparison, left: &Value, right: &Value) -> Option<bool> {
    let order = match (left, right) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Interval(a), Value::Interval(b)) => Some(a.cmp(b)),
        (Value::Option(a), Value::Option(b)) => match comparison {
            Comparison::Equal => return Some(a == b),
            Comparison::NotEqual => return Some(a != b),
            Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => return None,
        },
        _ => left.number()?.partial_cmp(&right.number()?),
    };
    // What is not a number has no order, and equals nothing.
    Some(order.map_or(comparison == Comparison::NotEqual, |order| comparison.holds(order)))
}

/// `Ok(None)` when the types have no such operator.
fn arithmetic(operator: Computation, left: &Value, right: &Value) -> Result<Option<Value>, String> {
    use Computation::{Minus, Over, Plus, Times};
    use Value as V;
    Ok(Some(match (left, operator, right) {
        (V::Number(a), _, V::Number(b)) => V::Number(compute(operator, *a, *b)),
        (V::Vector(a), _, V::Number(b)) => each(a, |a| compute(operator, a, *b)),
        (V::Number(a), _, V::Vector(b)) => each(b, |b| compute(operator, *a, b)),
        (V::Vector(a), _, V::Vector(b)) if a.len() == b.len() => {
            V::Vector(a.iter().zip(b.iter()).map(|(a, b)| compute(operator, *a, *b)).collect())
        }
        (V::Vector(a), _, V::Vector(b)) => {
            return Err(format!("Vectors have {} and {} elements", a.len(), b.len()));
        }
        (V::Number(a), Times, V::Interval(b)) => V::Interval(scaled(*b, *a)?),
        (V::Interval(a), Times, V::Number(b)) => V::Interval(scaled(*a, *b)?),
        (V::Interval(a), Over, V::Number(b)) => V::Interval(scaled(*a, 1.0 / b)?),
        (V::Interval(a), Plus, V::Interval(b)) => V::Interval(a.plus(*b)),
        (V::Interval(a), Minus, V::Interval(b)) => V::Interval(a.plus(b.negative())),
        (V::Interval(a), Plus, V::Time(b)) => V::Time(b.plus(*a)),
        (V::Time(a), Plus, V::Interval(b)) => V::Time(a.plus(*b)),
        (V::Time(a), Minus, V::Interval(b)) => V::Time(a.plus(b.negative())),
        (V::Time(a), Minus, V::Time(b)) => V::Interval(between(*a, *b)),
        _ => return Ok(None),
    }))
}

fn compute(operator: Computation, a: f64, b: f64) -> f64 {
    match operator {
        Computation::Plus => a + b,
        Computation::Minus => a - b,
        Computation::Times => a * b,
        Computation::Over => a / b,
    }
}

fn each(elements: &Rc<[f64]>, f: impl Fn(f64) -> f64) -> Value {
    Value::Vector(elements.iter().copied().map(f).collect())
}

fn scaled(span: Span, factor: f64) -> Result<Span, String> {
    let ticks = span.ticks() as f64 * factor;
    if ticks.is_finite() {
        return Ok(Span::from_ticks(whole(ticks.round())));
    }
    Err("The timeinterval is infinite".to_owned())
}

fn between(later: Timestamp, earlier: Timestamp) -> Span {
    Span::from_ticks(later.0.saturating_sub(earlier.0))
}
