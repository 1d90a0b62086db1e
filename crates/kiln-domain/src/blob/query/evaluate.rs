//! What expressions come to in a row.

use std::cmp::Ordering;

use jiff::SignedDuration;

use super::failure::Problem;
use super::functions::call;
use super::moment::Moment;
use super::syntax::{Arithmetic, Case, Expression, Step};
use super::tree::Tree;
use super::value::{Number, Value};
use crate::comparison::Comparison;

/// A record of the blob.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// Fields: their bytes together, and where each ends.
    Fields(&'a [u8], &'a [usize]),
    /// A value with members.
    Tree(&'a Tree),
}

impl<'a> Row<'a> {
    /// The bytes of a field, from 0.
    pub fn field(self, idx: usize) -> Option<&'a [u8]> {
        let Self::Fields(bytes, ends) = self else { return None };
        let end = *ends.get(idx)?;
        let start = match idx.checked_sub(1) {
            Some(before) => *ends.get(before)?,
            None => 0,
        };
        bytes.get(start..end)
    }
}

/// What an expression may look at.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The record.
    pub row: Row<'a>,
    /// The time of the query.
    pub now: Moment,
}

/// Whether a row is wanted: what is unknown is not true.
pub fn is_wanted(condition: Option<&Expression>, scene: Scene<'_>) -> Result<bool, Problem> {
    match condition {
        None => Ok(true),
        Some(condition) => Ok(evaluate(condition, scene)?.to_truth()? == Some(true)),
    }
}

/// What `expression` comes to in the row of `scene`.
pub fn evaluate<'a>(expression: &'a Expression, scene: Scene<'a>) -> Result<Value<'a>, Problem> {
    use Expression as E;
    let of = |expression: &'a Expression| evaluate(expression, scene);
    Ok(match expression {
        E::Literal(value) => value.clone(),
        E::Field(idx) => {
            let bytes = scene.row.field(*idx).ok_or(Problem::InvalidColumnOrdinal)?;
            Value::Text(String::from_utf8_lossy(bytes))
        }
        E::Path(steps) => match scene.row {
            Row::Tree(tree) => walk(tree, steps).map_or(Value::Missing, Value::from),
            Row::Fields(..) => return Err(Problem::InvalidColumnOrdinal),
        },
        E::Not(inner) => truth(of(inner)?.to_truth()?.map(|it| !it)),
        E::Negative(inner) => match of(inner)?.to_number()? {
            None => Value::Null,
            Some(Number::Float(number)) => Value::Float(-number),
            Some(Number::Int(number)) => {
                Value::Int(number.checked_neg().ok_or(Problem::ArithmeticOverflow)?)
            }
        },
        E::All(parts) => truth(joined(parts, scene, false)?),
        E::Any(parts) => truth(joined(parts, scene, true)?),
        E::Chain(first, rest) => {
            let mut so_far = of(first)?;
            for (operator, operand) in rest {
                so_far = compute(*operator, &so_far, &of(operand)?)?;
            }
            so_far
        }
        E::Compare(comparison, left, right) => {
            truth(holds(*comparison, of(left)?.compare(&of(right)?)?))
        }
        E::Between(parts) => {
            let [value, low, high] = parts.as_ref();
            let value = of(value)?;
            let above = holds(Comparison::GreaterOrEqual, value.compare(&of(low)?)?);
            if above == Some(false) {
                return Ok(Value::Bool(false));
            }
            let below = holds(Comparison::LessOrEqual, value.compare(&of(high)?)?);
            truth(if below == Some(false) { below } else { above.and(below) })
        }
        E::In(value, others) => truth(is_among(&of(value)?, others, scene)?),
        E::Like(text, pattern) => truth(of(text)?.to_text().map(|text| pattern.matches(&text))),
        E::IsNull(inner) => Value::Bool(of(inner)?.is_nothing()),
        E::IsMissing(inner) => Value::Bool(matches!(of(inner)?, Value::Missing)),
        E::Case(case) => of(chosen(case, scene)?)?,
        E::Cast(inner, wanted) => of(inner)?.cast(*wanted)?,
        E::Call(function, arguments) => call(*function, arguments, scene)?,
    })
}

fn truth<'a>(value: Option<bool>) -> Value<'a> {
    value.map_or(Value::Null, Value::Bool)
}

/// `AND` and `OR`: one part that is `decisive` decides, else the unknown makes all unknown.
fn joined(parts: &[Expression], scene: Scene<'_>, decisive: bool) -> Result<Option<bool>, Problem> {
    let mut so_far = Some(!decisive);
    for part in parts {
        match evaluate(part, scene)?.to_truth()? {
            Some(value) if value == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => so_far = None,
        }
    }
    Ok(so_far)
}

/// The value of the first case that is so.
fn chosen<'a>(case: &'a Case, scene: Scene<'a>) -> Result<&'a Expression, Problem> {
    let subject = match &case.subject {
        Some(subject) => Some(evaluate(subject, scene)?),
        None => None,
    };
    for (tested, value) in &case.arms {
        let tested = evaluate(tested, scene)?;
        let is_so = match &subject {
            Some(subject) => subject.compare(&tested)? == Some(Ordering::Equal),
            None => tested.to_truth()? == Some(true),
        };
        if is_so {
            return Ok(value);
        }
    }
    Ok(&case.otherwise)
}

fn holds(comparison: Comparison, found: Option<Ordering>) -> Option<bool> {
    found.map(|found| comparison.holds(found))
}

fn is_among(
    value: &Value<'_>,
    others: &[Expression],
    scene: Scene<'_>,
) -> Result<Option<bool>, Problem> {
    let mut so_far = Some(false);
    for other in others {
        match value.compare(&evaluate(other, scene)?)? {
            Some(Ordering::Equal) => return Ok(Some(true)),
            Some(Ordering::Less | Ordering::Greater) => {}
            None => so_far = None,
        }
    }
    Ok(so_far)
}

fn compute<'a>(
    operator: Arithmetic,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Value<'a>, Problem> {
    if let Some(sum) = days_later(operator, left, right)? {
        return Ok(Value::Time(sum));
    }
    let (Some(left), Some(right)) = (left.to_number()?, right.to_number()?) else {
        return Ok(Value::Null);
    };
    let is_by_zero =
        matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) && right.to_float() == 0.0;
    if is_by_zero {
        return Err(Problem::DivideByZero);
    }
    if let (Number::Int(left), Number::Int(right)) = (left, right) {
        let whole = match operator {
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide => left.checked_div(right),
            Arithmetic::Remainder => left.checked_rem(right),
        };
        return whole.map(Value::Int).ok_or(Problem::ArithmeticOverflow);
    }
    let (left, right) = (left.to_float(), right.to_float());
    let number = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    };
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(Problem::ArithmeticOverflow) }
}

/// A time and a number of days; `None` if these are no such two.
fn days_later(
    operator: Arithmetic,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Option<Moment>, Problem> {
    const SECONDS_PER_DAY: f64 = 86_400.0;
    let (moment, days, sign) = match (operator, left, right) {
        (Arithmetic::Add, Value::Time(moment), days)
        | (Arithmetic::Add, days, Value::Time(moment)) => (moment, days, 1.0),
        (Arithmetic::Subtract, Value::Time(moment), days) => (moment, days, -1.0),
        (_, _, _) => return Ok(None),
    };
    let Some(days) = days.to_number()? else { return Ok(None) };
    let seconds = sign * days.to_float() * SECONDS_PER_DAY;
    let later = SignedDuration::try_from_secs_f64(seconds).ok();
    match later.and_then(|duration| moment.later_by(duration)) {
        Some(moment) => Ok(Some(moment)),
        None => Err(Problem::ArithmeticOverflow),
    }
}

/// What lies there in a tree.
fn walk<'a>(tree: &'a Tree, steps: &[Step]) -> Option<&'a Tree> {
    steps.iter().try_fold(tree, |tree, step| match (step, tree) {
        (Step::Member { name, is_exact }, Tree::Object(members)) => {
            let is_it = |found: &str| match is_exact {
                true => found == name,
                false => found.eq_ignore_ascii_case(name),
            };
            members.iter().find(|(found, _)| is_it(found)).map(|(_, value)| value)
        }
        (Step::Element(idx), Tree::Array(elements)) => elements.get(*idx),
        (Step::Member { .. } | Step::Element(_) | Step::Every, _) => None,
    })
}

/// Hands each part of `tree` that `steps` lead to over to `visit`, until one is the last.
/// Where they lead nowhere there is none.
pub fn reach<'a, B>(
    tree: &'a Tree,
    steps: &[Step],
    visit: &mut impl FnMut(&'a Tree) -> std::ops::ControlFlow<B>,
) -> std::ops::ControlFlow<B> {
    let straight = steps.iter().position(|step| *step == Step::Every).unwrap_or(steps.len());
    let (first, rest) = steps.split_at(straight);
    let Some(found) = walk(tree, first) else { return std::ops::ControlFlow::Continue(()) };
    match (rest.split_first(), found) {
        (None, found) => visit(found),
        (Some((_every, rest)), Tree::Array(elements)) => {
            elements.iter().try_for_each(|element| reach(element, rest, visit))
        }
        (Some(_), _) => std::ops::ControlFlow::Continue(()),
    }
}
