//! One file for each resource: its rows and the SQL that reads and writes them.

pub(crate) mod account;
mod application;
pub(crate) mod audit;
mod blob;
mod certificate;
pub(crate) mod container;
pub(crate) mod dependency;
pub(crate) mod dependency_turn;
pub(crate) mod extent;
mod instance;
mod job;
mod job_schedule;
pub(crate) mod kept_file;
pub(crate) mod known;
mod life;
pub(crate) mod node;
mod piece;
#[cfg(test)]
pub(crate) mod plans;
mod pool;
pub(crate) mod pool_usage;
mod preparation;
mod summing;
mod tag;
pub(crate) mod task;
pub(crate) mod task_count;
mod upload;
pub(crate) mod usage;
