//! The one place that calls podman.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::command::EnvironmentSetting;

use crate::node::Node;
use crate::node_init::message::{Rights, SetupKind};
use crate::tool::{self, Ended, Tool, ToolError};

/// Where podman and what it calls lie.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What podman is told on a node that has one user.
const SINGLE_USER: [&str; 2] =
    ["--storage-driver=overlay", "--storage-opt=overlay.ignore_chown_errors=true"];
/// Settings of calls that need no others, in the engine's directory.
pub(super) const SETTINGS_FILE: &str = "containers.conf";
/// Variables of the node that also tell podman how to reach registries.
const OF_NETWORK: [&str; 7] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];

/// Podman on one node, with a store of its own.
#[derive(Debug)]
pub(super) struct Podman {
    node: Arc<Node>,
    /// Variables of each call.
    environment: Vec<String>,
}

impl Podman {
    /// Calls podman on `node`, where `settings` tell of proxies.
    pub(super) fn new(node: &Arc<Node>, settings: &[EnvironmentSetting]) -> Self {
        let place = &node.engine_in_view;
        let mut environment = vec![
            format!("PATH={PATH}"),
            format!("HOME={place}/home"),
            format!("TMPDIR={place}/tmp"),
            format!("XDG_RUNTIME_DIR={place}/run"),
            format!("CONTAINERS_STORAGE_CONF={place}/storage.conf"),
        ];
        // The node's root is not the machine's: podman takes it for a user who has a name space
        // already, and leaves alone what only the machine's root may do.
        environment.extend([
            "_CONTAINERS_USERNS_CONFIGURED=done".to_owned(),
            "_CONTAINERS_ROOTLESS_UID=0".to_owned(),
            "_CONTAINERS_ROOTLESS_GID=0".to_owned(),
        ]);
        let of_network = settings.iter().filter(|it| OF_NETWORK.contains(&it.name.as_str()));
        environment.extend(of_network.map(|it| format!("{}={}", it.name, it.value)));
        Self { node: Arc::clone(node), environment }
    }

    /// The node.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// The words and the variables of a call: for the command that stays with a container.
    pub(super) fn words<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> (Vec<String>, Vec<String>) {
        self.words_with(SETTINGS_FILE, arguments)
    }

    fn words_with<'a>(
        &self,
        settings: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> (Vec<String>, Vec<String>) {
        let place = &self.node.engine_in_view;
        let run = format!("{place}/run");
        let mut argv = vec![
            "podman".to_owned(),
            format!("--root={place}/store"),
            format!("--runroot={run}"),
            format!("--tmpdir={run}/podman"),
        ];
        match self.node.kind {
            // A node with one user can give its images' files to nobody else.
            SetupKind::Rootless => {
                argv.extend(SINGLE_USER.map(str::to_owned));
            }
            SetupKind::Namespaces | SetupKind::Plain => {}
        }
        argv.extend(arguments.into_iter().map(str::to_owned));
        let settings = format!("CONTAINERS_CONF={place}/{settings}");
        (argv, self.environment.iter().cloned().chain([settings]).collect())
    }

    /// Calls podman and learns what it says.
    pub(super) async fn call<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        time_limit: Duration,
    ) -> Result<Ended, ToolError> {
        self.call_with(SETTINGS_FILE, arguments, time_limit).await
    }

    /// [`Podman::call`], with settings from another file in the engine's directory.
    pub(super) async fn call_with<'a>(
        &self,
        settings: &str,
        arguments: impl IntoIterator<Item = &'a str>,
        time_limit: Duration,
    ) -> Result<Ended, ToolError> {
        let (argv, environment) = self.words_with(settings, arguments);
        let tool = Tool { argv, environment, rights: Rights::Engine, time_limit };
        tool::run(&self.node, tool).await
    }
}
