//! Pool and its two states; resize, its stop, change, delete.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::application::PackageReference;
use super::certificate::CertificateReference;
use super::command::{StartTaskSpec, check_resource_files};
use super::container::{self, ContainerConfiguration, VirtualMachineSpec};
use super::mount::{self, MountConfiguration};
use super::node::Treatment;
use super::scaling::Scaling;
use super::task::NameValue;
use super::user::{UserAccount, check_accounts, check_identity};
use super::vm_size;
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
    /// Whether a formula sizes it.
    #[serde(default)]
    pub enable_auto_scale: bool,
    /// Azure's name of a machine size.
    #[serde(default)]
    pub vm_size: String,
    /// Whether its nodes communicate with each other.
    #[serde(default)]
    pub enable_inter_node_communication: bool,
    /// Packages that all commands find on its nodes.
    #[serde(default)]
    pub application_package_references: Vec<PackageReference>,
    /// Certificates that go to its nodes.
    #[serde(default)]
    pub certificate_references: Vec<CertificateReference>,
    /// Runs on each node before its tasks.
    pub start_task: Option<StartTaskSpec>,
    /// Users that each node has.
    #[serde(default)]
    pub user_accounts: Vec<UserAccount>,
    /// The machines that it asks for.
    pub virtual_machine_configuration: Option<VirtualMachineSpec>,
    /// File systems that its nodes mount.
    #[serde(default)]
    pub mount_configuration: Vec<MountConfiguration>,
}

impl PoolSpec {
    /// Cores of a node. A machine whose size says nothing of its cores counts for one.
    pub fn cores_per_node(&self) -> u32 {
        vm_size::cores(&self.vm_size).unwrap_or(1)
    }

    /// How its nodes run containers, if they do.
    pub fn containers(&self) -> Option<&ContainerConfiguration> {
        self.virtual_machine_configuration.as_ref()?.container_configuration.as_ref()
    }

    /// Whether its nodes take tasks whose instances must find each other.
    pub fn takes_gangs(&self) -> bool {
        self.enable_inter_node_communication && self.task_slots_per_node == 1
    }
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
    /// What becomes of the tasks on nodes that this resize takes away.
    pub treatment: Treatment,
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

impl ResizeError {
    /// An error with nothing more about it.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), values: Vec::new() }
    }
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
        /// What becomes of the tasks on nodes that it takes away.
        treatment: Treatment,
    },
    /// Its formula says how large it wants to be.
    Scaled(Wish),
    /// A client wants no more of the resize under way.
    ResizeStopped,
    /// It has as many nodes as it is to have.
    SizeReached,
    /// The resize ended without reaching its targets.
    ResizeFailed(Vec<ResizeError>),
    /// A client changed its specification.
    Updated,
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
            treatment: Treatment::Requeue,
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

    /// When the resize under way is given up; `None` when there is none.
    pub fn resize_deadline(&self) -> Option<Timestamp> {
        match (self.state, self.allocation) {
            (PoolState::Active, AllocationState::Resizing) => {
                Some(self.allocation_at.plus(self.resize_timeout))
            }
            (PoolState::Active, AllocationState::Steady | AllocationState::Stopping)
            | (PoolState::Deleting, _) => None,
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
    check_slots(spec)?;
    check_accounts(&spec.user_accounts)?;
    if let Some(start_task) = &spec.start_task {
        check_resource_files("startTask.resourceFiles", &start_task.resource_files)?;
        check_identity("startTask.userIdentity", start_task.user_identity.as_ref())?;
    }
    container::admit_pool(spec)?;
    mount::admit(&spec.mount_configuration)?;
    check_timeout(spec.resize_timeout)
}

fn check_slots(spec: &PoolSpec) -> Result<(), Rejection> {
    let by_cores = vm_size::cores(&spec.vm_size)
        .map_or(i64::MAX, |cores| i64::from(cores).saturating_mul(limits::TASK_SLOTS_PER_CORE_MAX));
    let slots_max = limits::TASK_SLOTS_PER_NODE_MAX.min(by_cores);
    if (1..=slots_max).contains(&i64::from(spec.task_slots_per_node)) {
        return Ok(());
    }
    let reason = format!("A node of this size has at least 1 and at most {slots_max} task slots");
    Err(Rejection::property("taskSlotsPerNode", spec.task_slots_per_node, reason))
}

/// Whether an account that has so many pools may have another.
///
/// # Errors
/// When it has all that it may have.
pub fn admit_one_more(present: u64, limit: u64) -> Result<(), Rejection> {
    if present < limit { Ok(()) } else { Err(Rejection::PoolQuotaReached { limit }) }
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

/// Members that only a pool without nodes may change: its nodes were made by them.
const MEMBERS_OF_EMPTY_POOLS: [&str; 9] = [
    "vmSize",
    "enableInterNodeCommunication",
    "virtualMachineConfiguration",
    "taskSlotsPerNode",
    "taskSchedulingPolicy",
    "networkConfiguration",
    "userAccounts",
    "mountConfiguration",
    "upgradePolicy",
];

/// Whether the specification of a pool that has nodes may change so.
///
/// # Errors
/// When a member is another one that made its nodes.
pub fn check_change(pool: &Pool, before: &Value, after: &Value) -> Result<(), Rejection> {
    if MEMBERS_OF_EMPTY_POOLS.iter().any(|name| before.get(name) != after.get(name)) {
        return Err(Rejection::PoolNotEmpty { pool: pool.id.clone() });
    }
    Ok(())
}

/// What becomes of a pool when `fact` happens; the only place that writes its states.
///
/// # Errors
/// When the pool does not allow it where it stands; nothing changes then.
pub fn step(pool: &Pool, fact: PoolFact, now: Timestamp) -> Result<PoolLife, Rejection> {
    use {AllocationState as A, PoolFact as F, PoolState as S};
    let life = pool.life.clone();
    match (life.state, life.allocation, fact) {
        (S::Active, A::Steady, F::Resized { targets, timeout, treatment }) => Ok(PoolLife {
            targets,
            resize_timeout: timeout.unwrap_or(life.resize_timeout),
            treatment,
            resize_errors: Vec::new(),
            modified_at: now,
            ..life.allocating(A::Resizing, now)
        }),
        (S::Active, A::Resizing | A::Stopping, F::Resized { .. })
        | (S::Active, A::Stopping, F::Scaled(_)) => {
            Err(Rejection::PoolBeingResized { pool: pool.id.clone() })
        }
        // A formula may change its mind while the pool is on its way, and tries again what a
        // resize missed. No client changed the pool, so its tag stays.
        (S::Active, A::Steady | A::Resizing, F::Scaled(wish))
            if wish.targets != life.targets || !life.resize_errors.is_empty() =>
        {
            Ok(PoolLife {
                targets: wish.targets,
                treatment: wish.treatment,
                resize_errors: Vec::new(),
                ..life.allocating(A::Resizing, now)
            })
        }
        (S::Active, A::Steady | A::Resizing, F::Scaled(_)) => Ok(life),
        // Its tag stays: what it should be has not changed.
        (S::Active, A::Resizing, F::ResizeStopped) => Ok(life.allocating(A::Stopping, now)),
        (S::Active, A::Resizing | A::Stopping, F::SizeReached) => {
            Ok(life.allocating(A::Steady, now))
        }
        (S::Active, A::Resizing | A::Stopping, F::ResizeFailed(resize_errors)) => {
            Ok(PoolLife { resize_errors, ..life.allocating(A::Steady, now) })
        }
        // What takes minutes in the service may be over here before the client says stop.
        (S::Active, A::Steady | A::Stopping, F::ResizeStopped)
        | (S::Active, A::Steady, F::SizeReached | F::ResizeFailed(_))
        | (
            S::Deleting,
            A::Steady | A::Resizing | A::Stopping,
            F::SizeReached | F::ResizeFailed(_),
        ) => Ok(life),
        (S::Active, A::Steady | A::Resizing | A::Stopping, F::Updated) => {
            Ok(PoolLife { modified_at: now, ..life })
        }
        (S::Active, A::Steady | A::Resizing | A::Stopping, F::Deleted) => Ok(PoolLife {
            state: S::Deleting,
            state_at: now,
            modified_at: now,
            treatment: Treatment::Requeue,
            resize_errors: Vec::new(),
            ..life.allocating(A::Resizing, now)
        }),
        (
            S::Deleting,
            A::Steady | A::Resizing | A::Stopping,
            F::Resized { .. } | F::Scaled(_) | F::ResizeStopped | F::Updated | F::Deleted,
        ) => Err(Rejection::PoolBeingDeleted { pool: pool.id.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        AllocationState, Pool, PoolFact, PoolLife, PoolSpec, PoolState, ResizeError, Targets,
        admit, check_change, check_timeout, step,
    };
    use serde_json::json;

    use crate::autoscale::Wish;
    use crate::batch::node::Treatment;
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
            enable_auto_scale: false,
            vm_size: "standard_d64s_v3".to_owned(),
            enable_inter_node_communication: false,
            certificate_references: Vec::new(),
            application_package_references: Vec::new(),
            start_task: None,
            user_accounts: Vec::new(),
            virtual_machine_configuration: None,
            mount_configuration: Vec::new(),
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
        PoolFact::Resized { targets, timeout: None, treatment: Treatment::TaskCompletion }
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
    fn a_stopped_resize_keeps_its_targets_and_its_tag() {
        use PoolFact as F;
        check(
            &[F::ResizeStopped, resized(9), F::ResizeStopped, F::SizeReached, F::ResizeStopped],
            "Active/Stopping 2+1 @0, pool `p` is being resized, Active/Stopping 2+1 @0, \
             Active/Steady 2+1 @0, Active/Steady 2+1 @0",
        );
        check(
            &[F::Deleted, F::ResizeStopped],
            "Deleting/Resizing 0+0 @1, pool `p` is being deleted",
        );
    }

    #[test]
    fn a_change_moves_the_tag_alone() {
        use PoolFact as F;
        check(
            &[F::Updated, F::SizeReached, F::Updated],
            "Active/Resizing 2+1 @1, Active/Steady 2+1 @1, Active/Steady 2+1 @3",
        );
        check(&[F::Deleted, F::Updated], "Deleting/Resizing 0+0 @1, pool `p` is being deleted");
    }

    #[test]
    fn a_resize_is_given_up_after_its_time() {
        let mut pool = pool();
        let quarter = Timestamp(0).plus(Span::minutes(15));
        assert_eq!(pool.life.resize_deadline(), Some(quarter));
        pool.life = step(&pool, PoolFact::SizeReached, Timestamp(1)).expect("resizing");
        assert_eq!(pool.life.resize_deadline(), None);
        pool.life = step(&pool, resized(3), Timestamp(2)).expect("steady");
        assert_eq!(pool.life.treatment, Treatment::TaskCompletion);
        pool.life = step(&pool, PoolFact::ResizeStopped, Timestamp(3)).expect("resizing");
        assert_eq!(pool.life.resize_deadline(), None);
    }

    /// What holds after every fact, however the pool came there.
    #[track_caller]
    fn check_sound(before: &PoolLife, fact: &PoolFact, after: &PoolLife) {
        let seen = format!("{fact:?}: {before:#?} to {after:#?}");
        let allocation_moved = after.allocation != before.allocation;
        let state_moved = after.state != before.state;
        assert!(!allocation_moved || after.allocation_at != before.allocation_at, "{seen}");
        assert_eq!(state_moved, after.state_at != before.state_at, "{seen}");
        assert!(before.state == PoolState::Active || after == before, "{seen}");
        let is_clients =
            matches!(fact, PoolFact::Resized { .. } | PoolFact::Updated | PoolFact::Deleted);
        assert_eq!(is_clients, after.modified_at != before.modified_at, "{seen}");
        let is_steady = after.allocation == AllocationState::Steady;
        assert!(is_steady || after.resize_errors.is_empty(), "{seen}");
        assert_eq!(
            is_steady,
            after.resize_deadline().is_none()
                && after.allocation != AllocationState::Stopping
                && after.state == PoolState::Active,
            "{seen}"
        );
    }

    #[test]
    fn every_walk_of_a_pool_is_sound() {
        use PoolFact as F;
        let targets = Targets { dedicated: 1, low_priority: 0 };
        let facts = [
            resized(1),
            F::Scaled(Wish { targets, treatment: Treatment::Terminate }),
            F::ResizeStopped,
            F::SizeReached,
            failed(),
            F::Updated,
            F::Deleted,
        ];
        let mut walked = vec![(pool(), 0)];
        let mut second = 0;
        while let Some((pool, depth)) = walked.pop() {
            for fact in &facts {
                second += 1;
                let Ok(life) = step(&pool, fact.clone(), Timestamp(second)) else { continue };
                check_sound(&pool.life, fact, &life);
                if depth < 5 {
                    walked.push((Pool { life, ..pool.clone() }, depth + 1));
                }
            }
        }
    }

    #[test]
    fn a_pool_with_nodes_keeps_what_made_them() {
        let before = json!({ "vmSize": "a", "metadata": [], "displayName": "x" });
        let fits = |after| check_change(&pool(), &before, &after).is_ok();
        assert!(fits(json!({ "vmSize": "a", "metadata": [{}], "displayName": "y" })));
        assert!(!fits(json!({ "vmSize": "b", "metadata": [], "displayName": "x" })));
        assert!(!fits(json!({ "vmSize": "a", "taskSlotsPerNode": 2 })));
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
        let fact = PoolFact::Resized { targets, timeout, treatment: Treatment::Requeue };
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
        let small = PoolSpec { vm_size: "STANDARD_A1".to_owned(), ..spec() };
        assert_eq!(said(PoolSpec { task_slots_per_node: 4, ..small.clone() }), "yes");
        assert!(said(PoolSpec { task_slots_per_node: 5, ..small }).contains("at most 4"));
        let strange = PoolSpec { vm_size: "mine".to_owned(), ..spec() };
        assert_eq!(said(PoolSpec { task_slots_per_node: 256, ..strange }), "yes");
        assert!(said(PoolSpec { id: "a b".to_owned(), ..spec() }).contains("id"));
        assert!(check_timeout(Span::minutes(4)).is_err());
        assert!(check_timeout(Span::minutes(5)).is_ok());
    }
}
