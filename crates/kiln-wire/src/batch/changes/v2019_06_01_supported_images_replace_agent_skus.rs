//! Images are listed one by one.
//!
//! Since 2019-06-01.9.0: `GET /supportedimages`. Before, `GET /nodeagentskus` listed node agents,
//! each with the verified images it runs on. No body changes: older clients ask for another
//! list, which [`agent_skus`] makes from the images.

use serde_json::{Value, json};

use super::Change;
use crate::api_version::ApiVersion;

pub(super) const CHANGE: Change = Change { since: ApiVersion::V2019_06_01, edits: &[] };

/// The node agents of `images`, in the order of their ids; only verified images count.
pub(in crate::batch) fn agent_skus(images: &[Value]) -> Vec<Value> {
    let mut skus: std::collections::BTreeMap<&str, (Option<&Value>, Vec<&Value>)> =
        std::collections::BTreeMap::new();
    for image in images {
        let is_verified = image.get("verificationType").is_none_or(|kind| kind == "verified");
        let sku = image.get("nodeAgentSKUId").and_then(Value::as_str);
        if let (true, Some(sku)) = (is_verified, sku) {
            let (os, references) = skus.entry(sku).or_default();
            *os = image.get("osType");
            references.extend(image.get("imageReference"));
        }
    }
    skus.into_iter()
        .map(|(id, (os, references))| {
            json!({ "id": id, "verifiedImageReferences": references, "osType": os })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::agent_skus;

    #[test]
    fn images_are_grouped_by_their_agent() {
        let image = |sku: &str, agent: &str, kind: &str| {
            json!({
                "imageReference": { "publisher": "canonical", "sku": sku },
                "nodeAgentSKUId": agent, "osType": "linux", "verificationType": kind,
            })
        };
        let images = [
            image("18.04", "batch.node.ubuntu 18.04", "verified"),
            image("16.04", "batch.node.ubuntu 16.04", "verified"),
            image("16.10", "batch.node.ubuntu 16.04", "verified"),
            image("14.04", "batch.node.ubuntu 14.04", "unverified"),
        ];
        let skus = agent_skus(&images);
        assert_eq!(skus.len(), 2);
        assert_eq!(
            skus[0],
            json!({
                "id": "batch.node.ubuntu 16.04",
                "osType": "linux",
                "verifiedImageReferences": [
                    { "publisher": "canonical", "sku": "16.04" },
                    { "publisher": "canonical", "sku": "16.10" },
                ],
            })
        );
    }
}
