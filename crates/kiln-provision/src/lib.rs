//! Gets and returns nodes: today on this machine, one agent process for each node.

mod local;

pub use local::{Exit, LocalProvisioner, ProvisionError, Provisioner, Starting};
