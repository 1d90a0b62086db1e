//! Shared access signatures: rights handed out as a query string.
//!
//! [`Token`] is what a query carries, `text` the words its signature covers in each version,
//! `check` what it allows, `make` how a client makes one. The signed values are kept as they
//! were sent: a date has many spellings, and the one that was signed counts.

mod check;
mod make;
mod text;
mod token;

pub use check::{Asked, Granted, SasRefusal, Scope, check};
pub use make::{Terms, account_sas, blob_sas, container_sas};
pub use token::Token;

#[cfg(test)]
mod tests;
