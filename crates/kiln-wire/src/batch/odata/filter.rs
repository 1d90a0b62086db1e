//! `$filter`: which items of a list a client wants to see.

use kiln_domain::time::Timestamp;
use serde_json::Value;

use super::parser;
use super::properties::{Kind, List, Property};
use crate::batch::error::Refusal;

/// Characters in a filter.
const FILTER_LENGTH_MAX: usize = 8192;

/// A filter of one list.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    expr: Expr,
}

/// What a filter asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// All of these; never empty.
    And(Vec<Self>),
    /// Any of these; never empty.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A property compared with a value of its kind.
    Compare {
        /// The property, on the left side.
        property: Property,
        /// How it is compared.
        operator: Operator,
        /// The value, on the right side.
        value: Literal,
    },
    /// A property that begins with a text, in lower case.
    StartsWith {
        /// The property.
        property: Property,
        /// The text in lower case.
        prefix: String,
    },
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

/// A value in a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// A name or word in lower case: case does not count.
    Text(String),
    /// A number.
    Number(f64),
    /// A point in time.
    Time(Timestamp),
    /// True or false.
    Bool(bool),
    /// The property is absent.
    Null,
}

impl Filter {
    /// Parses the `$filter` of a list.
    pub fn parse(list: List, text: &str) -> Result<Self, Refusal> {
        let refused = |reason: String| Refusal::invalid_query_parameter("$filter", text, reason);
        if text.len() > FILTER_LENGTH_MAX {
            let reason = format!("A filter has at most {FILTER_LENGTH_MAX} characters");
            return Err(Refusal::invalid_query_parameter("$filter", "", reason));
        }
        Ok(Self { expr: parser::parse(list, text).map_err(refused)? })
    }

    /// What it asks, for those who can answer part of it faster than item by item.
    pub(super) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether the item, in the newest shape, is wanted.
    pub fn matches(&self, item: &Value) -> bool {
        self.expr.matches(item)
    }
}

impl Expr {
    fn matches(&self, item: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|expr| expr.matches(item)),
            Self::Or(any) => any.iter().any(|expr| expr.matches(item)),
            Self::Not(expr) => !expr.matches(item),
            Self::Compare { property, operator, value } => {
                compare(property.kind, lookup(item, property.path), *operator, value)
            }
            Self::StartsWith { property, prefix } => lookup(item, property.path)
                .and_then(Value::as_str)
                .is_some_and(|text| starts_with(text, prefix)),
        }
    }
}

impl Operator {
    /// The operator of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            ("eq", Self::Equal),
            ("ne", Self::NotEqual),
            ("gt", Self::Greater),
            ("ge", Self::GreaterOrEqual),
            ("lt", Self::Less),
            ("le", Self::LessOrEqual),
        ];
        all.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, op)| *op)
    }

    /// The same with its sides exchanged: `5 lt x` is `x gt 5`.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
        }
    }

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

fn lookup<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(item, |at, name| at.get(name)).filter(|value| !value.is_null())
}

/// An absent property is equal to `null` only, and neither greater nor less than anything.
fn compare(kind: Kind, found: Option<&Value>, operator: Operator, value: &Literal) -> bool {
    let Some(found) = found else {
        return match value {
            Literal::Null => operator == Operator::Equal,
            Literal::Text(_) | Literal::Number(_) | Literal::Time(_) | Literal::Bool(_) => {
                operator == Operator::NotEqual
            }
        };
    };
    let order = match (kind, value) {
        (_, Literal::Null) => return operator == Operator::NotEqual,
        (_, Literal::Text(text)) => {
            let found = found.as_str().unwrap_or_default();
            Some(found.bytes().map(|b| b.to_ascii_lowercase()).cmp(text.bytes()))
        }
        (_, Literal::Number(number)) => found.as_f64().and_then(|f| f.partial_cmp(number)),
        (_, Literal::Bool(is)) => found.as_bool().map(|f| f.cmp(is)),
        (_, Literal::Time(at)) => {
            found.as_str().and_then(Timestamp::parse_iso).map(|found| found.cmp(at))
        }
    };
    order.is_some_and(|order| operator.holds(order))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::properties::List;
    use super::Filter;

    fn check(list: List, text: &str, expect: &str) {
        let items = [
            (
                "early",
                json!({ "id": "Task-1", "state": "active", "creationTime": "2020-01-01T00:00:00Z",
                              "executionInfo": { "retryCount": 0 } }),
            ),
            (
                "late",
                json!({ "id": "task-2", "state": "completed", "creationTime": "2022-01-01T00:00:00.5Z",
                             "executionInfo": { "exitCode": 3, "result": "failure" } }),
            ),
            (
                "other",
                json!({ "id": "o'k", "state": "completed", "creationTime": "2021-06-01T12:00:00Z",
                              "executionInfo": { "exitCode": 0, "result": "success" } }),
            ),
        ];
        let got = match Filter::parse(list, text) {
            Ok(filter) => items
                .iter()
                .filter(|(_, item)| filter.matches(item))
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(" "),
            Err(refusal) => refusal.values.last().map(|(_, v)| v.clone()).unwrap_or_default(),
        };
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn items_that_are_wanted() {
        for (text, expect) in [
            ("state eq 'active'", "early"),
            ("state ne 'completed'", "early"),
            ("state eq 'Completed'", "late other"),
            ("'active' eq state", "early"),
            ("id eq 'TASK-1'", "early"),
            ("startswith(id,'task')", "early late"),
            ("startswith( id , 'TASK-2' )", "late"),
            ("startswith(id,'task') eq false", "other"),
            ("not startswith(id,'task')", "other"),
            ("id eq 'o''k'", "other"),
            ("executionInfo/exitCode eq 0", "other"),
            ("executionInfo/exitCode ne 0", "early late"),
            ("executionInfo/exitCode gt -1", "late other"),
            ("executionInfo/exitCode lt 3.5", "late other"),
            ("3 le executionInfo/exitCode", "late"),
            ("executionInfo/result eq null", "early"),
            ("executionInfo/result ne null", "late other"),
            ("executionInfo/result eq 'success' or state eq 'active'", "early other"),
            ("state eq 'completed' and executionInfo/exitCode ne 0", "late"),
            ("state eq 'active' or state eq 'completed' and id eq 'none'", "early"),
            ("(state eq 'active' or state eq 'completed') and id eq 'task-2'", "late"),
            ("not (state eq 'active') and not (executionInfo/exitCode eq 3)", "other"),
            ("creationTime ge datetime'2021-06-01T12:00:00Z'", "late other"),
            ("creationTime gt DateTime'2021-06-01'", "late other"),
            ("creationTime le DateTime'Wed, 01 Jan 2020 00:00:00 GMT'", "early"),
            ("creationTime lt 2021-01-01T00:00:00Z", "early"),
            ("creationTime lt '2021-01-01T00:00:00Z'", "early"),
            ("lastModifiedTime eq null", "early late other"),
            ("((((id eq 'task-1'))))", "early"),
        ] {
            check(List::Tasks, text, expect);
        }
    }

    #[test]
    fn filters_that_make_no_sense() {
        for (text, expect) in [
            ("", "The filter ends too early"),
            ("   ", "The filter ends too early"),
            ("id", "The filter ends too early"),
            ("id eq", "The filter ends too early"),
            ("id eq 'a", "A text has no closing quote"),
            ("id is 'a'", "'is' is no operator: use eq, ne, gt, ge, lt or le"),
            ("Id eq 'a'", "This list cannot be filtered by 'Id'"),
            ("executionInfo/exit eq 1", "This list cannot be filtered by 'executionInfo/exit'"),
            ("state gt 'a'", "'state' can be compared with eq and ne only"),
            ("startswith(state,'a')", "'state' cannot be used with startswith"),
            ("startswith(id,5)", "startswith takes a property and a text"),
            ("executionInfo/exitCode eq 'x'", "'executionInfo/exitCode' is a number"),
            ("creationTime gt 'soon'", "'creationTime' is a date and time"),
            ("id eq 5", "'id' is a text"),
            ("id eq state", "A property is compared with a value"),
            ("1 eq 1", "A property is compared with a value"),
            ("id eq 'a' 'b'", "The filter does not end where it should"),
            ("(id eq 'a'", "The filter ends too early"),
            ("id eq 'a')", "The filter does not end where it should"),
            ("id eq 'a' and", "The filter ends too early"),
        ] {
            check(List::Tasks, text, expect);
        }
        check(List::JobsOfSchedule, "id eq 'a'", "This list cannot be filtered by 'id'");
        check(List::Jobs, "id eq 'Task-1'", "early");
        let deep = format!("{}id eq 'a'{}", "(".repeat(200), ")".repeat(200));
        check(List::Tasks, &deep, "The filter is nested too deeply");
        let deep = format!("{}id eq 'a'", "not ".repeat(200));
        check(List::Tasks, &deep, "The filter is nested too deeply");
    }

    /// As the service's documents list them.
    #[test]
    fn each_list_has_properties_of_its_own() {
        let life = ["creationTime", "lastModified", "state", "stateTransitionTime"];
        let job = ["executionInfo/startTime", "executionInfo/endTime", "executionInfo/poolId"];
        let start = ["startTaskInfo/state", "startTaskInfo/result", "startTaskInfo/exitCode"];
        let schedule = ["executionInfo/endTime", "schedule/doNotRunUntil"];
        for (list, is_there) in [
            (List::Pools, ["id", "allocationState", "enableAutoScale", "vmSize"].as_slice()),
            (List::Pools, &life),
            (List::Nodes, &["state", "lastBootTime", "allocationTime", "stateTransitionTime"]),
            (List::Nodes, &start),
            (List::NodeCounts, &["poolId"]),
            (List::PoolUsageMetrics, &["poolId"]),
            (List::Jobs, &life),
            (List::Jobs, &job),
            (List::JobsOfSchedule, &job),
            (List::JobSchedules, &life),
            (List::JobSchedules, &schedule),
            (List::JobSchedules, &["id", "schedule/doNotRunAfter"]),
            (List::PreparationAndRelease, &["jobReleaseTaskExecutionInfo/exitCode", "nodeId"]),
            (List::Tasks, &life),
            (List::Tasks, &["id", "executionInfo/exitCode", "executionInfo/result"]),
            (List::Files, &["name"]),
            (List::SupportedImages, &["osType", "verificationType", "nodeAgentSKUId"]),
            (List::NodeAgentSkus, &["osType"]),
            (List::Certificates, &["state", "stateTransitionTime"]),
        ] {
            for name in is_there {
                assert!(Filter::parse(list, &format!("{name} eq null")).is_ok(), "{list:?} {name}");
            }
            let other = Filter::parse(list, "url eq null");
            assert!(other.is_err(), "{list:?}");
        }
        for (list, text) in [
            (List::Nodes, "id eq 'n'"),
            (List::Tasks, "executionInfo/poolId eq 'p'"),
            (List::Files, "isDirectory eq true"),
            (List::NodeCounts, "startswith(id,'p')"),
            (List::Jobs, "priority gt 5"),
        ] {
            assert!(Filter::parse(list, text).is_err(), "{list:?} {text}");
        }
    }

    /// Text of all kinds, made from the pieces of filters: it may be refused, not break.
    #[test]
    fn no_text_breaks_the_parser() {
        let pieces = [
            "id",
            "state",
            "eq",
            "ne",
            "gt",
            "and",
            "or",
            "not",
            "(",
            ")",
            ",",
            "'",
            "''",
            "'a'",
            "startswith",
            "datetime",
            "datetime'2020-01-01'",
            " ",
            "  ",
            "5",
            "-1e9",
            "null",
            "true",
            "executionInfo/exitCode",
            "creationTime",
            "é",
            "\u{1F600}",
            "%",
            "/",
            "NaN",
            "inf",
        ];
        let mut seed: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut draw = |n: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed >> 33).unwrap_or(0) % n
        };
        let item = json!({ "id": "é", "state": 5, "creationTime": "no", "executionInfo": [] });
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..draw(14) {
                text.push_str(pieces[draw(pieces.len())]);
                if draw(3) > 0 {
                    text.push(' ');
                }
            }
            if let Ok(filter) = Filter::parse(List::Tasks, &text) {
                let _ = filter.matches(&item);
            }
        }
    }
}
