//! From tokens to expressions: recursive descent, with a limit on its depth.

use std::borrow::Cow;

use super::failure::InvalidQuery;
use super::lexer::Token;
use super::like::Pattern;
use super::parser::{Parsed, Parser, is_reserved};
use super::syntax::{Arithmetic, Case, Expression, Function, Part, Side, Type};
use super::value::Value;
use crate::comparison::Comparison;

impl Parser {
    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.descend()?;
        let mut parts = vec![self.all()?];
        while self.takes_word("or") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(joined(parts, Expression::Any))
    }

    fn all(&mut self) -> Parsed<Expression> {
        let mut parts = vec![self.negation()?];
        while self.takes_word("and") {
            parts.push(self.negation()?);
        }
        Ok(joined(parts, Expression::All))
    }

    fn negation(&mut self) -> Parsed<Expression> {
        let mut is_negated = false;
        while self.takes_word("not") {
            is_negated = !is_negated;
        }
        let found = self.predicate()?;
        Ok(negated(found, is_negated))
    }

    fn predicate(&mut self) -> Parsed<Expression> {
        let value = self.sum()?;
        if let Some(comparison) = self.comparison() {
            let other = self.sum()?;
            return Ok(Expression::Compare(comparison, Box::new(value), Box::new(other)));
        }
        if self.takes_word("is") {
            let is_negated = self.takes_word("not");
            let value = Box::new(value);
            return if self.takes_word("null") {
                Ok(negated(Expression::IsNull(value), is_negated))
            } else if self.takes_word("missing") {
                Ok(negated(Expression::IsMissing(value), is_negated))
            } else {
                Err(self.error("`NULL` or `MISSING` is expected"))
            };
        }
        let is_negated = self.takes_word("not");
        if self.takes_word("between") {
            let low = self.sum()?;
            self.expect_word("and")?;
            let parts = [value, low, self.sum()?];
            Ok(negated(Expression::Between(Box::new(parts)), is_negated))
        } else if self.takes_word("in") {
            self.expect("(")?;
            let others = self.list()?;
            Ok(negated(Expression::In(Box::new(value), others), is_negated))
        } else if self.takes_word("like") {
            let pattern = self.pattern()?;
            Ok(negated(Expression::Like(Box::new(value), pattern), is_negated))
        } else if is_negated {
            Err(self.error("`BETWEEN`, `IN` or `LIKE` is expected"))
        } else {
            Ok(value)
        }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let Token::Sign(sign) = self.peek() else { return None };
        let comparison = match *sign {
            "=" => Comparison::Equal,
            "<>" | "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    fn pattern(&mut self) -> Parsed<Pattern> {
        let at = self.at();
        let text = self.text()?;
        let mut escape = None;
        if self.takes_word("escape") {
            let character = self.text()?;
            let mut characters = character.chars();
            escape = characters.next();
            if escape.is_none() || characters.next().is_some() {
                return Err(InvalidQuery::syntax("One escape character is expected", at));
            }
        }
        Pattern::parse(&text, escape).map_err(|reason| InvalidQuery::syntax(reason, at))
    }

    fn sum(&mut self) -> Parsed<Expression> {
        let operator = |sign: &str| match sign {
            "+" => Some(Arithmetic::Add),
            "-" => Some(Arithmetic::Subtract),
            _ => None,
        };
        self.chain(operator, Self::product)
    }

    fn product(&mut self) -> Parsed<Expression> {
        let operator = |sign: &str| match sign {
            "*" => Some(Arithmetic::Multiply),
            "/" => Some(Arithmetic::Divide),
            "%" => Some(Arithmetic::Remainder),
            _ => None,
        };
        self.chain(operator, Self::unary)
    }

    /// Operands joined from the left.
    fn chain(
        &mut self,
        operator: impl Fn(&str) -> Option<Arithmetic>,
        operand: impl Fn(&mut Self) -> Parsed<Expression>,
    ) -> Parsed<Expression> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Token::Sign(sign) = self.peek()
            && let Some(operator) = operator(sign)
        {
            self.next += 1;
            rest.push((operator, operand(self)?));
        }
        if rest.is_empty() { Ok(first) } else { Ok(Expression::Chain(Box::new(first), rest)) }
    }

    fn unary(&mut self) -> Parsed<Expression> {
        if self.takes("+") {
            return self.deeper(Self::unary);
        }
        if self.takes("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Expression::Negative(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let token = self.peek().clone();
        let word = match token {
            Token::Int(number) => return Ok(self.literal(Value::Int(number))),
            Token::Float(number) => return Ok(self.literal(Value::Float(number))),
            Token::Text(text) => return Ok(self.literal(Value::Text(Cow::Owned(text)))),
            Token::Name(_) => return self.path(),
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Word(word) => word.to_ascii_lowercase(),
            Token::Sign(_) | Token::End => return Err(self.error("A value is expected")),
        };
        match word.as_str() {
            "null" => Ok(self.literal(Value::Null)),
            "true" => Ok(self.literal(Value::Bool(true))),
            "false" => Ok(self.literal(Value::Bool(false))),
            "case" => self.case(),
            _ if self.is_sign_behind(1, "(") => self.call(&word),
            _ if is_reserved(&word) => Err(self.error("A value is expected")),
            _ => self.path(),
        }
    }

    fn literal(&mut self, value: Value<'static>) -> Expression {
        self.next += 1;
        Expression::Literal(value)
    }

    fn path(&mut self) -> Parsed<Expression> {
        let mut steps = vec![self.member()?];
        steps.append(&mut self.steps(false)?);
        Ok(Expression::Path(steps))
    }

    /// `CASE WHEN a THEN b ELSE c END`, or with a value that is compared: `CASE x WHEN 1 ...`.
    fn case(&mut self) -> Parsed<Expression> {
        self.next += 1;
        let subject = match self.is_word("when") {
            true => None,
            false => Some(self.expression()?),
        };
        let mut arms = Vec::new();
        while self.takes_word("when") {
            let tested = self.expression()?;
            self.expect_word("then")?;
            arms.push((tested, self.expression()?));
        }
        if arms.is_empty() {
            return Err(self.error("`WHEN` is expected"));
        }
        let otherwise = match self.takes_word("else") {
            true => self.expression()?,
            false => Expression::Literal(Value::Null),
        };
        self.expect_word("end")?;
        Ok(Expression::Case(Box::new(Case { subject, arms, otherwise })))
    }

    fn call(&mut self, name: &str) -> Parsed<Expression> {
        let at = self.at();
        self.next += 2;
        let function = match name {
            "cast" => return self.cast(),
            "trim" => return self.trim(),
            "extract" => {
                let part = self.part()?;
                self.expect_word("from")?;
                Function::Extract(part)
            }
            "date_add" | "date_diff" => {
                let part = self.part()?;
                self.expect(",")?;
                match (name, part) {
                    (_, Part::TimezoneHour | Part::TimezoneMinute) => {
                        return Err(self.error("A zone is no length of time"));
                    }
                    ("date_add", part) => Function::DateAdd(part),
                    (_, part) => Function::DateDiff(part),
                }
            }
            "lower" => Function::Lower,
            "upper" => Function::Upper,
            "char_length" | "character_length" => Function::CharLength,
            "substring" => Function::Substring,
            "coalesce" => Function::Coalesce,
            "nullif" => Function::NullIf,
            "to_string" => Function::ToString,
            "to_timestamp" => Function::ToTimestamp,
            "utcnow" => Function::UtcNow,
            "count" | "sum" | "avg" | "average" | "min" | "max" => {
                return Err(InvalidQuery::syntax("An aggregate stands alone", at));
            }
            other => return Err(InvalidQuery::syntax(format!("Unknown function `{other}`"), at)),
        };
        let arguments = match self.takes(")") {
            true => Vec::new(),
            false => self.list()?,
        };
        if !function.arity().contains(&arguments.len()) {
            return Err(InvalidQuery::syntax(format!("Wrong number of arguments of `{name}`"), at));
        }
        Ok(Expression::Call(function, arguments))
    }

    /// Expressions up to a `)`.
    fn list(&mut self) -> Parsed<Vec<Expression>> {
        let mut all = vec![self.expression()?];
        while self.takes(",") {
            all.push(self.expression()?);
        }
        self.expect(")")?;
        Ok(all)
    }

    fn cast(&mut self) -> Parsed<Expression> {
        let value = self.expression()?;
        self.expect_word("as")?;
        let Token::Word(word) = self.peek() else { return Err(self.error("A type is expected")) };
        let wanted = match word.to_ascii_lowercase().as_str() {
            "int" | "integer" => Type::Int,
            "float" => Type::Float,
            "string" => Type::String,
            "timestamp" => Type::Timestamp,
            "boolean" | "bool" => Type::Boolean,
            _ => return Err(self.error("A type is expected")),
        };
        self.next += 1;
        self.expect(")")?;
        Ok(Expression::Cast(Box::new(value), wanted))
    }

    /// `TRIM(text)`, `TRIM(LEADING FROM text)`, `TRIM(BOTH 'ab' FROM text)`.
    fn trim(&mut self) -> Parsed<Expression> {
        let side = if self.takes_word("leading") {
            Some(Side::Leading)
        } else if self.takes_word("trailing") {
            Some(Side::Trailing)
        } else if self.takes_word("both") {
            Some(Side::Both)
        } else {
            None
        };
        let mut arguments = Vec::new();
        if side.is_some() && self.takes_word("from") {
            arguments.push(self.expression()?);
        } else {
            let first = self.expression()?;
            if self.takes_word("from") {
                arguments.extend([self.expression()?, first]);
            } else {
                arguments.push(first);
            }
        }
        self.expect(")")?;
        Ok(Expression::Call(Function::Trim(side.unwrap_or(Side::Both)), arguments))
    }

    /// `hour` or `'hour'`.
    fn part(&mut self) -> Parsed<Part> {
        let (Token::Word(word) | Token::Text(word)) = self.peek() else {
            return Err(self.error("A part of a time is expected"));
        };
        let part = match word.to_ascii_lowercase().as_str() {
            "year" => Part::Year,
            "month" => Part::Month,
            "day" => Part::Day,
            "hour" => Part::Hour,
            "minute" => Part::Minute,
            "second" => Part::Second,
            "timezone_hour" => Part::TimezoneHour,
            "timezone_minute" => Part::TimezoneMinute,
            _ => return Err(self.error("A part of a time is expected")),
        };
        self.next += 1;
        Ok(part)
    }
}

fn negated(expression: Expression, is_negated: bool) -> Expression {
    if is_negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn joined(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}
