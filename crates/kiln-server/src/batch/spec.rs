//! What the rules read of a document that a client gave.

use kiln_domain::rejection::Rejection;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
