//! What a formula is made of.

use super::failure::Position;
use crate::comparison::Comparison;

/// A formula: statements, which are computed from top to bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    pub(super) statements: Vec<Statement>,
}

/// `name = value`, or a value alone, which is computed for nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) target: Option<Name>,
    pub(super) value: Expression,
}

/// A name as it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: Position,
}

/// Something that has a value.
///
/// What can be repeated without parentheses is a list and not a tree: the depth of a tree,
/// and with it the stack that computing it takes, is bounded by the parser.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    /// `0.7`
    Number(f64),
    /// `"Thu, 13 Oct 2016 19:18:47 GMT"`
    Text(String),
    /// `$tasks`, `TimeInterval_Minute`, `requeue`
    Name(Name),
    /// `avg(a, b)`
    Call(Call),
    /// `time().hour`
    Member { of: Box<Self>, member: Name },
    /// `$PendingTasks.GetSample(1)`
    Method { of: Box<Self>, call: Call },
    /// `-x`
    Unary { operator: UnaryOperator, at: Position, operand: Box<Self> },
    /// `a - b + c`: operators of one precedence, from left to right.
    Chain { first: Box<Self>, rest: Vec<Link> },
    /// `a ? b : c ? d : e`
    Conditional { arms: Vec<Arm>, otherwise: Box<Self> },
}

/// A function or method with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) name: Name,
    /// Where the arguments begin.
    pub(super) at: Position,
    pub(super) arguments: Vec<Expression>,
}

/// One step of a chain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    pub(super) operator: Operator,
    pub(super) at: Position,
    pub(super) operand: Expression,
}

/// One condition, and what is so when it holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    pub(super) condition: Expression,
    pub(super) at: Position,
    pub(super) value: Expression,
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnaryOperator {
    Minus,
    Not,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Compare(Comparison),
    Compute(Computation),
}

/// An operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Computation {
    Plus,
    Minus,
    Times,
    Over,
}

impl Operator {
    pub(super) const ALL: [Self; 12] = [
        Self::Or,
        Self::And,
        Self::Compare(Comparison::Equal),
        Self::Compare(Comparison::NotEqual),
        Self::Compare(Comparison::Less),
        Self::Compare(Comparison::LessOrEqual),
        Self::Compare(Comparison::Greater),
        Self::Compare(Comparison::GreaterOrEqual),
        Self::Compute(Computation::Plus),
        Self::Compute(Computation::Minus),
        Self::Compute(Computation::Times),
        Self::Compute(Computation::Over),
    ];

    /// How it is written.
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Compare(Comparison::Equal) => "==",
            Self::Compare(Comparison::NotEqual) => "!=",
            Self::Compare(Comparison::Less) => "<",
            Self::Compare(Comparison::LessOrEqual) => "<=",
            Self::Compare(Comparison::Greater) => ">",
            Self::Compare(Comparison::GreaterOrEqual) => ">=",
            Self::Compute(Computation::Plus) => "+",
            Self::Compute(Computation::Minus) => "-",
            Self::Compute(Computation::Times) => "*",
            Self::Compute(Computation::Over) => "/",
        }
    }

    /// Higher ones bind closer.
    pub(super) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Compare(Comparison::Equal | Comparison::NotEqual) => 3,
            Self::Compare(
                Comparison::Less
                | Comparison::LessOrEqual
                | Comparison::Greater
                | Comparison::GreaterOrEqual,
            ) => 4,
            Self::Compute(Computation::Plus | Computation::Minus) => 5,
            Self::Compute(Computation::Times | Computation::Over) => 6,
        }
    }
}
