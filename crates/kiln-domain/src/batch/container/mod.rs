//! Containers that tasks run in: what pools offer, and what tasks ask for.

mod image;
mod options;
mod spec;

pub use image::{Image, ImageFault};
pub use options::{OptionFault, RunOptions};
pub use spec::{
    BindMount, ContainerConfiguration, ContainerInfo, ContainerKind, ContainerRegistry,
    ContainerSettings, HostPath, TaskKind, VirtualMachineSpec, WorkingDirectory, admit_pool,
    admit_settings, admit_to_pool,
};
