//! Documents with every member that a shape can have.

use serde_json::{Map, Value, json};

use super::super::contract::{Contract, Kind};
use super::super::shape::Shape;
use crate::api_version::ApiVersion;

/// Model and member for what only older versions call so; inside it goes by its new name.
const RENAMED: [(&str, &str); 28] = [
    ("CloudPool", "targetDedicated"),
    ("PoolAddParameter", "targetDedicated"),
    ("PoolSpecification", "targetDedicated"),
    ("PoolResizeParameter", "targetDedicated"),
    ("CloudPool", "currentDedicated"),
    ("CloudPool", "resizeError"),
    ("CloudPool", "maxTasksPerNode"),
    ("PoolAddParameter", "maxTasksPerNode"),
    ("PoolSpecification", "maxTasksPerNode"),
    ("TaskExecutionInformation", "schedulingError"),
    ("StartTaskInformation", "schedulingError"),
    ("SubtaskInformation", "schedulingError"),
    ("JobPreparationTaskExecutionInformation", "schedulingError"),
    ("JobReleaseTaskExecutionInformation", "schedulingError"),
    ("ExitConditions", "schedulingError"),
    ("UserAccount", "sshPrivateKey"),
    ("CloudTask", "runElevated"),
    ("TaskAddParameter", "runElevated"),
    ("JobManagerTask", "runElevated"),
    ("JobPreparationTask", "runElevated"),
    ("JobReleaseTask", "runElevated"),
    ("StartTask", "runElevated"),
    ("CloudServiceConfiguration", "targetOSVersion"),
    ("CloudServiceConfiguration", "currentOSVersion"),
    ("ResourceFile", "blobSource"),
    ("NetworkConfiguration", "publicIPs"),
    ("DataDisk", "storageAccountType"),
    ("TaskCounts", "validationStatus"),
];

/// Whether members of a body may not go by this name once it is lifted.
pub(super) fn is_renamed(model: &str, field: &str) -> bool {
    RENAMED.contains(&(model, field))
}

/// What `version` can say with `shape`, all of it.
pub(super) fn of_version(version: ApiVersion, shape: Shape) -> Value {
    let model = shape.model_in(version);
    full(&[version], Contract::of(version).id(model).expect("a model"))
}

/// What the inside can hold of `shape`: everything any version knows, by its newest name.
pub(super) fn inside(shape: Shape) -> Value {
    let versions: Vec<_> = ApiVersion::all().collect();
    full(&versions, Contract::of(ApiVersion::NEWEST).id(shape.model()).expect("a model"))
}

fn full(versions: &[ApiVersion], id: usize) -> Value {
    let mut it = Map::new();
    for version in versions.iter().rev() {
        let contract = Contract::of(*version);
        for (name, field) in contract.model(id).fields() {
            let is_old_name = versions.len() > 1
                && RENAMED
                    .iter()
                    .any(|(model, old)| contract.id(model) == Some(id) && *old == name);
            if !it.contains_key(name) && !is_old_name {
                it.insert(name.to_owned(), value(versions, *version, &field.kind));
            }
        }
    }
    Value::Object(it)
}

fn value(versions: &[ApiVersion], of: ApiVersion, kind: &Kind) -> Value {
    match kind {
        Kind::String => json!("text"),
        Kind::Bool => json!(true),
        Kind::Int32 | Kind::Int64 => json!(7),
        Kind::Double => json!(0.5),
        Kind::DateTime => json!("2020-03-21T02:14:05.7776897Z"),
        Kind::Duration => json!("PT1H"),
        Kind::Any => json!({ "a": 1 }),
        Kind::List(item) => json!([value(versions, of, item)]),
        Kind::Map(item) => json!({ "key": value(versions, of, item) }),
        Kind::Model(id) => full(versions, *id),
        // A word that every version with the list knows.
        Kind::Enum(id) => {
            let words = ApiVersion::all().map(|v| Contract::of(v).values(*id).listed());
            let first = words.into_iter().find(|listed| !listed.is_empty()).unwrap_or_default();
            let word = first.split(", ").next().unwrap_or_default();
            json!(Contract::of(of).values(*id).inside(word))
        }
    }
}
