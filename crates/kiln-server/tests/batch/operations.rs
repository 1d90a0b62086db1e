//! Every operation of every api-version is served, or `docs/unsupported.md` names it; and no other.

use std::collections::BTreeSet;

use kiln_wire::api_version::ApiVersion;
use kiln_wire::batch::operations;
use serde_json::json;

use crate::rig::{Ask, Rig};
use crate::unsupported;

/// A path of an operation, about things that do not exist.
fn path_of(template: &str) -> String {
    let mut path = String::new();
    for piece in template.split('{') {
        match piece.split_once('}') {
            Some((_name, rest)) => path.extend(["nothing", rest]),
            None => path.push_str(piece),
        }
    }
    path
}

#[tokio::test]
async fn every_operation_of_every_version_is_served_or_excused() {
    let rig = Rig::start().await;
    let mut missing = BTreeSet::new();
    for version in ApiVersion::all() {
        for operation in operations() {
            let ask = Ask::new(rig.url(), operation.method, &path_of(operation.path));
            let ask = match operation.method {
                "POST" | "PUT" | "PATCH" => ask.json(&json!({})),
                _ => ask,
            };
            let reply = ask.version(version.as_str()).send().await;
            if operation.is_in(version) {
                let code = reply.body["code"].as_str().unwrap_or_default();
                if ["NotImplemented", "InvalidUri"].contains(&code) {
                    missing.insert(operation.name);
                }
            } else if operation.method == "HEAD" {
                reply.expect(400);
            } else {
                reply.refuses(400, "InvalidUri");
            }
        }
    }
    let named: BTreeSet<&str> = unsupported::named().collect();
    let known: BTreeSet<&str> = operations().map(|it| it.name).collect();
    let excused: BTreeSet<&str> = named.intersection(&known).copied().collect();
    assert_eq!(missing, excused);
}
