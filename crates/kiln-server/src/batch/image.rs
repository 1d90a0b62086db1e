//! Supported images, and the node agents of older versions.

use kiln_domain::batch::image::IMAGES;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::odata::List;
use kiln_wire::batch::{Shape, image, metadata, node_agent_skus};

use super::answer::Answer;
use super::call::Call;
use super::page::Page;

/// `GET /supportedimages`.
pub(super) fn list(call: &Call) -> Result<Answer, Refusal> {
    let images = IMAGES.iter().map(image::tree).collect();
    Page::of(call, Shape::SupportedImage, Some(List::SupportedImages))?
        .cut(metadata::SUPPORTED_IMAGES, images)
}

/// `GET /nodeagentskus`, as it was before supported images.
pub(super) fn list_agent_skus(call: &Call) -> Result<Answer, Refusal> {
    let images: Vec<_> = IMAGES.iter().map(image::tree).collect();
    let skus = node_agent_skus(&images);
    Page::of(call, Shape::NodeAgentSku, Some(List::NodeAgentSkus))?
        .cut(metadata::NODE_AGENT_SKUS, skus)
}
