//! The language as its users see it.

mod formulas;
mod print;
mod properties;
mod scene;
mod table;
