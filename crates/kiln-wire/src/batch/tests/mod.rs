//! Every version against the contract, and recorded answers against their version.

mod bodies;
mod recorded;
mod sample;
mod table;
mod words;

use serde_json::Value;

use super::contract::{Contract, Kind};
use super::shape::Shape;
use crate::api_version::ApiVersion;

/// What of `value` is not as the contract of `version` has it, one line each.
fn violations(version: ApiVersion, shape: Shape, value: &Value) -> Vec<String> {
    let contract = Contract::of(version);
    let id = contract.id(shape.model_in(version)).expect("every shape is a model");
    let mut found = Vec::new();
    check(contract, &Kind::Model(id), value, shape.model().to_owned(), &mut found);
    found
}

fn check(contract: &Contract, kind: &Kind, value: &Value, path: String, found: &mut Vec<String>) {
    let is_right = match kind {
        Kind::Any => true,
        Kind::Model(id) => {
            for (name, member) in value.as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                match contract.model(*id).field(name) {
                    _ if name.starts_with("odata.") => {}
                    Some(field) => check(contract, &field.kind, member, path, found),
                    None => found.push(format!("{path} is unknown")),
                }
            }
            value.is_object()
        }
        Kind::List(item) => {
            for member in value.as_array().into_iter().flatten() {
                check(contract, item, member, format!("{path}[]"), found);
            }
            value.is_array()
        }
        Kind::Map(_) => value.is_object(),
        Kind::String | Kind::DateTime | Kind::Duration => value.is_string(),
        Kind::Int64 => value.as_str().is_some_and(|n| n.parse::<i64>().is_ok()),
        Kind::Bool => value.is_boolean(),
        Kind::Int32 => value.is_i64(),
        Kind::Double => value.is_number(),
        Kind::Enum(id) => {
            value.as_str().is_some_and(|word| contract.values(*id).outside(word) == Some(word))
        }
    };
    if !is_right {
        found.push(format!("{path} is {value}"));
    }
}
