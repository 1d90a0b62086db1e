//! What the rules read of a document that a client gave.

use kiln_domain::rejection::Rejection;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::OpError;

/// Counts: whole numbers to the contract, and more than nothing or nothing to the rules.
const COUNTS: [&str; 4] =
    ["targetDedicatedNodes", "targetLowPriorityNodes", "taskSlotsPerNode", "requiredSlots"];

/// Reads `document`, in which `lift` found nothing wrong.
pub(super) fn read<T: DeserializeOwned>(
    document: &Value,
    what: &'static str,
) -> Result<T, OpError> {
    refuse_negative_counts(document)?;
    T::deserialize(document).map_err(|cause| OpError::Damaged { what, cause })
}

/// A kept document with the members of `body` in place of its own; those of `replaced` that
/// the body leaves out go.
pub(super) fn changed(document: &str, body: Value, replaced: &[&str]) -> Result<Value, OpError> {
    let what = "specification";
    let read = serde_json::from_str::<Map<String, Value>>(document);
    let mut members = read.map_err(|cause| OpError::Damaged { what, cause })?;
    members.retain(|name, _| !replaced.contains(&name.as_str()));
    if let Value::Object(given) = body {
        members.extend(given);
    }
    Ok(Value::Object(members))
}

/// Refuses a number of nodes or slots below zero.
pub(super) fn refuse_negative_counts(document: &Value) -> Result<(), Rejection> {
    for name in COUNTS {
        if let Some(value) = document.get(name).and_then(Value::as_i64).filter(|it| *it < 0) {
            return Err(Rejection::InvalidProperty {
                name: name.to_owned(),
                value: value.to_string(),
                reason: "It must not be negative".to_owned(),
            });
        }
    }
    Ok(())
}
