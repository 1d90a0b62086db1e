//! Pool and its two states; resize, delete.

use serde::{Deserialize, Serialize};

use super::command::StartTaskSpec;
use super::scaling::Scaling;
use super::task::NameValue;
use crate::autoscale::Wish;
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
    /// Which job comes first among those of the same priority.
    pub job_default_order: JobDefaultOrder,
}

/// Which job comes first among those of the same priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobDefaultOrder {
    /// The one that has the least: they share.
    #[default]
    None,
    /// The one that was added first.
    CreationTime,
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
    /// What has become of its sizing itself.
    #[serde(default)]
    pub scaling: Scaling,
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
    /// Its formula says how large it wants to be.
    Scaled(Wish),
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
            scaling: Scaling::default(),
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
        (S::Active, A::Resizing | A::Stopping, F::Resized { .. })
        | (S::Active, A::Stopping, F::Scaled(_)) => {
            Err(Rejection::PoolBeingResized { pool: pool.id.clone() })
        }
        // A formula may change its mind while the pool is on its way. No client changed the
        // pool, so its tag stays.
        (S::Active, A::Steady | A::Resizing, F::Scaled(wish)) if wish.targets != life.targets => {
            Ok(PoolLife {
                targets: wish.targets,
                resize_errors: Vec::new(),
                ..life.allocating(A::Resizing, now)
            })
        }
        (S::Active, A::Steady | A::Resizing, F::Scaled(_)) => Ok(life),
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
        (
            S::Deleting,
            A::Steady | A::Resizing | A::Stopping,
            F::Resized { .. } | F::Scaled(_) | F::Deleted,
        ) => Err(Rejection::PoolBeingDeleted { pool: pool.id.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Pool, PoolFact, PoolLife, PoolSpec, ResizeError, Targets, admit, check_timeout, step,
    };
    use crate::span::Span;
    use crate::time::Timestamp;

    fn spec() -> PoolSpec {
        PoolSpec {
            id: "p".to_owned(),
            target_dedicated_nodes: 2,
            target_low_priority_nodes: 1,
            resize_timeout: Span::minutes(15),
            task_slots_per_node: 1,
            task_scheduling_policy: super::TaskSchedulingPolicy::default(),
            start_task: None,
        }
    }

    fn pool() -> Pool {
        Pool {
            key: 1,
            account: "acct".to_owned(),
            id: "p".to_owned(),
            document: "{}".to_owned(),
            life: PoolLife::new(&spec(), Timestamp(0)),
        }
    }

    fn resized(dedicated: u32) -> PoolFact {
        let targets = Targets { dedicated, low_priority: 0 };
        PoolFact::Resized { targets, timeout: None }
    }

    fn failed() -> PoolFact {
        let error = ResizeError {
            code: "AllocationFailed".to_owned(),
            message: String::new(),
            values: Vec::new(),
        };
        PoolFact::ResizeFailed(vec![error])
    }

    /// Tells both states after each fact, the nodes wanted and the time of the tag.
    #[track_caller]
    fn check(facts: &[PoolFact], expected: &str) {
        let mut pool = pool();
        let mut said = Vec::new();
        for (second, fact) in (1..).zip(facts) {
            match step(&pool, fact.clone(), Timestamp(second)) {
                Ok(life) => {
                    said.push(format!(
                        "{:?}/{:?} {}+{} @{}{}",
                        life.state,
                        life.allocation,
                        life.wanted(true),
                        life.wanted(false),
                        life.modified_at.0,
                        if life.resize_errors.is_empty() { "" } else { " failed" }
                    ));
                    pool.life = life;
                }
                Err(rejection) => said.push(rejection.to_string()),
            }
        }
        assert_eq!(said.join(", "), expected);
    }

    #[test]
    fn a_pool_is_resized_when_it_is_steady() {
        use PoolFact as F;
        check(
            &[resized(5), F::SizeReached, F::SizeReached, resized(5), resized(6), F::SizeReached],
            "pool `p` is being resized, Active/Steady 2+1 @0, Active/Steady 2+1 @0, \
             Active/Resizing 5+0 @4, pool `p` is being resized, Active/Steady 5+0 @4",
        );
        check(
            &[failed(), failed(), resized(1), F::SizeReached],
            "Active/Steady 2+1 @0 failed, Active/Steady 2+1 @0 failed, Active/Resizing 1+0 @3, \
             Active/Steady 1+0 @3",
        );
    }

    #[test]
    fn a_pool_that_goes_wants_no_nodes() {
        use PoolFact as F;
        check(
            &[F::Deleted, F::Deleted, resized(1), F::SizeReached, failed()],
            "Deleting/Resizing 0+0 @1, pool `p` is being deleted, pool `p` is being deleted, \
             Deleting/Resizing 0+0 @1, Deleting/Resizing 0+0 @1",
        );
        check(&[F::SizeReached, F::Deleted], "Active/Steady 2+1 @0, Deleting/Resizing 0+0 @2");
    }

    #[test]
    fn the_times_of_a_resize() {
        let mut pool = pool();
        pool.life = step(&pool, PoolFact::SizeReached, Timestamp(1)).expect("resizing");
        assert_eq!((pool.life.state_at, pool.life.allocation_at), (Timestamp(0), Timestamp(1)));
        let kept = step(&pool, resized(1), Timestamp(2)).expect("steady");
        assert_eq!(kept.resize_timeout, Span::minutes(15));
        let targets = Targets { dedicated: 1, low_priority: 1 };
        let timeout = Some(Span::minutes(30));
        let fact = PoolFact::Resized { targets, timeout };
        let changed = step(&pool, fact, Timestamp(2)).expect("steady");
        assert_eq!(changed.resize_timeout, Span::minutes(30));
        assert_eq!(changed.allocation_at, Timestamp(2));
    }

    #[test]
    fn what_may_be_added() {
        let said = |spec: PoolSpec| match admit(&spec) {
            Ok(()) => "yes".to_owned(),
            Err(rejection) => rejection.to_string(),
        };
        assert_eq!(said(spec()), "yes");
        for slots in [0, 257] {
            let refused = said(PoolSpec { task_slots_per_node: slots, ..spec() });
            assert!(refused.contains("taskSlotsPerNode"), "{refused}");
        }
        assert_eq!(said(PoolSpec { task_slots_per_node: 256, ..spec() }), "yes");
        assert!(said(PoolSpec { id: "a b".to_owned(), ..spec() }).contains("id"));
        assert!(check_timeout(Span::minutes(4)).is_err());
        assert!(check_timeout(Span::minutes(5)).is_ok());
    }
}
