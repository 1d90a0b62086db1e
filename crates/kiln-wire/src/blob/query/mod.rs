//! Query Blob Contents on the wire: what is asked, records of content in, an answer out.
//!
//! [`request`] reads the document that asks. [`Machine`] takes content in, piece by piece, and
//! gives [`Event`]s: rows of the answer, what is wrong with a record, how far it has come.
//! [`avro`] puts them into the frame that clients read.

pub mod avro;
mod delimited;
mod json;
mod machine;
mod output;
pub mod request;

pub use machine::{Event, Machine};

#[cfg(test)]
mod tests;
