//! Nodes.

use serde::{Deserialize, Serialize};

use super::{BatchClient, Pages};
use crate::ClientError;

/// A node of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// Its name in the pool.
    pub id: String,
    /// `idle`, `running`, `starting`, `waitingforstarttask`, `starttaskfailed`, …
    pub state: String,
    /// Whether it is dedicated, and not a Spot node.
    pub is_dedicated: bool,
    /// Tasks that run on it.
    pub running_tasks_count: u32,
    /// Tasks that completed on it.
    pub total_tasks_run: u32,
    /// Its address.
    pub ip_address: String,
    /// What went wrong with it.
    pub errors: Vec<NodeError>,
}

/// What went wrong with a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeError {
    /// Azure's code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl BatchClient {
    /// One node.
    ///
    /// # Errors
    /// When the service refuses (`NodeNotFound`) or can not be reached.
    pub async fn node(&self, pool_id: &str, id: &str) -> Result<Node, ClientError> {
        self.get(&["pools", pool_id, "nodes", id]).await
    }

    /// Takes the machine of a Spot node away: an operation of Kiln itself.
    ///
    /// # Errors
    /// When the service refuses (`OperationNotValidOnNode`) or can not be reached.
    pub async fn preempt_node(&self, pool_id: &str, id: &str) -> Result<(), ClientError> {
        #[derive(Serialize)]
        struct Nothing {}
        let segments = ["kiln", "pools", pool_id, "nodes", id, "preempt"];
        self.post(&segments, &Nothing {}).await.map(drop)
    }

    /// All nodes of a pool.
    pub fn nodes(&self, pool_id: &str) -> Pages<Node> {
        self.pages(&["pools", pool_id, "nodes"])
    }
}
