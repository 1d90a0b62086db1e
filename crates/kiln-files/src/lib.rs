//! Files of nodes and tasks on this machine: read so that no link leads out, kept, removed.
//!
//! What lies there was written by tasks, which may be hostile, and is touched by an agent or a
//! server with more rights than they have. So every name is resolved by the kernel below an open
//! directory ([`Directory`]), and the same code answers questions about files ([`answer`])
//! whether their node lives or not.

mod answer;
mod directory;
mod kept;
mod size;
mod trash;

pub use answer::{Content, answer};
pub use directory::{Directory, Links, UserId, is_below};
pub use kept::{KeptFiles, KeptTask};
pub use trash::Trash;

/// The root of a node's files, below the node's own directory on this machine.
pub const NODE_ROOT: &str = "tasks";
/// The directory, below that root, with the directories of tasks.
pub const WORK_ITEMS: &str = "workitems";
