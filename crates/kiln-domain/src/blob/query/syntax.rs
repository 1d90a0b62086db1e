//! What a query is made of.

use super::like::Pattern;
use super::value::Value;
use crate::comparison::Comparison;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What it wants of each row, or of all.
    pub select: Select,
    /// Where in a tree its rows are; empty for the whole.
    pub source: Vec<Step>,
    /// Which rows it wants.
    pub condition: Option<Expression>,
    /// How many rows of answer it wants.
    pub limit: Option<u64>,
}

/// What a query wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// The rows as they are.
    All,
    /// Columns made of each row.
    Columns(Vec<Column>),
    /// One value made of all rows.
    Aggregate {
        /// How.
        function: Aggregate,
        /// Of what; the rows themselves where there is none.
        of: Option<Expression>,
        /// What it is called.
        name: String,
    },
    /// Lengths of parts of at least this many bytes that end with a record.
    Split {
        /// Bytes.
        part_bytes_min: u64,
    },
}

/// A column of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// How it is made.
    pub expression: Expression,
    /// What it is called.
    pub name: String,
    /// Whether the query says so.
    pub is_named: bool,
}

/// How one value is made of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many there are.
    Count,
    /// All together.
    Sum,
    /// Their mean.
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// One step into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of an object.
    Member {
        /// Its name.
        name: String,
        /// Whether its case counts.
        is_exact: bool,
    },
    /// An element of an array, from 0.
    Element(usize),
    /// Each element of an array.
    Every,
}

/// Something that has a value in each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Itself.
    Literal(Value<'static>),
    /// What lies there in the row; a field, once the columns are known, if rows have fields.
    Path(Vec<Step>),
    /// A field of the row, from 0.
    Field(usize),
    /// `NOT`.
    Not(Box<Self>),
    /// `-`.
    Negative(Box<Self>),
    /// `AND` of all.
    All(Vec<Self>),
    /// `OR` of all.
    Any(Vec<Self>),
    /// Numbers, or a time and days, from the left.
    Chain(Box<Self>, Vec<(Arithmetic, Self)>),
    /// Two values held against each other.
    Compare(Comparison, Box<Self>, Box<Self>),
    /// `BETWEEN`: the value, the least and the greatest.
    Between(Box<[Self; 3]>),
    /// `IN`: the value, and the others.
    In(Box<Self>, Vec<Self>),
    /// `LIKE`.
    Like(Box<Self>, Pattern),
    /// `IS NULL`.
    IsNull(Box<Self>),
    /// `IS MISSING`.
    IsMissing(Box<Self>),
    /// `CASE`.
    Case(Box<Case>),
    /// `CAST`.
    Cast(Box<Self>, Type),
    /// A function of these.
    Call(Function, Vec<Self>),
}

/// Values for cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What the first of each arm is compared with; a condition stands there if there is none.
    pub subject: Option<Expression>,
    /// The cases, and their values.
    pub arms: Vec<(Expression, Expression)>,
    /// The value where no case is so.
    pub otherwise: Expression,
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a value is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Type {
    Int,
    Float,
    String,
    Timestamp,
    Boolean,
}

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Function {
    Lower,
    Upper,
    CharLength,
    Substring,
    /// Of these characters, from one end or both.
    Trim(Side),
    Coalesce,
    NullIf,
    DateAdd(Part),
    DateDiff(Part),
    Extract(Part),
    ToString,
    ToTimestamp,
    UtcNow,
}

impl Function {
    /// How many arguments it takes.
    pub(super) fn arity(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Lower | Self::Upper | Self::CharLength | Self::Extract(_) | Self::ToTimestamp => {
                1..=1
            }
            Self::Substring => 2..=3,
            Self::Trim(_) => 1..=2,
            Self::Coalesce => 1..=usize::MAX,
            Self::NullIf | Self::DateAdd(_) | Self::DateDiff(_) | Self::ToString => 2..=2,
            Self::UtcNow => 0..=0,
        }
    }
}

/// Where characters are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Side {
    Leading,
    Trailing,
    Both,
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the language's own")]
pub enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    TimezoneHour,
    TimezoneMinute,
}
