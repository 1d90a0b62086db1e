//! The contract of every api-version: which models have which fields and values.
//!
//! The facts are in `contract/contract.json`. They are read once and resolved once for each
//! api-version, so that checking a body looks at nothing but the fields it has.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;

use super::changes::{self, Edit};
use super::defaults::{self, Fill};
use super::{Shape, casing, secrets, shape};
use crate::api_version::ApiVersion;

/// Rows of the first and the last version that has something.
type Spans = Vec<(usize, usize)>;
/// By the name of a field: its type, with the first and the last version that gives it that.
type Fields = BTreeMap<String, Vec<(String, usize, usize)>>;

/// The facts as they are written down.
#[derive(Debug, Deserialize)]
struct Facts {
    models: BTreeMap<String, Fields>,
    enums: BTreeMap<String, BTreeMap<String, Spans>>,
    operations: BTreeMap<String, OperationFacts>,
}

/// An operation as it is written down.
#[derive(Debug, Deserialize)]
struct OperationFacts {
    method: String,
    path: String,
    #[serde(rename = "in")]
    spans: Spans,
}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../contract/contract.json"))
        .expect("the committed contract is tested to parse")
});

/// The contract of one api-version.
#[derive(Debug)]
pub(crate) struct Contract {
    models: Vec<Model>,
    enums: Vec<Enum>,
    ids: HashMap<&'static str, usize>,
}

/// A JSON object with known members, in one api-version.
#[derive(Debug)]
pub(crate) struct Model {
    /// Its fields in this version, sorted by name.
    fields: Vec<(&'static str, Field)>,
    /// Names of the fields that a body must have.
    pub(crate) required: Vec<&'static str>,
    /// Changes since this version, oldest first.
    pub(crate) edits: Vec<Edit>,
    /// Fills in what the newest version assumes of absent members.
    pub(crate) fill: Option<Fill>,
    /// For the body of a request: the resource it is about, whose members it may repeat.
    pub(crate) resource: Option<usize>,
}

/// One member of a model.
#[derive(Debug)]
pub(crate) struct Field {
    /// What its value is.
    pub(crate) kind: Kind,
    /// Whether the service never gives it back.
    pub(crate) is_secret: bool,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Bool,
    Int32,
    Int64,
    Double,
    DateTime,
    Duration,
    Any,
    List(Box<Self>),
    Map(Box<Self>),
    Model(usize),
    Enum(usize),
}

/// A closed list of words, in one api-version.
#[derive(Debug)]
pub(crate) struct Enum {
    /// The words: as used inside and as this version writes them.
    words: Vec<Word>,
}

#[derive(Debug)]
struct Word {
    inside: &'static str,
    outside: &'static str,
}

impl Contract {
    /// The contract of this version, resolved at its first use.
    pub(crate) fn of(version: ApiVersion) -> &'static Self {
        static RESOLVED: [OnceLock<Contract>; 20] = [const { OnceLock::new() }; 20];
        RESOLVED
            .get(version.index())
            .expect("there is a place for every api-version")
            .get_or_init(|| resolve(version))
    }

    /// The number of the model with this name.
    pub(crate) fn id(&self, model: &str) -> Option<usize> {
        self.ids.get(model).copied()
    }

    /// The name of a model.
    pub(crate) fn model_name(&self, id: usize) -> &'static str {
        nth_key(&FACTS.models, id)
    }

    /// The name of a closed list of words.
    pub(crate) fn enum_name(&self, id: usize) -> &'static str {
        nth_key(&FACTS.enums, id)
    }

    pub(crate) fn model(&self, id: usize) -> &Model {
        self.models.get(id).expect("ids of models come from this table")
    }

    pub(crate) fn values(&self, id: usize) -> &Enum {
        self.enums.get(id).expect("ids of enums come from this table")
    }

    /// The model with this name.
    pub(crate) fn named(&self, model: &str) -> Option<&Model> {
        self.id(model).map(|id| self.model(id))
    }
}

impl Model {
    /// The field with this name, if this version has it.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        let at = self.fields.binary_search_by(|(field, _)| (*field).cmp(name)).ok()?;
        self.fields.get(at).map(|(_, field)| field)
    }

    /// All fields, in the order of their names.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        self.fields.iter().map(|(name, field)| (*name, field))
    }

    /// Whether this version has the model at all.
    #[cfg(test)]
    pub(crate) fn is_known(&self) -> bool {
        !self.fields.is_empty()
    }
}

impl Enum {
    /// The word as used inside, of whatever case it was written in.
    pub(crate) fn inside(&self, word: &str) -> Option<&'static str> {
        self.words.iter().find(|w| w.inside.eq_ignore_ascii_case(word)).map(|w| w.inside)
    }

    /// The word as this version writes it.
    pub(crate) fn outside(&self, word: &str) -> Option<&'static str> {
        self.words.iter().find(|w| w.inside.eq_ignore_ascii_case(word)).map(|w| w.outside)
    }

    /// All words as used inside.
    pub(crate) fn inner(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().map(|word| word.inside)
    }

    /// All words, for a message.
    pub(crate) fn listed(&self) -> String {
        self.words.iter().map(|w| w.outside).collect::<Vec<_>>().join(", ")
    }
}

/// An operation of the service.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name, as in `pool.add`.
    pub name: &'static str,
    /// The method of its requests.
    pub method: &'static str,
    /// Their path, with names in braces for what varies: `/pools/{poolId}`.
    pub path: &'static str,
    spans: &'static Spans,
}

impl Operation {
    /// Whether this version has it.
    pub fn is_in(&self, version: ApiVersion) -> bool {
        self.spans.iter().any(|span| holds(*span, version))
    }

    /// Whether it makes something that was not there.
    pub fn adds(&self) -> bool {
        self.name.split_once('.').is_some_and(|(_, verb)| verb.starts_with("add"))
    }

    /// Whether a request with these segments of its path is for it; a path of a file goes on
    /// through the segments that are left.
    fn has_path(&self, segments: &[&str]) -> bool {
        let mut given = segments.iter();
        let mut wanted = self.path.split('/').skip(1).peekable();
        while let Some(name) = wanted.next() {
            let fits = match (given.next(), name.split_once('(')) {
                (None, _) => false,
                (Some(segment), Some((before, _))) => {
                    segment.split_once('(').is_some_and(|(start, _)| start == before)
                }
                (Some(_), None) if name == "{filePath}" => return wanted.peek().is_none(),
                (Some(segment), None) => name.starts_with('{') || *segment == name,
            };
            if !fits {
                return false;
            }
        }
        given.next().is_none()
    }
}

/// All operations of all versions.
pub fn operations() -> impl Iterator<Item = Operation> {
    FACTS.operations.iter().map(|(name, facts)| Operation {
        name,
        method: &facts.method,
        path: &facts.path,
        spans: &facts.spans,
    })
}

/// The operation that a request asks for, by its method and the segments of its path.
pub fn operation_of(method: &str, segments: &[&str]) -> Option<Operation> {
    static BY_BEGIN: LazyLock<HashMap<Begin, Vec<Operation>>> = LazyLock::new(|| {
        let mut by_begin: HashMap<Begin, Vec<Operation>> = HashMap::new();
        for operation in operations() {
            let first = operation.path.split('/').nth(1).unwrap_or_default();
            by_begin.entry((operation.method, stem(first))).or_default().push(operation);
        }
        by_begin
    });
    let candidates = BY_BEGIN.get(&(method, stem(segments.first()?)))?;
    candidates.iter().find(|it| it.has_path(segments)).copied()
}

/// A method, and the first segment of a path without what varies in it.
type Begin = (&'static str, &'static str);

/// `certificates` of `certificates(thumbprintAlgorithm=sha1,…)`.
fn stem(segment: &str) -> &str {
    segment.split_once('(').map_or(segment, |(stem, _)| stem)
}

/// The members that the body `shape` has in this version, by its own names for them.
pub fn members(version: ApiVersion, shape: Shape) -> impl Iterator<Item = &'static str> {
    let model = Contract::of(version).named(shape.model());
    model.into_iter().flat_map(|model| model.fields.iter().map(|(name, _)| *name))
}

/// Ids of models and enums count the names in their order.
fn nth_key<T>(table: &'static BTreeMap<String, T>, id: usize) -> &'static str {
    table.keys().nth(id).expect("ids come from this table")
}

fn holds((first, last): (usize, usize), version: ApiVersion) -> bool {
    (first..=last).contains(&version.index())
}

fn resolve(version: ApiVersion) -> Contract {
    let facts = &*FACTS;
    let mut ids: HashMap<&'static str, usize> = HashMap::new();
    for (id, name) in facts.models.keys().enumerate() {
        ids.insert(name, id);
    }
    let enum_ids: HashMap<&str, usize> =
        facts.enums.keys().enumerate().map(|(id, name)| (name.as_str(), id)).collect();
    let models = facts
        .models
        .iter()
        .map(|(name, fields)| {
            let mut model = Model {
                fields: Vec::new(),
                required: Vec::new(),
                edits: changes::since(version, name),
                fill: defaults::of(name),
                resource: shape::resource_of(name).and_then(|of| ids.get(of)).copied(),
            };
            for (field, spans) in fields {
                let Some((kind, ..)) = spans.iter().find(|(_, a, b)| holds((*a, *b), version))
                else {
                    continue;
                };
                if kind.ends_with('!') {
                    model.required.push(field);
                }
                let kind = kind_of(kind.trim_end_matches('!'), &ids, &enum_ids);
                let is_secret = secrets::is_secret(name, field);
                model.fields.push((field, Field { kind, is_secret }));
            }
            model
        })
        .collect();
    let enums = facts.enums.iter().map(|(name, words)| enum_of(version, name, words)).collect();
    Contract { models, enums, ids }
}

fn kind_of(text: &str, models: &HashMap<&str, usize>, enums: &HashMap<&str, usize>) -> Kind {
    let inner = |open, close| text.strip_prefix(open).and_then(|t: &str| t.strip_suffix(close));
    if let Some(item) = inner('[', ']') {
        return Kind::List(Box::new(kind_of(item, models, enums)));
    }
    if let Some(item) = inner('{', '}') {
        return Kind::Map(Box::new(kind_of(item, models, enums)));
    }
    match text {
        "string" | "base64" => Kind::String,
        "bool" => Kind::Bool,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "double" => Kind::Double,
        "datetime" => Kind::DateTime,
        "duration" => Kind::Duration,
        name => match (models.get(name), enums.get(name)) {
            (Some(id), _) => Kind::Model(*id),
            (None, Some(id)) => Kind::Enum(*id),
            (None, None) => Kind::Any,
        },
    }
}

/// A word is used inside as its last version spells it.
fn enum_of(
    version: ApiVersion,
    name: &'static str,
    words: &'static BTreeMap<String, Spans>,
) -> Enum {
    let mut known: Vec<Word> = Vec::new();
    for (word, spans) in words {
        let is_new = !known.iter().any(|w| w.inside.eq_ignore_ascii_case(word));
        if !is_new || !spans.iter().any(|s| holds(*s, version)) {
            continue;
        }
        let inside = words
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(word))
            .max_by_key(|(_, spans)| spans.iter().map(|(_, last)| *last).max())
            .map_or(word.as_str(), |(other, _)| other.as_str());
        known.push(Word { inside, outside: casing::outside(version, name, inside, word) });
    }
    Enum { words: known }
}

#[cfg(test)]
mod tests {
    use super::{Contract, FACTS, members, operation_of};
    use crate::api_version::ApiVersion;
    use crate::batch::Shape;

    #[test]
    fn every_name_in_the_contract_is_known() {
        let basic =
            ["string", "base64", "bool", "int32", "int64", "double", "datetime", "duration", "any"];
        for (model, fields) in &FACTS.models {
            for (field, spans) in fields {
                for (kind, first, last) in spans {
                    assert!(first <= last && *last <= ApiVersion::NEWEST.index());
                    let name = kind.trim_matches(['[', ']', '{', '}', '!']);
                    let is_known = basic.contains(&name)
                        || FACTS.models.contains_key(name)
                        || FACTS.enums.contains_key(name);
                    assert!(is_known, "{model}.{field}: {kind}");
                }
            }
        }
    }

    #[test]
    fn fields_come_and_go() {
        let has = |version, field| {
            Contract::of(version).named("CloudPool").and_then(|m| m.field(field)).is_some()
        };
        assert!(has(ApiVersion::OLDEST, "targetDedicated"));
        assert!(!has(ApiVersion::V2017_05_01, "targetDedicated"));
        assert!(has(ApiVersion::V2017_05_01, "targetDedicatedNodes"));
        assert!(has(ApiVersion::V2024_07_01, "certificateReferences"));
        assert!(!has(ApiVersion::NEWEST, "certificateReferences"));
    }

    #[test]
    fn replacements_know_what_they_replace() {
        let has = |version, name| members(version, Shape::JobUpdate).any(|it| it == name);
        assert!(!has(ApiVersion::V2021_06_01, "maxParallelTasks"));
        assert!(has(ApiVersion::V2022_01_01, "maxParallelTasks"));
        assert!(has(ApiVersion::OLDEST, "metadata") && !has(ApiVersion::NEWEST, "onTaskFailure"));
    }

    #[test]
    fn operations_come_and_go() {
        let is_in = |version, method, path: &str| {
            let segments: Vec<&str> = path.split('/').collect();
            operation_of(method, &segments).is_some_and(|it| it.is_in(version))
        };
        assert!(is_in(ApiVersion::OLDEST, "GET", "nodeagentskus"));
        assert!(!is_in(ApiVersion::OLDEST, "GET", "supportedimages"));
        assert!(is_in(ApiVersion::NEWEST, "GET", "supportedimages"));
        assert!(!is_in(ApiVersion::NEWEST, "POST", "certificates"));
        assert!(!is_in(ApiVersion::NEWEST, "POST", "no/such"));
    }

    #[test]
    fn a_request_asks_for_one_operation() {
        for (method, path, expected) in [
            ("GET", "pools", "pool.list"),
            ("GET", "pools/p", "pool.get"),
            ("HEAD", "pools/p", "pool.exists"),
            ("DELETE", "certificates(a=sha1,thumbprint=ff)", "certificate.delete"),
            (
                "POST",
                "certificates(a=sha1,thumbprint=ff)/canceldelete",
                "certificate.cancel_deletion",
            ),
            ("GET", "jobs/j/tasks/t/files", "file.list_from_task"),
            ("GET", "jobs/j/tasks/t/files/wd/a/b", "file.get_from_task"),
            ("GET", "jobs/j/tasks/t/filed", "none"),
            ("GET", "pools/p/q", "none"),
            ("PATCH", "pools", "none"),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            let found = operation_of(method, &segments).map_or("none", |it| it.name);
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
