//! The commands, one file each.

pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod application;
pub(crate) mod autoscale;
pub(crate) mod backup;
pub(crate) mod blob;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod node;
pub(crate) mod restore;
pub(crate) mod status;
pub(crate) mod task;
pub(crate) mod up;
