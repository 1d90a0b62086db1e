//! Finds the columns that a query names.

use super::failure::InvalidQuery;
use super::syntax::{Expression, Select, Statement, Step};

/// What the rows of a blob have.
#[derive(Clone, Copy, Debug)]
pub enum Columns<'a> {
    /// Fields without names.
    Numbered,
    /// Fields with these names.
    Named(&'a [String]),
    /// Members.
    Members,
}

impl Columns<'_> {
    /// What the column `idx`, from 0, is called.
    pub fn name(self, idx: usize) -> String {
        match self {
            Self::Named(names) => names.get(idx).cloned(),
            Self::Numbered | Self::Members => None,
        }
        .unwrap_or_else(|| format!("_{}", idx.saturating_add(1)))
    }
}

impl Statement {
    /// Finds the columns that the query names.
    ///
    /// # Errors
    /// When there are none such, or it is a query of another form of data.
    pub fn bind(&mut self, columns: Columns<'_>) -> Result<(), InvalidQuery> {
        match columns {
            Columns::Members => {
                if matches!(self.select, Select::Split { .. }) {
                    return Err(InvalidQuery::OtherForm { what: "sys.split", form: "CSV" });
                }
            }
            Columns::Numbered | Columns::Named(_) => {
                if !self.source.is_empty() {
                    return Err(InvalidQuery::OtherForm { what: "A path", form: "JSON" });
                }
            }
        }
        let mut expressions: Vec<&mut Expression> = self.condition.iter_mut().collect();
        match &mut self.select {
            Select::All | Select::Split { .. } => {}
            Select::Aggregate { of, .. } => expressions.extend(of),
            Select::Columns(found) => {
                expressions.extend(found.iter_mut().map(|column| &mut column.expression));
            }
        }
        for expression in expressions {
            expression.bind(columns)?;
        }
        if let Select::Columns(found) = &mut self.select {
            for column in found.iter_mut().filter(|column| !column.is_named) {
                if let Expression::Field(idx) = &column.expression {
                    column.name = columns.name(*idx);
                } else if let Expression::Path(steps) = &column.expression
                    && let Some(Step::Member { name, .. }) = steps.last()
                {
                    column.name.clone_from(name);
                }
            }
        }
        Ok(())
    }
}

impl Expression {
    fn bind(&mut self, columns: Columns<'_>) -> Result<(), InvalidQuery> {
        match self {
            Self::Literal(_) | Self::Field(_) => Ok(()),
            Self::Path(steps) => {
                if let Some(idx) = field(steps, columns)? {
                    *self = Self::Field(idx);
                }
                Ok(())
            }
            Self::Not(inner)
            | Self::Negative(inner)
            | Self::Like(inner, _)
            | Self::IsNull(inner)
            | Self::IsMissing(inner)
            | Self::Cast(inner, _) => inner.bind(columns),
            Self::All(parts) | Self::Any(parts) | Self::Call(_, parts) => {
                parts.iter_mut().try_for_each(|part| part.bind(columns))
            }
            Self::Compare(_, left, right) => {
                left.bind(columns)?;
                right.bind(columns)
            }
            Self::Chain(first, rest) => {
                first.bind(columns)?;
                rest.iter_mut().try_for_each(|(_, operand)| operand.bind(columns))
            }
            Self::Between(parts) => parts.iter_mut().try_for_each(|part| part.bind(columns)),
            Self::In(value, others) => {
                value.bind(columns)?;
                others.iter_mut().try_for_each(|other| other.bind(columns))
            }
            Self::Case(case) => {
                case.subject.iter_mut().try_for_each(|subject| subject.bind(columns))?;
                for (condition, value) in &mut case.arms {
                    condition.bind(columns)?;
                    value.bind(columns)?;
                }
                case.otherwise.bind(columns)
            }
        }
    }
}

/// Which field a path is; `None` where rows have members.
fn field(steps: &[Step], columns: Columns<'_>) -> Result<Option<usize>, InvalidQuery> {
    let names = match columns {
        Columns::Members => return Ok(None),
        Columns::Numbered => None,
        Columns::Named(names) => Some(names),
    };
    let [Step::Member { name, is_exact }] = steps else {
        return Err(InvalidQuery::OtherForm { what: "A path", form: "JSON" });
    };
    let named = names.and_then(|names| {
        names.iter().position(|found| match is_exact {
            true => found == name,
            false => found.eq_ignore_ascii_case(name),
        })
    });
    let numbered = || {
        let number: usize = name.strip_prefix('_')?.parse().ok()?;
        number.checked_sub(1)
    };
    match (named.or_else(numbered), names) {
        (Some(idx), _) => Ok(Some(idx)),
        (None, Some(_)) => Err(InvalidQuery::UnknownColumn { name: name.clone() }),
        (None, None) => Err(InvalidQuery::NamesWithoutHeader),
    }
}
