//! What an evaluation gave.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::batch::node::Treatment;
use crate::batch::pool::Targets;
use crate::time::Timestamp;

/// One evaluation of a formula.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When.
    pub at: Timestamp,
    /// The variables, `$TargetDedicatedNodes=3;…`.
    pub results: String,
    /// Why it came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What a formula wants its pool to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Nodes.
    pub targets: Targets,
    /// What becomes of tasks on nodes that are too many.
    pub treatment: Treatment,
}
