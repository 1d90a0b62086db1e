//! The endpoint for operators, which is there before the rest and after it.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{StartError, listen};
use crate::config::Config;
use crate::monitor::{Metrics, Monitor};

/// The endpoint for operators; it is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Monitoring {
    pub(super) monitor: Monitor,
    pub(super) url: String,
    _serving: JoinSet<()>,
}

impl Monitoring {
    /// Opens it.
    pub(super) async fn start(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, StartError> {
        let listener = listen("monitor", config.monitor_listen).await?;
        let url = format!("http://{}", listener.address());
        let monitor = Monitor::new(Arc::clone(metrics));
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(monitor.handler(), CancellationToken::new()));
        Ok(Self { monitor, url, _serving: serving })
    }
}
