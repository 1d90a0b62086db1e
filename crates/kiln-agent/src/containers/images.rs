//! Brings images to the node, each of them once, however many commands wait for it.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_domain::batch::container::{ContainerRegistry, Image};
use kiln_domain::batch::task::FailureInfo;
use serde_json::json;

use super::engine::{self, Engine};

/// Time for bringing an image, in seconds.
const PULL_SECONDS_MAX: u64 = 60 * 60;
/// Time for looking whether an image is there, in seconds.
const LOOK_SECONDS_MAX: u64 = 60;
/// Tries for one image.
const TRIES_MAX: u32 = 3;

/// The images of a node.
#[derive(Debug)]
pub(super) struct Images {
    engine: Arc<Engine>,
    /// What the pool tells of registries.
    registries: Vec<ContainerRegistry>,
    /// Names the files of credentials.
    n_pulls: AtomicU64,
    /// Who works on an image; whoever else wants it waits.
    turns: Mutex<HashMap<Image, Arc<tokio::sync::Mutex<Known>>>>,
}

/// What is known of an image on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is there.
    There,
}

impl Images {
    /// The images of the node of `engine`.
    pub(super) fn new(engine: Arc<Engine>, registries: &[ContainerRegistry]) -> Arc<Self> {
        let (registries, n_pulls) = (registries.to_vec(), AtomicU64::new(0));
        Arc::new(Self { engine, registries, n_pulls, turns: Mutex::default() })
    }

    /// Brings the image that people call `name`, from `registry` if they say so.
    pub(super) async fn bring(
        self: &Arc<Self>,
        name: &str,
        registry: Option<&ContainerRegistry>,
    ) -> Result<Image, FailureInfo> {
        let image = Image::parse(name).map_err(|fault| invalid(name, &fault.to_string()))?;
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(image.clone()).or_default())
        };
        let mut known = turn.lock_owned().await;
        if *known == Known::There {
            return Ok(image);
        }
        let registry = self.registry_of(&image, registry).cloned();
        let images = Arc::clone(self);
        // Beside the command that asks first, whose end may be asked for: others wait for it too.
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.engine.beside(async move {
            let fetched = match images.is_there(&image).await {
                true => Ok(()),
                false => images.pull(&image, registry.as_ref()).await,
            };
            if fetched.is_ok() {
                *known = Known::There;
            }
            // Whoever asked may be gone.
            let _gone = answer.send(fetched.map(|()| image));
        });
        answered.await.unwrap_or_else(|broken| Err(super::engine_failed(&broken.to_string())))
    }

    /// An earlier boot may have brought it.
    async fn is_there(&self, image: &Image) -> bool {
        let name = image.to_string();
        let time = Duration::from_secs(LOOK_SECONDS_MAX);
        let ended = self.engine.podman.call(["image", "exists", &name], time).await;
        engine::said(ended).is_ok()
    }

    /// Who asks the registry of an image: as the command says, else as the pool says.
    fn registry_of<'a>(
        &'a self,
        image: &Image,
        registry: Option<&'a ContainerRegistry>,
    ) -> Option<&'a ContainerRegistry> {
        let is_its = |it: &&ContainerRegistry| it.host() == image.registry;
        registry.filter(is_its).or_else(|| self.registries.iter().find(is_its))
    }

    async fn pull(
        &self,
        image: &Image,
        registry: Option<&ContainerRegistry>,
    ) -> Result<(), FailureInfo> {
        let credentials = registry.and_then(ContainerRegistry::credentials);
        let file = format!("credentials-{}", self.n_pulls.fetch_add(1, Ordering::Relaxed));
        self.write_credentials(&file, &image.registry, credentials)
            .map_err(|error| super::engine_failed(&error.to_string()))?;
        let pulled = self.pull_with(image, &file).await;
        if let Err(error) = self.remove_credentials(&file) {
            tracing::warn!(%error, "credentials of a registry stay until the node ends");
        }
        pulled.map_err(|detail| invalid(&image.to_string(), &detail))
    }

    async fn pull_with(&self, image: &Image, file: &str) -> Result<(), String> {
        let name = image.to_string();
        let place = &self.engine.podman.node().engine_in_view;
        let credentials = format!("--authfile={place}/asked/{file}");
        // As Docker does: who listens on the machine itself hears everything anyway.
        let verify = format!("--tls-verify={}", !image.is_local());
        let words = ["pull", "--quiet", &credentials, &verify, &name];
        let mut n_tries = 0;
        loop {
            n_tries += 1;
            let time = Duration::from_secs(PULL_SECONDS_MAX);
            match engine::said(self.engine.podman.call(words, time).await) {
                Ok(_) => return Ok(()),
                Err(detail) if n_tries == TRIES_MAX || is_lasting(&detail) => return Err(detail),
                Err(detail) => tracing::info!(image = name, detail, "an image is asked for again"),
            }
        }
    }

    /// Only the engine reads them, so they appear in no list of processes.
    fn write_credentials(
        &self,
        file: &str,
        registry: &str,
        credentials: Option<(&str, &str)>,
    ) -> io::Result<()> {
        let entry = |(user, password)| {
            let auth = STANDARD.encode(format!("{user}:{password}"));
            json!({ registry: { "auth": auth } })
        };
        let text = json!({ "auths": credentials.map_or_else(|| json!({}), entry) }).to_string();
        let node = self.engine.podman.node();
        let owner = node.accounts.root().owner;
        engine::asked(node)?.create(file, owner, 0o600)?.write_all(text.as_bytes())
    }

    fn remove_credentials(&self, file: &str) -> io::Result<()> {
        engine::asked(self.engine.podman.node())?.remove_file(file)
    }
}

/// Whether a registry that said so will say so again.
fn is_lasting(detail: &str) -> bool {
    const WORDS: [&str; 5] =
        ["unauthorized", "denied", "manifest unknown", "not found", "authentication required"];
    let lower = detail.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

/// An image can not be had.
fn invalid(name: &str, detail: &str) -> FailureInfo {
    let message = "The specified container image can not be found or used";
    FailureInfo::user_error("ContainerInvalidImage", message)
        .with_detail("Image", name)
        .with_detail("Message", detail)
}
