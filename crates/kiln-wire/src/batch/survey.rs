//! What a document shows of its contract: for tests that ask whether all of it is ever shown.

use std::collections::BTreeSet;

use serde_json::Value;

use super::contract::{Contract, Kind};
use super::shape::Shape;
use crate::api_version::ApiVersion;

/// Members of models and words of closed lists, as `model.member` and `list=word`. A model
/// goes by its name up to 2024-02-01.19.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey(pub BTreeSet<String>);

impl Survey {
    /// All that a document of this shape can show in this version.
    pub fn of_contract(version: ApiVersion, shape: Shape) -> Self {
        let contract = Contract::of(version);
        let mut survey = Self::default();
        if let Some(id) = contract.id(shape.model_in(version)) {
            survey.take_model(contract, id);
        }
        survey
    }

    /// What this document of a client's version shows.
    pub fn of_document(version: ApiVersion, shape: Shape, document: &Value) -> Self {
        let contract = Contract::of(version);
        let mut survey = Self::default();
        if let Some(id) = contract.id(shape.model_in(version)) {
            survey.take_value(contract, &Kind::Model(id), document);
        }
        survey
    }

    /// The members in it, without the words.
    pub fn members(self) -> BTreeSet<String> {
        self.0.into_iter().filter(|it| !it.contains('=')).collect()
    }

    /// The members of the document itself: their names, and as in a survey.
    pub fn top(version: ApiVersion, shape: Shape) -> Vec<(&'static str, String)> {
        let contract = Contract::of(version);
        let Some(id) = contract.id(shape.model_in(version)) else { return Vec::new() };
        let named = |name| (name, format!("{}.{name}", contract.model_name(id)));
        contract.model(id).fields().map(|(name, _)| named(name)).collect()
    }

    /// Takes in what another one has.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn take_model(&mut self, contract: &Contract, id: usize) {
        for (name, field) in contract.model(id).fields() {
            // A model that was seen before has brought all below it.
            if self.0.insert(format!("{}.{name}", contract.model_name(id))) {
                self.take_kind(contract, &field.kind);
            }
        }
    }

    fn take_kind(&mut self, contract: &Contract, kind: &Kind) {
        match kind {
            Kind::Model(id) => self.take_model(contract, *id),
            Kind::List(item) | Kind::Map(item) => self.take_kind(contract, item),
            Kind::Enum(id) => {
                let name = contract.enum_name(*id);
                self.0.extend(contract.values(*id).inner().map(|word| format!("{name}={word}")));
            }
            Kind::String
            | Kind::Bool
            | Kind::Int32
            | Kind::Int64
            | Kind::Double
            | Kind::DateTime
            | Kind::Duration
            | Kind::Any => {}
        }
    }

    fn take_value(&mut self, contract: &Contract, kind: &Kind, value: &Value) {
        match (kind, value) {
            (Kind::Model(id), Value::Object(members)) => {
                let model = contract.model(*id);
                for (name, member) in members {
                    if let Some(field) = model.field(name) {
                        self.0.insert(format!("{}.{name}", contract.model_name(*id)));
                        self.take_value(contract, &field.kind, member);
                    }
                }
            }
            (Kind::List(item), Value::Array(values)) => {
                for value in values {
                    self.take_value(contract, item, value);
                }
            }
            (Kind::Map(item), Value::Object(members)) => {
                for value in members.values() {
                    self.take_value(contract, item, value);
                }
            }
            (Kind::Enum(id), Value::String(word)) => {
                if let Some(word) = contract.values(*id).inside(word) {
                    self.0.insert(format!("{}={word}", contract.enum_name(*id)));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Survey;
    use crate::api_version::ApiVersion;
    use crate::batch::Shape;

    #[test]
    fn a_document_shows_a_part_of_its_contract() {
        let document = json!({
            "id": "p", "state": "Active", "unknown": 1,
            "taskSchedulingPolicy": { "nodeFillType": "pack" },
            "metadata": [{ "name": "a" }],
        });
        let shown = Survey::of_document(ApiVersion::NEWEST, Shape::Pool, &document);
        let expected = [
            "CloudPool.id",
            "CloudPool.metadata",
            "CloudPool.state",
            "CloudPool.taskSchedulingPolicy",
            "ComputeNodeFillType=pack",
            "MetadataItem.name",
            "PoolState=active",
            "TaskSchedulingPolicy.nodeFillType",
        ];
        assert_eq!(shown.0.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        let all = Survey::of_contract(ApiVersion::NEWEST, Shape::Pool);
        assert!(shown.0.is_subset(&all.0) && all.0.contains("PoolState=deleting"));
    }
}
