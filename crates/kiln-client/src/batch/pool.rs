//! Pools.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{
    BatchClient, EnvironmentSetting, ImageReference, Pages, ResourceFile, SupportedImage,
    UserIdentity,
};
use crate::ClientError;

/// A pool to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPool {
    /// Its name in the account.
    pub id: String,
    /// Azure's name of a machine size.
    pub vm_size: String,
    /// What runs on the nodes.
    pub virtual_machine_configuration: VirtualMachineConfiguration,
    /// How many dedicated nodes it should have, unless a formula says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_dedicated_nodes: Option<u32>,
    /// How many Spot nodes it should have beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_low_priority_nodes: Option<u32>,
    /// Whether `auto_scale_formula` says how many nodes it should have.
    pub enable_auto_scale: bool,
    /// Says how many nodes it should have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scale_formula: Option<String>,
    /// Tasks that run at once on a node.
    pub task_slots_per_node: u32,
    /// What each node runs before any task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_task: Option<StartTask>,
}

/// What runs on the nodes of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineConfiguration {
    /// The operating system.
    pub image_reference: ImageReference,
    /// The agent that fits to it.
    #[serde(rename = "nodeAgentSKUId")]
    pub node_agent_sku_id: String,
}

/// What each node of a pool runs before any task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartTask {
    /// The program and its arguments; no shell reads it.
    pub command_line: String,
    /// Files fetched before the command.
    #[serde(default)]
    pub resource_files: Vec<ResourceFile>,
    /// Variables of the command.
    #[serde(default)]
    pub environment_settings: Vec<EnvironmentSetting>,
    /// Who runs the command; a user without rights when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<UserIdentity>,
    /// Whether a node takes tasks only after it succeeded.
    #[serde(default)]
    pub wait_for_success: bool,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub struct Pool {
    /// Its name in the account.
    pub id: String,
    /// `active` or `deleting`.
    pub state: String,
    /// `steady`, `resizing` or `stopping`.
    pub allocation_state: String,
    /// Azure's name of a machine size.
    pub vm_size: String,
    /// Dedicated nodes it has.
    pub current_dedicated_nodes: u32,
    /// Dedicated nodes it should have.
    pub target_dedicated_nodes: u32,
}

impl NewPool {
    /// A pool of `nodes` small nodes with the operating system `image`.
    pub fn new(id: impl Into<String>, image: &SupportedImage, nodes: u32) -> Self {
        Self {
            id: id.into(),
            vm_size: "STANDARD_A1".to_owned(),
            virtual_machine_configuration: VirtualMachineConfiguration {
                image_reference: image.image_reference.clone(),
                node_agent_sku_id: image.node_agent_sku_id.clone(),
            },
            target_dedicated_nodes: Some(nodes),
            target_low_priority_nodes: None,
            enable_auto_scale: false,
            auto_scale_formula: None,
            task_slots_per_node: 1,
            start_task: None,
        }
    }

    /// The same with Spot nodes beside the others.
    #[must_use]
    pub fn with_spot_nodes(self, nodes: u32) -> Self {
        Self { target_low_priority_nodes: Some(nodes), ..self }
    }

    /// The same with a formula that says how many nodes it should have.
    #[must_use]
    pub fn sized_by(self, formula: impl Into<String>) -> Self {
        Self {
            target_dedicated_nodes: None,
            enable_auto_scale: true,
            auto_scale_formula: Some(formula.into()),
            ..self
        }
    }
}

impl BatchClient {
    /// Makes a pool; its nodes come by and by.
    ///
    /// # Errors
    /// When the service refuses (`PoolExists`) or can not be reached.
    pub async fn add_pool(&self, pool: &NewPool) -> Result<(), ClientError> {
        self.post(&["pools"], pool).await.map(drop)
    }

    /// One pool.
    ///
    /// # Errors
    /// When the service refuses (`PoolNotFound`) or can not be reached.
    pub async fn pool(&self, id: &str) -> Result<Pool, ClientError> {
        self.get(&["pools", id]).await
    }

    /// All pools of the account.
    pub fn pools(&self) -> Pages<Pool> {
        self.pages(&["pools"])
    }

    /// Lets a pool have `nodes` dedicated nodes.
    ///
    /// # Errors
    /// When the service refuses or can not be reached.
    pub async fn resize_pool(&self, id: &str, nodes: u32) -> Result<(), ClientError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Resize {
            target_dedicated_nodes: u32,
        }
        let body = Resize { target_dedicated_nodes: nodes };
        self.post(&["pools", id, "resize"], &body).await.map(drop)
    }

    /// Begins to remove a pool and its nodes.
    ///
    /// # Errors
    /// When the service refuses (`PoolNotFound`) or can not be reached.
    pub async fn delete_pool(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&["pools", id]).await
    }

    /// Whether a pool of this name exists.
    ///
    /// # Errors
    /// When the service refuses or can not be reached.
    pub async fn has_pool(&self, id: &str) -> Result<bool, ClientError> {
        match self.transport.send(Self::call(Method::HEAD, &["pools", id])).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
