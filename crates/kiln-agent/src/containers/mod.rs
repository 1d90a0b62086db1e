//! Containers that commands run in, by podman inside the node.
//!
//! [`engine`] finds a way to run containers on this node, [`images`] brings images once,
//! [`container`] makes, looks at and removes the container of one command; [`mounts`] and
//! [`variables`] are what it sees of the node; [`visitor`] is a shell in it. [`podman`] is the one place that calls the engine.

mod container;
mod engine;
mod images;
mod mounts;
mod podman;
mod variables;
mod visitor;

use std::sync::Arc;

use kiln_domain::batch::command::EnvironmentSetting;
use kiln_domain::batch::container::{ContainerConfiguration, ContainerSettings};
use kiln_domain::batch::task::{FailureCategory, FailureInfo};

pub(crate) use self::container::{Container, Order};
use self::engine::Engine;
pub(crate) use self::engine::RUNTIMES;
use self::images::Images;
pub(crate) use self::mounts::Places;
pub(crate) use self::visitor::{Entry, Visitor};
use crate::node::Node;

/// Runs commands in containers, on a node whose pool wants that.
#[derive(Debug)]
pub(crate) struct Containers {
    engine: Arc<Engine>,
    images: Arc<Images>,
}

impl Containers {
    /// Finds out how the node can run containers, and brings the images of its pool; `settings`
    /// tell of proxies.
    pub(crate) async fn start(
        node: &Arc<Node>,
        configuration: &ContainerConfiguration,
        settings: &[EnvironmentSetting],
    ) -> Result<Self, FailureInfo> {
        let engine = Arc::new(Engine::find(node, settings).await?);
        let images = Images::new(Arc::clone(&engine), &configuration.container_registries);
        for name in &configuration.container_image_names {
            images.bring(name, None).await?;
        }
        Ok(Self { engine, images })
    }

    /// Makes the container that a command wants.
    pub(crate) async fn make(
        &self,
        settings: &ContainerSettings,
        order: Order<'_>,
    ) -> Result<Container, FailureInfo> {
        let image = self.images.bring(&settings.image_name, settings.registry.as_ref()).await?;
        Container::make(&self.engine, &image, settings, order, None).await
    }

    /// Lets a visitor into the container of a command, or, where none runs, into one that is made
    /// like it.
    pub(crate) async fn enter(
        &self,
        settings: &ContainerSettings,
        order: Order<'_>,
        visitor: &Visitor<'_>,
    ) -> Result<Entry, FailureInfo> {
        if let Some(id) = self.engine.running_in(order.directory).await {
            let (argv, environment) = visitor.enter(&self.engine.podman, &id);
            return Ok(Entry { argv, environment, container: None });
        }
        let image = self.images.bring(&settings.image_name, settings.registry.as_ref()).await?;
        let made = Container::make(&self.engine, &image, settings, order, Some(visitor)).await;
        let mut container = made?;
        let (argv, environment) = container.start();
        Ok(Entry { argv, environment, container: Some(container) })
    }
}

/// Why a command that wants a container, or must have one, does not get it.
pub(crate) fn does_not_fit(reason: &str) -> FailureInfo {
    FailureInfo::user_error("ContainerInvalidSettings", "The container settings are invalid")
        .with_detail("Message", reason)
}

/// The engine did not do what it should.
fn engine_failed(detail: &str) -> FailureInfo {
    FailureInfo {
        category: FailureCategory::ServerError,
        ..FailureInfo::user_error("ContainerMiscError", "The container engine failed")
            .with_detail("Message", detail)
    }
}
