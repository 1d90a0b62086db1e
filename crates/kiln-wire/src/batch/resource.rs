//! What all resources share on their way to the newest shape.

use kiln_domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// A document that takes the members of a life.
#[derive(Debug)]
pub(super) struct Tree(Map<String, Value>);

impl Tree {
    /// The kept document of a resource. One that can not be read shows as empty: its life
    /// is still worth seeing.
    pub(super) fn of(document: &str) -> Self {
        Self(serde_json::from_str(document).unwrap_or_default())
    }

    pub(super) fn empty() -> Self {
        Self(Map::new())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(super) fn set_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// A list is shown only when there is something in it.
    pub(super) fn set_list(&mut self, name: &str, values: Vec<Value>) {
        if !values.is_empty() {
            self.set(name, values);
        }
    }

    /// Leaves out a list that a client gave and that has nothing in it.
    pub(super) fn drop_empty(&mut self, name: &str) {
        if self.0.get(name).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            self.0.remove(name);
        }
    }

    pub(super) fn set_time(&mut self, name: &str, at: Timestamp) {
        self.set(name, at.to_iso());
    }

    pub(super) fn set_time_some(&mut self, name: &str, at: Option<Timestamp>) {
        self.set_some(name, at.map(Timestamp::to_iso));
    }

    /// The tag and times of a resource that clients can change.
    pub(super) fn set_revision(&mut self, created_at: Timestamp, modified_at: Timestamp) {
        self.set("eTag", modified_at.to_etag());
        self.set_time("lastModified", modified_at);
        self.set_time("creationTime", created_at);
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// The JSON of a small value of the domain, a state for instance.
pub(super) fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
