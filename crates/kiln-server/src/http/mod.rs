//! HTTP in and out: one request type, one answer type, one engine behind them.
//!
//! The services ([`crate::batch`], [`crate::blob`]) see only [`Request`] and [`Response`],
//! so that the engine can be exchanged without touching an operation.

mod body;
mod engine;
mod request;
mod response;

pub use body::{Body, BodyError};
pub use engine::{Handler, Listener, serve_connection};
pub use request::Request;
pub use response::{Response, ResponseBody};
