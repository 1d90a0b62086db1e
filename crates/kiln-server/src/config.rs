//! All settings of the server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use kiln_extents::ObjectPlace;
pub use kiln_store::Durability;
pub use kiln_wire::auth::role::Role;
pub use kiln_wire::node::SlotLimits;
use serde::Deserialize;

use crate::intercept::Surroundings;

/// Time without a word from an agent after which its node is lost, unless another is set.
pub const NODE_LOST_AFTER: Duration = Duration::from_secs(60);
/// Time that an agent has to make itself known after its start, unless another is set.
pub const AGENT_HEARD_WITHIN: Duration = Duration::from_secs(120);
/// Time after which what pools use is counted and kept again, unless another is set. A server that
/// is killed loses so much of it at the most.
const USAGE_COUNTED_EACH: Duration = Duration::from_secs(30);
/// Processes and threads of a task for each of its slots, unless another limit is set: enough for
/// any program, and few enough that one which starts itself again and again stays among itself.
pub const SLOT_PROCESSES_MAX: u32 = 4096;
/// Where clients are sent that come to the Blob endpoint without a token, unless it is set.
pub const TOKEN_AUTHORITY: &str = "https://login.microsoftonline.com/common";

/// Bytes of a gibibyte.
const GIB: u64 = 1 << 30;

/// Settings of the server. Where each comes from (flag, variable, file) is the caller's matter.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of all state; owned by this Kiln alone.
    pub data: PathBuf,
    /// Where the bytes of blobs are; `None` for files in the data directory.
    pub extents: Option<ObjectPlace>,
    /// Address of the Batch endpoint; port 0 takes a free one.
    pub batch_listen: SocketAddr,
    /// Address of the Blob endpoint; port 0 takes a free one.
    pub blob_listen: SocketAddr,
    /// Address of the endpoint for operators; port 0 takes a free one.
    pub monitor_listen: SocketAddr,
    /// What a commit that was answered has survived.
    pub durability: Durability,
    /// The `kiln` program, which is also the agent's.
    pub program: PathBuf,
    /// What a task may take of the machine for each of its slots.
    pub slot_limits: SlotLimits,
    /// How nodes are kept apart from the machine: `auto`, `namespaces` or `plain`.
    pub isolation: String,
    /// What the environment of the server says about certificates and proxies.
    pub surroundings: Surroundings,
    /// Time without a server after which an agent ends its node.
    pub orphan_timeout: Duration,
    /// Time without a word from an agent after which its node is lost.
    pub heartbeat_deadline: Duration,
    /// Time that an agent has to make itself known after it was started.
    pub hello_deadline: Duration,
    /// How much is kept of tasks whose nodes are gone.
    pub kept_files: KeptFilesConfig,
    /// What each Batch account may have.
    pub quotas: Quotas,
    /// What becomes of Spot nodes.
    pub spot: Spot,
    /// How pools that size themselves are looked after.
    pub autoscale: AutoScaleConfig,
    /// How often what pools use is counted and kept.
    pub usage_period: Duration,
    /// Hosts that blobs may be copied from though their addresses are not public.
    pub copy_hosts: Vec<String>,
    /// Whose bearer tokens open the Blob endpoint; none do when absent.
    pub tokens: Option<TokenConfig>,
}

/// Whose bearer tokens open the Blob endpoint, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Who makes them, as their `iss` says: one of these.
    pub issuers: Vec<String>,
    /// Whom they are for, as their `aud` says, besides what Azure's storage is called.
    pub audiences: Vec<String>,
    /// What the issuers sign with.
    pub keys: TokenKeys,
    /// Where clients are sent that come without a token.
    pub authority: String,
    /// Roles by the `oid` of a token, or by what stands in its `roles`.
    pub roles: BTreeMap<String, Role>,
    /// The role of everybody else with a token.
    pub default_role: Option<Role>,
    /// Whether they are also taken without TLS: for a server behind a proxy that ends it.
    pub allows_http: bool,
}

/// What issuers of tokens sign with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKeys {
    /// Public keys: a file with a JSON web key set.
    File(PathBuf),
    /// Public keys: where the issuer publishes its JSON web key set.
    Url(String),
    /// A secret that is shared with the issuer: a file, of which the last line end does not count.
    SecretFile(PathBuf),
}

/// How much is kept of tasks whose nodes are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptFilesConfig {
    /// Bytes of all tasks; nothing is kept where it is 0.
    pub bytes_max: u64,
    /// Bytes of one task.
    pub task_bytes_max: u64,
}

impl Default for KeptFilesConfig {
    fn default() -> Self {
        Self { bytes_max: 10 * GIB, task_bytes_max: GIB }
    }
}

/// How pools that size themselves are looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoScaleConfig {
    /// Formulas are evaluated at least so often, whatever longer interval their pools have;
    /// `None` leaves it to the pools, as Azure does.
    pub interval: Option<Duration>,
    /// Time from one sample of a pool to the next.
    pub sample_period: Duration,
    /// Whether formulas are also evaluated soon after tasks came or ended.
    pub is_prompt: bool,
}

impl Default for AutoScaleConfig {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(30)),
            sample_period: Duration::from_secs(30),
            is_prompt: false,
        }
    }
}

/// What each Batch account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Quotas {
    /// Pools.
    pub pools: u64,
    /// Cores of dedicated nodes, counted by the names of their sizes.
    pub dedicated_cores: u64,
    /// Cores of Spot nodes.
    pub low_priority_cores: u64,
    /// Jobs and job schedules that have not completed.
    pub active_jobs_and_schedules: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            pools: 1000,
            dedicated_cores: 100_000,
            low_priority_cores: 100_000,
            active_jobs_and_schedules: 100_000,
        }
    }
}

/// What becomes of Spot nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// How often a node is taken away by itself, on average in an hour; 0 for never.
    pub preemptions_per_hour: f64,
    /// Time after which there is a machine again for a node that was taken away.
    pub returns_after: Duration,
}

impl Default for Spot {
    fn default() -> Self {
        Self { preemptions_per_hour: 0.0, returns_after: Duration::from_secs(10) }
    }
}

impl Config {
    /// The settings of a Kiln that keeps its state in `data` and runs `program` as its agents.
    pub fn new(data: PathBuf, program: PathBuf) -> Self {
        Self {
            data,
            extents: None,
            batch_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8700)),
            blob_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000)),
            monitor_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            durability: Durability::Full,
            program,
            slot_limits: SlotLimits {
                processes: Some(SLOT_PROCESSES_MAX),
                ..SlotLimits::default()
            },
            isolation: "auto".to_owned(),
            surroundings: Surroundings::default(),
            orphan_timeout: Duration::from_secs(600),
            heartbeat_deadline: NODE_LOST_AFTER,
            autoscale: AutoScaleConfig::default(),
            usage_period: USAGE_COUNTED_EACH,
            hello_deadline: AGENT_HEARD_WITHIN,
            kept_files: KeptFilesConfig::default(),
            quotas: Quotas::default(),
            spot: Spot::default(),
            tokens: None,
            copy_hosts: Vec::new(),
        }
    }
}
