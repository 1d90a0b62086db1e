//! Operating systems for pools.

use serde::{Deserialize, Serialize};

use super::{BatchClient, Pages};

/// An operating system in the marketplace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageReference {
    /// Who makes it, `canonical`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub publisher: String,
    /// Its family.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub offer: String,
    /// Its kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sku: String,
    /// Its version, usually `latest`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// An image that nodes can have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SupportedImage {
    /// The agent that fits to it, `batch.node.ubuntu 22.04`.
    #[serde(rename = "nodeAgentSKUId")]
    pub node_agent_sku_id: String,
    /// Which image.
    pub image_reference: ImageReference,
    /// `linux` or `windows`.
    pub os_type: String,
    /// `verified` or `unverified`.
    pub verification_type: String,
}

impl BatchClient {
    /// All images that nodes can have.
    pub fn supported_images(&self) -> Pages<SupportedImage> {
        self.pages(&["supportedimages"])
    }
}
