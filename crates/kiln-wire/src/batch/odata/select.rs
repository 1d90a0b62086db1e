//! `$select` and `$expand`: which members of a resource a client wants to see.

use serde_json::Value;

use crate::api_version::ApiVersion;
use crate::batch::contract::Contract;
use crate::batch::error::Refusal;
use crate::batch::shape::Shape;

/// The members that a client wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    names: Vec<String>,
}

impl Select {
    /// Parses a list of names with commas and perhaps blanks. Every name must be a member of the
    /// shape in the client's version, with the same case.
    pub fn parse(version: ApiVersion, shape: Shape, text: &str) -> Result<Self, Refusal> {
        let contract = Contract::of(version);
        let model = contract.named(shape.model_in(version));
        let mut names = Vec::new();
        for name in text.split(',').map(str::trim) {
            let is_known = name == "*" || model.is_some_and(|model| model.field(name).is_some());
            if !is_known {
                let reason = format!("There is no property '{name}'");
                return Err(Refusal::invalid_query_parameter("$select", text, reason));
            }
            names.push(name.to_owned());
        }
        Ok(Self { names })
    }

    /// Leaves of a lowered resource what the client wants, and members named `odata.…`.
    pub fn apply(&self, item: &mut Value) {
        if self.has("*") {
            return;
        }
        if let Value::Object(members) = item {
            members.retain(|name, _| name.starts_with("odata.") || self.has(name));
        }
    }

    /// Whether the client wants this member, for those who can save making it.
    pub fn wants(&self, name: &str) -> bool {
        self.has("*") || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|wanted| wanted == name)
    }
}

/// Parses `$expand`: whether the client wants statistics, the only thing that can be expanded.
pub fn expands_stats(text: &str) -> Result<bool, Refusal> {
    for name in text.split(',').map(str::trim) {
        if name != "stats" {
            let reason = "Only 'stats' can be expanded";
            return Err(Refusal::invalid_query_parameter("$expand", text, reason));
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Select, expands_stats};
    use crate::api_version::ApiVersion;
    use crate::batch::shape::Shape;

    #[test]
    fn only_what_was_chosen_is_left() {
        let mut task = json!({ "odata.metadata": "m", "id": "t", "state": "active", "url": "u" });
        let select = Select::parse(ApiVersion::NEWEST, Shape::Task, "id, state").expect("names");
        assert!(select.wants("id") && !select.wants("url"));
        select.apply(&mut task);
        assert_eq!(task, json!({ "odata.metadata": "m", "id": "t", "state": "active" }));
    }

    #[test]
    fn names_are_those_of_the_version() {
        let parse = |version, text| Select::parse(version, Shape::Pool, text).is_ok();
        assert!(parse(ApiVersion::OLDEST, "targetDedicated,stats"));
        assert!(!parse(ApiVersion::NEWEST, "targetDedicated"));
        assert!(parse(ApiVersion::NEWEST, "*"));
        for text in ["", "id,", "ID", "executionInfo/poolId"] {
            assert!(!parse(ApiVersion::NEWEST, text), "{text}");
        }
        assert!(expands_stats("stats").is_ok() && expands_stats("id").is_err());
    }
}
