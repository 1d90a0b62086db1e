//! What the parts of the server share.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_domain::batch::command::EnvironmentSetting;
use kiln_files::KeptFiles;
use kiln_provision::Provisioner;
use kiln_store::Store;
use kiln_wire::node::NodeConfig;

use crate::accounts::Accounts;
use crate::blob::BlobService;
use crate::config::Config;
use crate::link::Links;
use crate::linked_storage::BlobLinks;
use crate::monitor::Metrics;
use crate::pool_usage::Measured;
use crate::reconcile::Unheard;
use crate::samples::Samples;
use crate::signals::Signals;

/// What the parts of the server share.
#[derive(Debug)]
pub struct Server {
    /// Settings.
    pub config: Config,
    /// State.
    pub store: Arc<Store>,
    /// Accounts of both kinds.
    pub accounts: Accounts,
    /// What commits wake.
    pub signals: Arc<Signals>,
    /// Links to agents.
    pub links: Links,
    /// Starts and ends agents.
    pub provisioner: Arc<dyn Provisioner>,
    /// Files of tasks whose nodes are gone.
    pub kept_files: KeptFiles,
    /// Agents that are to be heard.
    pub unheard: Unheard,
    /// The socket of the links.
    pub link_socket: PathBuf,
    /// Variables for every process on a node, but for those of its account.
    pub node_environment: Vec<(String, String)>,
    /// What of this machine nodes do not show.
    pub hidden: Vec<PathBuf>,
    /// Where the Batch endpoint is, without a slash at the end.
    pub batch_url: String,
    /// Samples of the pools that size themselves.
    pub samples: Samples,
    /// What nodes measured since it was last kept.
    pub measured: Measured,
    /// The Blob service, for what other parts keep in blobs.
    pub blobs: BlobService,
    /// Makes links to blobs.
    pub blob_links: BlobLinks,
    /// What operators are told.
    pub metrics: Arc<Metrics>,
}

impl Server {
    /// Variables for every process on a node of this account.
    pub fn environment_of(&self, account: &str) -> Vec<EnvironmentSetting> {
        let own = [
            ("AZ_BATCH_ACCOUNT_NAME".to_owned(), account.to_owned()),
            ("AZ_BATCH_ACCOUNT_URL".to_owned(), format!("{}/", self.batch_url)),
        ];
        let settings = self.node_environment.iter().cloned().chain(own);
        settings.map(|(name, value)| EnvironmentSetting { name, value }).collect()
    }

    /// What the agent of a node is told when it starts.
    pub fn node_config(
        &self,
        node: &kiln_domain::batch::node::Node,
        pool: &kiln_domain::batch::pool::Pool,
    ) -> NodeConfig {
        NodeConfig {
            node_id: node.id.clone(),
            pool_id: pool.id.clone(),
            account_name: pool.account.clone(),
            link_secret: node.secret.clone(),
            link_socket: self.link_socket.display().to_string(),
            directory: self.provisioner.directory_of(&node.id).display().to_string(),
            hidden: self.hidden.iter().map(|path| path.display().to_string()).collect(),
            first_uid: first_uid(pool.key, node.life.number),
            isolation: self.config.isolation.clone(),
            ip_address: kiln_wire::batch::node::ip_address(node.life.number),
            orphan_timeout_seconds: self.config.orphan_timeout.as_secs(),
            slot_limits: self.config.slot_limits,
        }
    }
}

/// User ids of this machine that nodes are mapped to start here, 65,536 for each node: far
/// from those that people, containers and subordinate ranges use.
const UIDS_FROM: u32 = 0x7000_0000;
/// Bits of the node's slot in the range; nodes that share one are still apart by namespaces.
const UID_SLOTS: u32 = 0x0800;

fn first_uid(pool_key: i64, number: u32) -> u32 {
    let pool = u32::try_from(pool_key.rem_euclid(i64::from(UID_SLOTS))).unwrap_or(0);
    let slot = pool.wrapping_mul(61).wrapping_add(number) % UID_SLOTS;
    UIDS_FROM + slot * 0x1_0000
}
