//! Shapes of the Batch service: requests lifted to the newest api-version, answers lowered.
//!
//! [`lift`] and [`lower`] are the only doors. Behind them a body has the shape of the newest
//! api-version, and beside it the members that the newest has dropped and older ones still
//! know (`certificateReferences`, `resourceTags`): those pass through for the clients that
//! know them and are hidden from the others.

pub mod application;
pub mod autoscale;
mod casing;
pub mod certificate;
mod changes;
mod contract;
mod defaults;
pub mod error;
pub mod file;
mod gates;
pub mod image;
pub mod job;
pub mod job_schedule;
mod lift;
mod lower;
pub mod metadata;
pub mod node;
pub mod odata;
pub mod pool;
pub mod preparation;
mod resource;
mod secrets;
mod shape;
pub mod statistics;
pub mod subtask;
pub mod survey;
pub mod task;

pub use contract::{Operation, members, operation_of, operations};
pub use gates::Gates;
pub use lift::lift;
pub use lower::{lower, node_agent_skus};
pub use shape::Shape;

#[cfg(test)]
mod tests;
