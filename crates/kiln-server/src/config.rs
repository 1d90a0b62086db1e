//! All settings of the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::intercept::Surroundings;

/// Settings of the server. Where each comes from (flag, variable, file) is the caller's matter.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of all state; owned by this Kiln alone.
    pub data: PathBuf,
    /// Address of the Batch endpoint; port 0 takes a free one.
    pub batch_listen: SocketAddr,
    /// Address of the Blob endpoint; port 0 takes a free one.
    pub blob_listen: SocketAddr,
    /// The `kiln` program, which is also the agent's.
    pub program: PathBuf,
    /// How nodes are kept apart from the machine: `auto`, `namespaces` or `plain`.
    pub isolation: String,
    /// What the environment of the server says about certificates and proxies.
    pub surroundings: Surroundings,
    /// Time without a server after which an agent ends its node.
    pub orphan_timeout: Duration,
    /// Time without a word from an agent after which its node is lost.
    pub heartbeat_deadline: Duration,
    /// How pools that size themselves are looked after.
    pub autoscale: AutoScaleConfig,
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

impl Config {
    /// The settings of a Kiln that keeps its state in `data` and runs `program` as its agents.
    pub fn new(data: PathBuf, program: PathBuf) -> Self {
        Self {
            data,
            batch_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8700)),
            blob_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000)),
            program,
            isolation: "auto".to_owned(),
            surroundings: Surroundings::default(),
            orphan_timeout: Duration::from_secs(600),
            heartbeat_deadline: Duration::from_secs(60),
            autoscale: AutoScaleConfig::default(),
        }
    }
}
