//! Pools, nodes, jobs and tasks: their lives and their rules.
//!
//! A resource has a *specification*, the client's document in the shape of the newest
//! api-version with every default filled in, and its *life*, which this module decides.
//! The structs named `…Spec` are typed views of a specification: they name the members
//! that a rule or a node acts on and leave the others in the document.

mod absent;
pub mod application;
pub mod attempt;
pub mod auto_pool;
pub mod certificate;
pub mod change;
pub mod command;
pub mod container;
pub mod dependencies;
pub mod exit;
pub mod failure;
pub mod gang;
pub mod image;
pub mod job;
pub mod job_change;
pub mod job_end;
pub mod job_manager;
pub mod job_schedule;
#[cfg(test)]
mod job_walks;
pub mod mount;
pub mod needs;
pub mod node;
pub mod pool;
pub mod pool_usage;
pub mod preparation;
pub mod recurrence;
pub mod scaling;
pub mod sizing;
pub mod start_task;
pub mod task;
#[cfg(test)]
mod task_walks;
pub mod ties;
pub mod usage;
pub mod user;
pub mod vm_size;
