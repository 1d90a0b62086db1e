//! From tokens to statements: recursive descent, with a limit on its depth.

use super::failure::{Failure, Position};
use super::lexer::{Token, TokenKind, tokens};
use super::syntax::{
    Arm, Call, Expression, Formula, Link, Name, Operator, Statement, UnaryOperator,
};
use crate::limits;

/// Parentheses, arguments and operators within each other at the most.
const DEPTH_MAX: usize = 200;
/// The lowest precedence there is.
const LOOSEST: u8 = 1;

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// When it is none: where, and what was expected there.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
        let mut statements = Vec::new();
        loop {
            while parser.take(";") {}
            if parser.peek() == &TokenKind::End {
                return Ok(Self { statements });
            }
            if statements.len() == limits::FORMULA_STATEMENTS_MAX {
                let reason = format!("More than {} statements", limits::FORMULA_STATEMENTS_MAX);
                return Err(Failure::syntax(parser.at(), reason));
            }
            statements.push(parser.statement()?);
            if parser.peek() != &TokenKind::End {
                parser.expect(";")?;
            }
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn statement(&mut self) -> Result<Statement, Failure> {
        let target = match (self.peek(), self.peek_second()) {
            (TokenKind::Name(_), TokenKind::Symbol("=")) => Some(self.name()?),
            _ => None,
        };
        if target.is_some() {
            self.expect("=")?;
        }
        Ok(Statement { target, value: self.expression()? })
    }

    /// `a ? b : c ? d : e`; the last branch is a loop, not a descent.
    fn expression(&mut self) -> Result<Expression, Failure> {
        self.descend()?;
        let mut arms = Vec::new();
        let otherwise = loop {
            let condition = self.chain(LOOSEST)?;
            let at = self.at();
            if !self.take("?") {
                break condition;
            }
            let value = self.expression()?;
            self.expect(":")?;
            arms.push(Arm { condition, at, value });
        };
        self.depth -= 1;
        if arms.is_empty() {
            return Ok(otherwise);
        }
        Ok(Expression::Conditional { arms, otherwise: Box::new(otherwise) })
    }

    /// Operands joined by operators that bind at least as closely as `loosest`.
    fn chain(&mut self, loosest: u8) -> Result<Expression, Failure> {
        self.descend()?;
        let mut left = self.operand()?;
        while let Some(operator) = self.operator().filter(|it| it.precedence() >= loosest) {
            let precedence = operator.precedence();
            let mut rest = Vec::new();
            while let Some(operator) = self.operator().filter(|it| it.precedence() == precedence) {
                let at = self.at();
                self.next += 1;
                rest.push(Link { operator, at, operand: self.chain(precedence + 1)? });
            }
            left = Expression::Chain { first: Box::new(left), rest };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, Failure> {
        let at = self.at();
        let operator = if self.take("-") {
            UnaryOperator::Minus
        } else if self.take("!") {
            UnaryOperator::Not
        } else {
            return self.postfix();
        };
        self.descend()?;
        let operand = Box::new(self.operand()?);
        self.depth -= 1;
        Ok(Expression::Unary { operator, at, operand })
    }

    fn postfix(&mut self) -> Result<Expression, Failure> {
        let mut of = self.primary()?;
        let mut n_members = 0;
        while self.take(".") {
            n_members += 1;
            if self.depth + n_members > DEPTH_MAX {
                return Err(self.too_deep());
            }
            let member = self.name()?;
            let of_boxed = Box::new(of);
            of = if self.peek() == &TokenKind::Symbol("(") {
                Expression::Method { of: of_boxed, call: self.call(member)? }
            } else {
                Expression::Member { of: of_boxed, member }
            };
        }
        Ok(of)
    }

    fn primary(&mut self) -> Result<Expression, Failure> {
        if self.take("(") {
            let inner = self.expression()?;
            self.expect(")")?;
            return Ok(inner);
        }
        match self.peek().clone() {
            TokenKind::Number(number) => {
                self.next += 1;
                Ok(Expression::Number(number))
            }
            TokenKind::Text(text) => {
                self.next += 1;
                Ok(Expression::Text(text))
            }
            TokenKind::Name(_) => {
                let name = self.name()?;
                if self.peek() == &TokenKind::Symbol("(") {
                    return Ok(Expression::Call(self.call(name)?));
                }
                Ok(Expression::Name(name))
            }
            TokenKind::Symbol(_) | TokenKind::End => Err(self.unexpected()),
        }
    }

    fn call(&mut self, name: Name) -> Result<Call, Failure> {
        let at = self.at();
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.take(")") {
            arguments.push(self.expression()?);
            while self.take(",") {
                arguments.push(self.expression()?);
            }
            self.expect(")")?;
        }
        Ok(Call { name, at, arguments })
    }

    fn name(&mut self) -> Result<Name, Failure> {
        let at = self.at();
        let TokenKind::Name(text) = self.peek().clone() else { return Err(self.unexpected()) };
        self.next += 1;
        Ok(Name { text, at })
    }

    fn operator(&self) -> Option<Operator> {
        let TokenKind::Symbol(symbol) = self.peek() else { return None };
        Operator::ALL.into_iter().find(|it| it.symbol() == *symbol)
    }

    fn peek(&self) -> &TokenKind {
        self.tokens.get(self.next).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn peek_second(&self) -> &TokenKind {
        self.tokens.get(self.next + 1).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> Position {
        let token = self.tokens.get(self.next).or_else(|| self.tokens.last());
        token.map_or(Position::START, |token| token.at)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let is_there = matches!(self.peek(), TokenKind::Symbol(it) if *it == symbol);
        self.next += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Failure> {
        if self.take(symbol) {
            return Ok(());
        }
        let reason = format!("Expected {symbol} before {}", self.peek().shown());
        Err(Failure::syntax(self.at(), reason))
    }

    fn unexpected(&self) -> Failure {
        Failure::syntax(self.at(), format!("Unexpected {}", self.peek().shown()))
    }

    fn descend(&mut self) -> Result<(), Failure> {
        if self.depth == DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    fn too_deep(&self) -> Failure {
        Failure::syntax(self.at(), "The expression is nested too deeply")
    }
}
