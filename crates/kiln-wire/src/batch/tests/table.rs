//! All versions and all shapes.

use serde_json::Value;

use super::super::contract::{Contract, Kind};
use super::super::{Shape, lift, lower};
use super::{sample, violations};
use crate::api_version::ApiVersion;

fn exists(version: ApiVersion, shape: Shape) -> bool {
    Contract::of(version).named(shape.model_in(version)).is_some_and(|model| model.is_known())
}

#[test]
fn no_answer_has_what_its_version_lacks() {
    for shape in Shape::ALL {
        let inside = sample::inside(shape);
        for version in ApiVersion::all().filter(|version| exists(*version, shape)) {
            let lowered = lower(version, shape, inside.clone());
            let found = violations(version, shape, &lowered);
            assert!(found.is_empty(), "{} {shape:?}: {found:#?}", version.as_str());
        }
    }
}

#[test]
fn every_body_of_every_version_is_understood() {
    for shape in Shape::ALL.into_iter().take_while(|shape| *shape != Shape::Pool) {
        for version in ApiVersion::all().filter(|version| exists(*version, shape)) {
            let body = sample::of_version(version, shape);
            let lifted = lift(version, shape, body.to_string().as_bytes());
            let lifted = lifted.unwrap_or_else(|refusal| panic!("{}: {refusal}", version.as_str()));
            let contract = Contract::of(ApiVersion::NEWEST);
            let id = contract.id(shape.model()).expect("a model");
            no_old_names(id, &lifted, &format!("{} {shape:?}", version.as_str()));
        }
    }
}

/// Looks for members by names that only older versions use.
fn no_old_names(id: usize, value: &Value, at: &str) {
    let of = Contract::of(ApiVersion::NEWEST).model_name(id);
    for (name, member) in value.as_object().into_iter().flatten() {
        assert!(!sample::is_renamed(of, name), "{at} has {of}.{name}");
        let known = ApiVersion::all().filter_map(|v| Contract::of(v).model(id).field(name)).last();
        match (known.map(|field| &field.kind), member) {
            (None, _) => panic!("{at} has {of}.{name}, which no version knows"),
            (Some(Kind::Model(id)), member) => no_old_names(*id, member, at),
            (Some(Kind::List(item)), Value::Array(items)) => {
                if let Kind::Model(id) = **item {
                    items.iter().for_each(|item| no_old_names(id, item, at));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn the_newest_version_changes_nothing_it_knows() {
    let body = br#"{"id":"t","commandLine":"a","requiredSlots":2,"constraints":{"maxWallClockTime":"PT1H","retentionTime":"PT2H","maxTaskRetryCount":1},"userIdentity":{"username":"u"}}"#;
    let sent: Value = serde_json::from_slice(body).expect("JSON");
    let lifted = lift(ApiVersion::NEWEST, Shape::TaskAdd, body).expect("a task");
    assert_eq!(lifted, sent);
    assert_eq!(lower(ApiVersion::NEWEST, Shape::Task, lifted), sent);
}

#[test]
fn secrets_stay_inside() {
    for version in ApiVersion::all() {
        let pool = lower(version, Shape::Pool, sample::inside(Shape::Pool)).to_string();
        for secret in ["password", "sshPrivateKey", "accountKey", "sasKey", "protectedSettings"] {
            assert!(!pool.contains(&format!("\"{secret}\"")), "{} {secret}", version.as_str());
        }
    }
}
