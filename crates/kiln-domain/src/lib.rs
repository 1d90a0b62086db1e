//! Nouns and rules of Batch and Blob: decides, never acts.
//!
//! Nothing here opens a socket, touches a disk, reads a clock or draws a random
//! number: time, ids and randomness are arguments. In reading order: the words
//! everything is built from ([`time`], [`span`], [`id`], [`limits`], [`comparison`]), why a request
//! is refused ([`rejection`]), then one module for each resource.

pub mod autoscale;
pub mod batch;
pub mod blob;
pub mod comparison;
pub mod id;
pub mod limits;
pub mod rejection;
pub mod span;
pub mod time;
