//! Pool and its two states; resize, delete.

use serde::{Deserialize, Serialize};

use super::command::StartTaskSpec;
use super::task::NameValue;
use crate::rejection::Rejection;
use crate::span::Span;
use crate::time::Timestamp;
use crate::{id, limits};

/// What the rules and the nodes read of a pool's specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSpec {
    /// Name within the account.
    pub id: String,
    /// Dedicated nodes wanted.
    #[serde(default)]
    pub target_dedicated_nodes: u32,
    /// Spot nodes wanted.
    #[serde(default)]
    pub target_low_priority_nodes: u32,
    /// Time after which a resize is given up.
    #[serde(default = "resize_timeout")]
    pub resize_timeout: Span,
    /// Slots of each node.
    #[serde(default = "one_slot")]
    pub task_slots_per_node: u32,
    /// How tasks are spread over nodes.
    #[serde(default)]
    pub task_scheduling_policy: TaskSchedulingPolicy,
    /// Runs on each node before its tasks.
    pub start_task: Option<StartTaskSpec>,
}

/// How tasks are spread over nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskSchedulingPolicy {
    /// Which node comes first.
    pub node_fill_type: NodeFillType,
}

/// Which node comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeFillType {
    /// The emptiest.
    #[default]
    Spread,
    /// The fullest that still has room.
    Pack,
}

fn resize_timeout() -> Span {
    Span::minutes(15)
}

fn one_slot() -> u32 {
    1
}

/// Whether a pool is there to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolState {
    /// It is.
    Active,
    /// It and its nodes are going.
    Deleting,
}

/// Whether a pool's size is changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllocationState {
    /// It is not.
    Steady,
    /// Nodes are being added or removed.
    Resizing,
    /// The resize was called off and is winding down.
    Stopping,
}

/// A pool of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The store's key.
    pub key: i64,
    /// The Batch account.
    pub account: String,
    /// Name within the account, as the client spelled it.
    pub id: String,
    /// Its specification: JSON in the shape of the newest api-version.
    pub document: String,
    /// What has become of it.
    pub life: PoolLife,
}

/// What has become of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLife {
    /// Whether it is there to stay; written by [`step`] alone.
    pub state: PoolState,
    /// Since when.
    pub state_at: Timestamp,
    /// Whether its size is changing; written by [`step`] alone.
    pub allocation: AllocationState,
    /// Since when.
    pub allocation_at: Timestamp,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed: its entity tag.
    pub modified_at: Timestamp,
    /// Nodes wanted.
    pub targets: Targets,
    /// Time after which the resize under way is given up.
    pub resize_timeout: Span,
    /// Why the last resize missed its targets.
    pub resize_errors: Vec<ResizeError>,
    /// Nodes it ever had: numbers the next one.
    pub nodes_made: u32,
}

/// How many nodes a pool is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// Dedicated nodes.
    pub dedicated: u32,
    /// Spot nodes.
    pub low_priority: u32,
}

/// Why a resize missed its targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeError {
    /// Azure's name for it, `AllocationFailed`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<NameValue>,
}

/// What can happen to a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolFact {
    /// A client wants another size.
    Resized {
        /// The nodes wanted.
        targets: Targets,
        /// Time after which the resize is given up.
        timeout: Option<Span>,
    },
    /// It has as many nodes as it is to have.
    SizeReached,
    /// The resize ended without reaching its targets.
    ResizeFailed(Vec<ResizeError>),
    /// A client removes it.
    Deleted,
}

impl PoolLife {
    /// The life of a pool that was just added: it is resized to its first size.
    pub fn new(spec: &PoolSpec, now: Timestamp) -> Self {
        Self {
            state: PoolState::Active,
            state_at: now,
            allocation: AllocationState::Resizing,
            allocation_at: now,
            created_at: now,
            modified_at: now,
            targets: Targets {
                dedicated: spec.target_dedicated_nodes,
                low_priority: spec.target_low_priority_nodes,
            },
            resize_timeout: spec.resize_timeout,
            resize_errors: Vec::new(),
            nodes_made: 0,
        }
    }

    /// Nodes of a kind that it is to have now.
    pub fn wanted(&self, is_dedicated: bool) -> u32 {
        match self.state {
            PoolState::Deleting => 0,
            PoolState::Active if is_dedicated => self.targets.dedicated,
            PoolState::Active => self.targets.low_priority,
        }
    }

    fn allocating(mut self, allocation: AllocationState, now: Timestamp) -> Self {
        self.allocation = allocation;
        self.allocation_at = now;
        self
    }
}

/// Whether a pool of this specification may be added.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit(spec: &PoolSpec) -> Result<(), Rejection> {
    id::check("id", &spec.id)?;
    if !(1..=limits::TASK_SLOTS_PER_NODE_MAX).contains(&i64::from(spec.task_slots_per_node)) {
        return Err(Rejection::InvalidProperty {
            name: "taskSlotsPerNode".to_owned(),
            value: spec.task_slots_per_node.to_string(),
            reason: format!(
                "A node has at least 1 and at most {} task slots",
                limits::TASK_SLOTS_PER_NODE_MAX
            ),
        });
    }
    check_timeout(spec.resize_timeout)
}

/// Whether a resize may be given this time.
///
/// # Errors
/// When it is too short.
pub fn check_timeout(timeout: Span) -> Result<(), Rejection> {
    if timeout >= Span::minutes(limits::RESIZE_TIMEOUT_MIN_MINUTES) {
        return Ok(());
    }
    Err(Rejection::InvalidProperty {
        name: "resizeTimeout".to_owned(),
        value: timeout.to_string(),
        reason: format!(
            "A resize is given at least {} minutes",
            limits::RESIZE_TIMEOUT_MIN_MINUTES
        ),
    })
}

/// What becomes of a pool when `fact` happens; the only place that writes its states.
///
/// # Errors
/// When the pool does not allow it where it stands; nothing changes then.
pub fn step(pool: &Pool, fact: PoolFact, now: Timestamp) -> Result<PoolLife, Rejection> {
    use {AllocationState as A, PoolFact as F, PoolState as S};
    let life = pool.life.clone();
    match (life.state, life.allocation, fact) {
        (S::Active, A::Steady, F::Resized { targets, timeout }) => Ok(PoolLife {
            targets,
            resize_timeout: timeout.unwrap_or(life.resize_timeout),
            resize_errors: Vec::new(),
            modified_at: now,
            ..life.allocating(A::Resizing, now)
        }),
        (S::Active, A::Resizing | A::Stopping, F::Resized { .. }) => {
            Err(Rejection::PoolBeingResized { pool: pool.id.clone() })
        }
        (S::Active, A::Resizing | A::Stopping, F::SizeReached) => {
            Ok(life.allocating(A::Steady, now))
        }
        (S::Active, A::Resizing | A::Stopping, F::ResizeFailed(resize_errors)) => {
            Ok(PoolLife { resize_errors, ..life.allocating(A::Steady, now) })
        }
        (S::Active, A::Steady, F::SizeReached | F::ResizeFailed(_))
        | (
            S::Deleting,
            A::Steady | A::Resizing | A::Stopping,
            F::SizeReached | F::ResizeFailed(_),
        ) => Ok(life),
        (S::Active, A::Steady | A::Resizing | A::Stopping, F::Deleted) => Ok(PoolLife {
            state: S::Deleting,
            state_at: now,
            modified_at: now,
            ..life.allocating(A::Resizing, now)
        }),
        (S::Deleting, A::Steady | A::Resizing | A::Stopping, F::Resized { .. } | F::Deleted) => {
            Err(Rejection::PoolBeingDeleted { pool: pool.id.clone() })
        }
    }
}
