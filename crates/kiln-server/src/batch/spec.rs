//! What the rules read of a document that a client gave.

use kiln_domain::limits::DISPLAY_NAME_LENGTH_MAX;
use kiln_domain::rejection::Rejection;
use kiln_wire::api_version::ApiVersion;
use kiln_wire::batch::{Shape, members};
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
    check(document)?;
    T::deserialize(document).map_err(|cause| OpError::Damaged { what, cause })
}

/// Refuses values that no document of any resource may have.
pub(super) fn check(document: &Value) -> Result<(), Rejection> {
    refuse_negative_counts(document)?;
    refuse_names(document)
}

/// How the body of a request changes a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    /// Each member that is given takes the place of that whole member.
    Patch,
    /// So do the members that this body may have in this version; what is not given is gone.
    Replace(ApiVersion, Shape),
}

impl Edit {
    /// Writes the members of `body` into `document`.
    pub(super) fn apply(self, document: &mut Value, mut body: Value) {
        let (Some(document), Some(body)) = (document.as_object_mut(), body.as_object_mut()) else {
            return;
        };
        match self {
            Self::Patch => document.append(body),
            // What the version does not know its client can not mean to replace.
            Self::Replace(version, shape) => {
                for name in members(version, shape) {
                    match body.remove(name) {
                        Some(value) => document.insert(name.to_owned(), value),
                        None => document.remove(name),
                    };
                }
            }
        }
    }
}

/// Leaves out the passwords of the named users of pools: nodes need none, and what is not kept
/// is not lost.
pub(super) fn forget_passwords(document: &mut Value) {
    match document {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "userAccounts" {
                    let accounts = member.as_array_mut().into_iter().flatten();
                    accounts.filter_map(Value::as_object_mut).for_each(|account| {
                        account.remove("password");
                    });
                } else {
                    forget_passwords(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forget_passwords),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Refuses a display name that is too long, and metadata without a name.
fn refuse_names(document: &Value) -> Result<(), Rejection> {
    let display = document.get("displayName").and_then(Value::as_str).unwrap_or_default();
    if display.chars().count() > DISPLAY_NAME_LENGTH_MAX {
        let reason = format!("It has at most {DISPLAY_NAME_LENGTH_MAX} characters");
        return Err(Rejection::property("displayName", display, reason));
    }
    let mut metadata = document.get("metadata").and_then(Value::as_array).into_iter().flatten();
    if metadata.any(|item| item.get("name").and_then(Value::as_str) == Some("")) {
        return Err(Rejection::MetadataWithoutName);
    }
    Ok(())
}

/// Refuses a number of nodes or slots below zero.
fn refuse_negative_counts(document: &Value) -> Result<(), Rejection> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::forget_passwords;

    #[test]
    fn passwords_of_users_are_not_kept() {
        let accounts = json!([{ "name": "ann", "password": "x" }]);
        let mut job = json!({ "poolInfo": { "autoPoolSpecification": { "pool": {
            "userAccounts": accounts,
            "containerConfiguration": { "password": "needed" },
        } } } });
        forget_passwords(&mut job);
        let pool = &job["poolInfo"]["autoPoolSpecification"]["pool"];
        assert_eq!(pool["userAccounts"], json!([{ "name": "ann" }]));
        assert_eq!(pool["containerConfiguration"]["password"], "needed");
    }
}
