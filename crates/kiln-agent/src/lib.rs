//! One node: prepares, isolates, runs, keeps.
//!
//! The agent ([`run`]) is linked to the server and makes one node on this machine: its
//! directories and, where the kernel allows, a view and name spaces of its own. Commands
//! are started by the node's first process ([`node_init::main`]), a small program on the
//! other end of a socket, because starting a process from a large one is slow.
//!
//! What it decides stands apart from what it does: [`duties`], [`reports`] and [`link`] are also
//! those of the simulator's agents.
//!
//! In reading order: [`agent`] the loop, [`boot`] and [`command`] what is run and how,
//! [`node`] and [`isolate`] where, [`node_init`] the first process.

mod account;
mod agent;
mod boot;
mod certificates;
mod clock;
mod command;
mod containers;
mod disk;
pub mod duties;
mod environment;
mod fetch;
mod init_client;
mod isolate;
mod journal;
pub mod link;
mod logs;
mod measure;
mod mounts;
mod node;
pub mod node_init;
mod packages;
mod past;
mod readiness;
mod removal;
pub mod reports;
mod requests;
mod retention;
mod shell;
mod start_task;
mod streams;
mod tool;
mod transfer;
mod upload;
mod url;
mod users;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::pin::Pin;

use kiln_wire::node::NodeConfig;

pub use isolate::SetupError;
pub use isolate::probe::{Capability, probe};

/// How the agent is run, beside what the server tells it.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The program that becomes the node's first process when it is started with the one
    /// argument `node-init`: it calls [`node_init::main`].
    pub program: PathBuf,
    /// Tells this process of the agent from every other one.
    pub incarnation: String,
}

impl Default for AgentOptions {
    fn default() -> Self {
        let incarnation = format!("{}-{}", std::process::id(), clock::now().0);
        Self { program: PathBuf::from("/proc/self/exe"), incarnation }
    }
}

/// Why the agent ended, other than because it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The node's first process ended by itself.
    #[error("the node's first process ended by itself")]
    NodeEnded,
    /// Signals can not be waited for.
    #[error("failed to wait for signals")]
    Signals(#[source] std::io::Error),
    /// Something of the node still runs.
    #[error("failed to end the node")]
    Leave(#[source] SetupError),
    /// Who comes after can not remove the node's files.
    #[error("failed to open the node's files to their owner")]
    Open(#[source] std::io::Error),
}

/// The life of a node. In a box, so that it is compiled with this crate and not with each that
/// runs it.
pub type Life = Pin<Box<dyn Future<Output = Result<(), AgentError>>>>;

/// Runs a node until the server or a signal ends it; nothing of it runs then, and its files stay.
pub fn run(config: NodeConfig) -> Life {
    run_with(config, AgentOptions::default())
}

/// [`run`], with another program for the node's first process.
pub fn run_with(config: NodeConfig, options: AgentOptions) -> Life {
    Box::pin(async move { agent::Agent::new(config, options).await.run().await })
}

/// What an error and its causes say, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _written = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
