//! How a node is kept apart from its machine: one mechanism per file.
//!
//! [`namespaces`], [`rootless`] and [`plain`] run in the node's first process, as do their
//! parts [`clone`], [`view`] and [`capabilities`]. [`layers`], [`group`], [`seats`] and [`mount`]
//! are the agent's side of it; [`probe`] tells what works on a machine.

pub(crate) mod capabilities;
mod clone;
pub(crate) mod controllers;
pub(crate) mod group;
pub(crate) mod identity;
pub(crate) mod layers;
pub(crate) mod limits;
pub(crate) mod mount;
pub(crate) mod namespaces;
pub(crate) mod plain;
pub(crate) mod probe;
pub(crate) mod rootless;
pub(crate) mod seats;
pub(crate) mod view;

/// Why a node can not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}")]
pub struct SetupError {
    what: String,
    #[source]
    cause: std::io::Error,
}

impl SetupError {
    /// `what` could not be done.
    pub(crate) fn new(what: impl Into<String>, cause: impl Into<std::io::Error>) -> Self {
        Self { what: what.into(), cause: cause.into() }
    }
}
