//! Prepares nodes for jobs and releases them: keeps what the machine of a node of a job
//! decides, and says what to send to the node.

mod commands;
mod steps;

pub(crate) use commands::{directory_of, orders};
pub(crate) use steps::{Steps, Unreleased, admits, contain, unreleased};
