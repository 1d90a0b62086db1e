//! One value of all rows.

use std::cmp::Ordering;

use super::failure::Problem;
use super::syntax::Aggregate;
use super::value::{Number, Value};

/// What a function over all rows has come to so far.
#[derive(Clone, Debug)]
pub struct Tally {
    function: Aggregate,
    n_values: i64,
    sum: Number,
    best: Value<'static>,
}

impl Tally {
    /// Of no rows yet.
    pub fn new(function: Aggregate) -> Self {
        Self { function, n_values: 0, sum: Number::Int(0), best: Value::Null }
    }

    /// Takes the value of one more row; nothing does not count.
    pub fn take(&mut self, value: Value<'_>) -> Result<(), Problem> {
        if value.is_nothing() {
            return Ok(());
        }
        match self.function {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Average => {
                let Some(number) = value.to_number()? else { return Ok(()) };
                self.sum = match (self.sum, number) {
                    (Number::Int(sum), Number::Int(number)) => {
                        Number::Int(sum.checked_add(number).ok_or(Problem::ArithmeticOverflow)?)
                    }
                    (sum, number) => Number::Float(sum.to_float() + number.to_float()),
                };
            }
            Aggregate::Min => self.keep_if(value, Ordering::Less)?,
            Aggregate::Max => self.keep_if(value, Ordering::Greater)?,
        }
        self.n_values += 1;
        Ok(())
    }

    fn keep_if(&mut self, value: Value<'_>, better: Ordering) -> Result<(), Problem> {
        if self.best.is_nothing() || value.compare(&self.best)? == Some(better) {
            self.best = value.into_owned().ok_or(Problem::InvalidTypeConversion)?;
        }
        Ok(())
    }

    /// What it is of all the rows taken; nothing for the sum, mean, least and greatest of none.
    pub fn result(&self) -> Value<'static> {
        match self.function {
            Aggregate::Count => Value::Int(self.n_values),
            Aggregate::Min | Aggregate::Max => self.best.clone(),
            Aggregate::Sum | Aggregate::Average if self.n_values == 0 => Value::Null,
            Aggregate::Sum => self.sum.into(),
            Aggregate::Average => {
                Value::Float(self.sum.to_float() / Number::Int(self.n_values).to_float())
            }
        }
    }
}
