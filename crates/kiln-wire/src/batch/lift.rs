//! Bodies of requests, of whatever api-version, as the newest one writes them.
//!
//! One walk over the tree does all: each object is checked against the contract of the
//! client's version, its values are brought to their one spelling, the changes since that
//! version are applied to it, and what it leaves out is filled in.
//!
//! Members that the contract does not know:
//! - `odata.…` and other annotations, and members that are `null`, are left out;
//! - members that the resource has and its clients cannot set (`url`, `state`) are left out;
//! - a body that *replaces* a resource may hold anything more: the newest clients send back
//!   all they read;
//! - anything else is refused by name, as the service does: a misspelled member would
//!   otherwise be lost in silence.

use std::fmt;

use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use serde_json::Value;

use super::contract::{Contract, Kind, Model};
use super::error::Refusal;
use super::shape::Shape;
use crate::api_version::ApiVersion;

/// Reads the body of a request: parses, checks, brings it to the shape of the newest
/// api-version and fills in what it leaves out.
pub fn lift(version: ApiVersion, shape: Shape, body: &[u8]) -> Result<Value, Refusal> {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut tree: Value = if shape.is_optional() && text.trim_ascii().is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(text).map_err(|error| Refusal::body_is_not_json(&error))?
    };
    if !tree.is_object() {
        return Err(Refusal::body_is_no_object());
    }
    let contract = Contract::of(version);
    let walk = Walk { contract, ignores_unknown: shape.is_replacement() };
    if let Some(id) = contract.id(shape.model()) {
        walk.model(id, &mut tree, &Path::Root)?;
    }
    Ok(tree)
}

/// Where in a body the walk is; written out only for a refusal.
enum Path<'a> {
    Root,
    Member(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

struct Walk {
    contract: &'static Contract,
    ignores_unknown: bool,
}

impl Walk {
    fn model(&self, id: usize, value: &mut Value, path: &Path<'_>) -> Result<(), Refusal> {
        let model = self.contract.model(id);
        let Value::Object(it) = value else {
            return Err(wrong(path, value, "The value must be an object"));
        };
        let mut has_extra = false;
        for (name, member) in it.iter_mut() {
            match model.field(name) {
                _ if member.is_null() => has_extra = true,
                Some(field) => self.value(&field.kind, member, &Path::Member(path, name))?,
                None if self.is_left_out(model, name) => has_extra = true,
                None => {
                    return Err(Refusal::unsupported_property(
                        Path::Member(path, name).to_string(),
                    ));
                }
            }
        }
        if has_extra {
            it.retain(|name, member| !member.is_null() && model.field(name).is_some());
        }
        if let Some(missing) = model.required.iter().find(|name| !it.contains_key(**name)) {
            return Err(Refusal::missing_property(Path::Member(path, missing).to_string()));
        }
        for edit in &model.edits {
            (edit.request_up)(it);
        }
        if let Some(fill) = model.fill {
            fill(it);
        }
        Ok(())
    }

    fn is_left_out(&self, model: &Model, name: &str) -> bool {
        let is_annotation = name.contains(['.', '@']);
        let is_read_only =
            model.resource.is_some_and(|id| self.contract.model(id).field(name).is_some());
        self.ignores_unknown || is_annotation || is_read_only
    }

    fn value(&self, kind: &Kind, value: &mut Value, path: &Path<'_>) -> Result<(), Refusal> {
        match kind {
            Kind::Any => Ok(()),
            Kind::Model(id) => self.model(*id, value, path),
            Kind::List(item) => {
                let Value::Array(items) = value else {
                    return Err(wrong(path, value, "The value must be a list"));
                };
                for (at, member) in items.iter_mut().enumerate() {
                    self.value(item, member, &Path::Item(path, at))?;
                }
                Ok(())
            }
            Kind::Map(item) => {
                let Value::Object(members) = value else {
                    return Err(wrong(path, value, "The value must be an object"));
                };
                for (name, member) in members.iter_mut() {
                    self.value(item, member, &Path::Member(path, name))?;
                }
                Ok(())
            }
            Kind::String => is(value.is_string(), path, value, "The value must be a text"),
            Kind::Bool => is(value.is_boolean(), path, value, "The value must be true or false"),
            Kind::Double => is(value.is_number(), path, value, "The value must be a number"),
            Kind::Int32 => {
                let whole = whole(value).and_then(|number| i32::try_from(number).ok());
                replace(whole, path, value, "The value must be a 32-bit integer")
            }
            Kind::Int64 => {
                let whole = whole(value).or_else(|| value.as_str()?.parse().ok());
                replace(whole, path, value, "The value must be a 64-bit integer")
            }
            Kind::DateTime => {
                let at = value.as_str().and_then(Timestamp::parse_iso);
                let reason = "The value must be a date and time in the form of ISO 8601";
                replace(at.map(Timestamp::to_iso), path, value, reason)
            }
            Kind::Duration => {
                let span = value.as_str().and_then(Span::parse);
                let reason = "The value must be a duration in the form of ISO 8601, such as PT15M";
                replace(span.map(|span| span.to_string()), path, value, reason)
            }
            Kind::Enum(id) => {
                let words = self.contract.values(*id);
                let Some(word) = value.as_str().and_then(|word| words.inside(word)) else {
                    let reason = format!("The value must be one of: {}", words.listed());
                    return Err(wrong(path, value, &reason));
                };
                if value != word {
                    *value = word.into();
                }
                Ok(())
            }
        }
    }
}

/// The number if it is a whole one; clients may write `1.0`.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
        is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
    })
}

fn is(is_right: bool, path: &Path<'_>, value: &Value, reason: &str) -> Result<(), Refusal> {
    if is_right { Ok(()) } else { Err(wrong(path, value, reason)) }
}

fn replace<T: Into<Value>>(
    read: Option<T>,
    path: &Path<'_>,
    value: &mut Value,
    reason: &str,
) -> Result<(), Refusal> {
    let Some(read) = read else {
        return Err(wrong(path, value, reason));
    };
    *value = read.into();
    Ok(())
}

fn wrong(path: &Path<'_>, value: &Value, reason: &str) -> Refusal {
    let shown = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    Refusal::invalid_property(path.to_string(), shown, reason)
}
