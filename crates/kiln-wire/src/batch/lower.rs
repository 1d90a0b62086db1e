//! Answers, from the newest shape to the one a client's api-version has.

use serde_json::Value;

use super::changes::v2019_06_01_supported_images_replace_agent_skus;
use super::contract::{Contract, Kind};
use super::shape::Shape;
use crate::api_version::ApiVersion;

/// Brings a part of an answer to the shape of `version`.
///
/// Undoes the changes since that version, leaves out members that it does not have, that are
/// `null` or that are secret, spells the words of closed lists and writes 64-bit integers as
/// text. Members named `odata.…` stay.
pub fn lower(version: ApiVersion, shape: Shape, mut newest: Value) -> Value {
    let contract = Contract::of(version);
    let own = shape.model();
    let then = shape.model_in(version);
    if own != then
        && let (Some(model), Value::Object(it)) = (contract.named(own), &mut newest)
    {
        for edit in model.edits.iter().rev() {
            (edit.response_down)(it);
        }
    }
    if let Some(id) = contract.id(then) {
        lower_model(contract, id, &mut newest);
    }
    newest
}

/// The node agents that `images` (supported images, newest shape) run on, for the versions that
/// list those instead; each is a [`Shape::NodeAgentSku`].
pub fn node_agent_skus(images: &[Value]) -> Vec<Value> {
    v2019_06_01_supported_images_replace_agent_skus::agent_skus(images)
}

fn lower_model(contract: &Contract, id: usize, value: &mut Value) {
    let Value::Object(it) = value else { return };
    let model = contract.model(id);
    for edit in model.edits.iter().rev() {
        (edit.response_down)(it);
    }
    it.retain(|name, member| {
        if name.starts_with("odata.") {
            return true;
        }
        let shown = model.field(name).filter(|field| !field.is_secret && !member.is_null());
        if let Some(field) = shown {
            lower_value(contract, &field.kind, member);
        }
        shown.is_some()
    });
}

fn lower_value(contract: &Contract, kind: &Kind, value: &mut Value) {
    match kind {
        Kind::Model(id) => lower_model(contract, *id, value),
        Kind::List(item) => {
            if !matches!(**item, Kind::Model(_) | Kind::Enum(_) | Kind::Int64) {
                return;
            }
            for member in value.as_array_mut().into_iter().flatten() {
                lower_value(contract, item, member);
            }
        }
        Kind::Enum(id) => {
            if let Some(word) = value.as_str().and_then(|w| contract.values(*id).outside(w))
                && value != word
            {
                *value = word.into();
            }
        }
        Kind::Int64 => {
            if let Value::Number(number) = value {
                *value = number.to_string().into();
            }
        }
        Kind::String
        | Kind::Bool
        | Kind::Int32
        | Kind::Double
        | Kind::DateTime
        | Kind::Duration
        | Kind::Any
        | Kind::Map(_) => {}
    }
}
