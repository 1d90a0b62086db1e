//! Images in the newest shape.

use kiln_domain::batch::image::Image;
use serde_json::{Value, json};

/// An item of `GET /supportedimages`.
pub fn tree(image: &Image) -> Value {
    let mut tree = json!({
        "nodeAgentSKUId": image.node_agent_sku_id,
        "imageReference": {
            "publisher": image.publisher,
            "offer": image.offer,
            "sku": image.sku,
            "version": "latest",
        },
        "osType": image.os_type,
        "verificationType": "verified",
    });
    if let (false, Some(members)) = (image.capabilities.is_empty(), tree.as_object_mut()) {
        members.insert("capabilities".to_owned(), json!(image.capabilities));
    }
    tree
}
