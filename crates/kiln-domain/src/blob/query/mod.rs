//! The language in which a client asks for a part of what a blob says.
//!
//! A query is text: [`Statement::parse`] makes a statement of it, [`Statement::bind`] finds the
//! columns that it names, and [`evaluate`] computes its expressions for one [`Row`]. In reading
//! order: what a statement is made of ([`syntax`]), how text becomes one, what a [`Value`] is
//! and how one becomes another, times ([`Moment`]), patterns, functions, sums over rows
//! ([`Tally`]).

mod bind;
mod evaluate;
mod expressions;
mod failure;
mod functions;
mod lexer;
mod like;
mod moment;
mod moment_format;
mod parser;
pub mod syntax;
mod tally;
mod tree;
mod value;

pub use bind::Columns;
pub use evaluate::{Row, Scene, evaluate, is_wanted, reach};
pub use failure::{InvalidQuery, Problem};
pub use moment::Moment;
pub use syntax::Statement;
pub use tally::Tally;
pub use tree::Tree;
pub use value::Value;

#[cfg(test)]
mod tests;
