//! Properties that ask for something Kiln does not do: they are refused by name, because a
//! program that relies on them would go wrong in silence. Each goes from here once it works.

use kiln_domain::rejection::Rejection;
use serde_json::Value;

/// Members of a pool, as JSON pointers.
const OF_POOLS: &[&str] = &["/mountConfiguration"];

/// Refuses a pool that asks for what is not there.
pub(super) fn check_pool(document: &Value) -> Result<(), Rejection> {
    check(document, OF_POOLS)
}

fn check(document: &Value, pointers: &[&str]) -> Result<(), Rejection> {
    match pointers.iter().find(|pointer| document.pointer(pointer).is_some_and(asks)) {
        Some(pointer) => Err(not_offered(pointer)),
        None => Ok(()),
    }
}

/// Whether a value asks for anything: an empty list, `false` and `null` do not.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
    }
}

fn not_offered(pointer: &str) -> Rejection {
    Rejection::NotOffered { name: pointer.trim_start_matches('/').replace('/', ".") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check_pool;

    #[test]
    fn what_is_not_there_is_named() {
        let said = |result: Result<(), kiln_domain::rejection::Rejection>| {
            result.map_or_else(|rejection| rejection.to_string(), |()| "fine".to_owned())
        };
        assert_eq!(said(check_pool(&json!({ "id": "p", "mountConfiguration": [] }))), "fine");
        assert_eq!(
            said(check_pool(&json!({ "mountConfiguration": [{}] }))),
            "Kiln does not offer `mountConfiguration` yet"
        );
    }
}
