//! One file for each resource: its rows and the SQL that reads and writes them.

pub(crate) mod account;
mod application;
mod blob;
mod certificate;
pub(crate) mod container;
mod dependency;
pub(crate) mod extent;
mod instance;
mod job;
mod job_schedule;
mod life;
mod node;
#[cfg(test)]
pub(crate) mod plans;
mod pool;
mod preparation;
pub(crate) mod task;
pub(crate) mod usage;
