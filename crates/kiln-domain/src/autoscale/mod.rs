//! The language in which a pool says how large it wants to be.
//!
//! A formula is text, at most 8192 characters of it: [`Formula::parse`] makes statements of
//! it, [`evaluate`] computes them against a [`Scene`] (the time, the pool's targets, the
//! samples taken of it) and gives a [`Run`]: what it wants, or where and why it failed.
//! Nothing a formula says can take more than bounded time, memory or stack.

mod evaluate;
mod failure;
mod functions;
mod history;
mod lexer;
mod measurement;
mod metric;
mod operators;
mod parser;
mod run;
mod samples;
mod syntax;
mod value;

pub use evaluate::{Scene, evaluate};
pub use failure::{Failure, FailureKind, Position};
pub use history::{History, Sample};
pub use measurement::{Measurement, Reading, measured};
pub use metric::Metric;
pub use run::{Run, Wish};
pub use syntax::Formula;

#[cfg(test)]
mod tests;
