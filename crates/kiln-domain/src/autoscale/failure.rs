//! Where and why a formula fails.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Counts lines from 1.
    pub line: u32,
    /// Counts characters of the line from 1.
    pub column: u32,
}

impl Position {
    /// Where every formula begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line {}, Col {}", self.line, self.column)
    }
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// The text is no formula.
    Syntax,
    /// A statement can not be computed.
    Evaluation,
    /// There are fewer samples than the formula insists on.
    InsufficientSamples,
}

/// Where and why a formula failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub kind: FailureKind,
    /// Where.
    pub at: Position,
    /// Why, for the one who wrote it.
    pub reason: String,
}

impl Failure {
    pub(super) fn syntax(at: Position, reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Syntax, at, reason: reason.into() }
    }

    pub(super) fn evaluation(at: Position, reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Evaluation, at, reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    /// As the service shows it: `Line 1, Col 1: Undefined symbol: x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)
    }
}

impl std::error::Error for Failure {}
