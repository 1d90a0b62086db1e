//! Nodes: what becomes of them, and what clients may ask of them.

mod life;
mod machine;
mod operation;
#[cfg(test)]
mod tests;
mod user;

pub use life::{
    Node, NodeError, NodeLife, NodeState, Pending, RECENT_TASKS_MAX, RecentTask, StartTaskRun,
};
pub use machine::{NodeFact, step};
pub use operation::{NodeOperation, Treatment, admit};
pub use user::NodeUserSpec;
