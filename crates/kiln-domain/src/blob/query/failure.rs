//! Why there is no query, and why a row has no answer.

/// Why a text is no query, or no query of this blob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// The text is none.
    #[error("Syntax error! {reason} at character {at}.")]
    Syntax {
        /// What is wrong.
        reason: String,
        /// Where, from 0.
        at: usize,
    },
    /// The rows have no names of columns.
    #[error(
        "Column names can be used only if 'hasHeader' is set in the config and there is a header \
         row."
    )]
    NamesWithoutHeader,
    /// No column has this name.
    #[error("There is no column `{name}`.")]
    UnknownColumn {
        /// The name.
        name: String,
    },
    /// The form of the blob's records has no such thing.
    #[error("{what} can be used only with {form} data.")]
    OtherForm {
        /// What was asked for.
        what: &'static str,
        /// The form that has it.
        form: &'static str,
    },
}

impl InvalidQuery {
    pub(super) fn syntax(reason: impl Into<String>, at: usize) -> Self {
        Self::Syntax { reason: reason.into(), at }
    }
}

/// Why a row has no answer; the others may have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The row has fewer columns.
    #[error("The record has no such column.")]
    InvalidColumnOrdinal,
    /// A value is not of the type that is wanted and cannot be made one.
    #[error("Invalid type conversion.")]
    InvalidTypeConversion,
    /// Something is divided by zero.
    #[error("Division by zero.")]
    DivideByZero,
    /// A number or a time is too large.
    #[error("Arithmetic overflow.")]
    ArithmeticOverflow,
}

impl Problem {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidColumnOrdinal => "InvalidColumnOrdinal",
            Self::InvalidTypeConversion => "InvalidTypeConversion",
            Self::DivideByZero => "DivideByZero",
            Self::ArithmeticOverflow => "ArithmeticOverflow",
        }
    }
}
