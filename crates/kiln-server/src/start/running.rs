//! A server that runs, and its stop.

use std::sync::Arc;
use std::time::Duration;

use kiln_wire::node::ToAgent;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::monitoring::Monitoring;
use crate::clock;
use crate::intercept::Published;
use crate::server::Server;

/// Time that nodes get to end when the server takes them along.
const NODES_END_WITHIN: Duration = Duration::from_secs(10);

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    pub(super) server: Arc<Server>,
    pub(super) blob_url: String,
    pub(super) published: Published,
    pub(super) monitoring: Monitoring,
    pub(super) batch_accounts: Vec<String>,
    pub(super) storage_accounts: Vec<String>,
    pub(super) stop: CancellationToken,
    pub(super) listeners: JoinSet<()>,
    pub(super) loops: JoinSet<()>,
}

impl Running {
    /// Where the Batch endpoint is, without a slash at the end.
    pub fn batch_url(&self) -> &str {
        &self.server.batch_url
    }

    /// Where the Blob endpoint is, without a slash at the end.
    pub fn blob_url(&self) -> &str {
        &self.blob_url
    }

    /// Where the endpoint for operators is, without a slash at the end.
    pub fn monitor_url(&self) -> &str {
        &self.monitoring.url
    }

    /// Where the interception is found.
    pub fn interception(&self) -> &Published {
        &self.published
    }

    /// Names of the Batch accounts at the start.
    pub fn batch_accounts(&self) -> &[String] {
        &self.batch_accounts
    }

    /// Names of the storage accounts at the start.
    pub fn storage_accounts(&self) -> &[String] {
        &self.storage_accounts
    }

    /// Answers the requests in work and stops. Nodes go on: they wait for the next server,
    /// for a while.
    pub async fn stop(mut self) {
        self.monitoring.monitor.set_stopping();
        self.stop.cancel();
        while self.listeners.join_next().await.is_some() {}
        if self.server.provisioner.has_agents() {
            let minutes = self.server.config.orphan_timeout.as_secs() / 60;
            info!(
                "nodes and their tasks go on: they wait {minutes} minutes for the next server on \
                 this data directory, then end by themselves"
            );
        }
    }

    /// Stops, and ends all nodes first: nothing will come back for them.
    pub async fn stop_and_end_nodes(mut self) {
        // Nothing may start a node again that is told to leave.
        self.loops.shutdown().await;
        for node_id in self.server.links.nodes() {
            self.server.links.send(&node_id, [ToAgent::Leave]);
        }
        let all_ended = async {
            while self.server.provisioner.has_agents() {
                clock::pause(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(NODES_END_WITHIN, all_ended).await.is_err() {
            info!("some nodes did not end in time");
        }
        self.stop().await;
    }
}
