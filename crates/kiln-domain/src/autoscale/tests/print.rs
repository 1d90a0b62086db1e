//! Writes a formula down, with no more parentheses than it needs.

use std::fmt::Write as _;

use crate::autoscale::Formula;
use crate::autoscale::syntax::{Call, Expression, Statement, UnaryOperator};

/// How closely an expression holds together, in the order of the operators' precedence.
const CONDITIONAL: u8 = 0;
const UNARY: u8 = 7;
const PRIMARY: u8 = 8;

pub(super) fn formula(formula: &Formula) -> String {
    let statements: Vec<String> = formula.statements.iter().map(statement).collect();
    statements.join(";\n")
}

fn statement(statement: &Statement) -> String {
    let target = statement.target.as_ref().map(|name| format!("{} = ", name.text));
    format!("{}{}", target.unwrap_or_default(), loose(&statement.value))
}

fn loose(expression: &Expression) -> String {
    within(expression, CONDITIONAL)
}

/// The expression where only those that hold together at least so closely may stand bare.
fn within(expression: &Expression, closeness_min: u8) -> String {
    let (text, closeness) = written(expression);
    if closeness < closeness_min { format!("({text})") } else { text }
}

fn written(expression: &Expression) -> (String, u8) {
    match expression {
        Expression::Number(number) => (format!("{number:?}"), PRIMARY),
        Expression::Text(text) => (format!("\"{text}\""), PRIMARY),
        Expression::Name(name) => (name.text.clone(), PRIMARY),
        Expression::Call(it) => (call(it), PRIMARY),
        Expression::Member { of, member } => {
            (format!("{}.{}", within(of, PRIMARY), member.text), PRIMARY)
        }
        Expression::Method { of, call: it } => {
            (format!("{}.{}", within(of, PRIMARY), call(it)), PRIMARY)
        }
        Expression::Unary { operator, operand, .. } => {
            let symbol = match operator {
                UnaryOperator::Minus => '-',
                UnaryOperator::Not => '!',
            };
            (format!("{symbol}{}", within(operand, UNARY)), UNARY)
        }
        Expression::Chain { first, rest } => {
            let precedence = rest.first().map_or(PRIMARY, |link| link.operator.precedence());
            let mut text = within(first, precedence + 1);
            for link in rest {
                let operand = within(&link.operand, precedence + 1);
                write!(text, " {} {operand}", link.operator.symbol()).expect("memory");
            }
            (text, precedence)
        }
        Expression::Conditional { arms, otherwise } => {
            let mut text = String::new();
            for arm in arms {
                let (condition, value) = (within(&arm.condition, 1), loose(&arm.value));
                write!(text, "{condition} ? {value} : ").expect("memory");
            }
            (format!("{text}{}", within(otherwise, 1)), CONDITIONAL)
        }
    }
}

fn call(call: &Call) -> String {
    let arguments: Vec<String> = call.arguments.iter().map(loose).collect();
    format!("{}({})", call.name.text, arguments.join(", "))
}
