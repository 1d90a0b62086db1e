//! What a task waits for: other tasks of its job, by name or by number.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::rejection::Rejection;
use crate::{id, limits};

/// What the waiting of a task for others reads of its specification.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependencySpec {
    #[serde(default)]
    depends_on: DependsOn,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DependsOn {
    task_ids: Vec<String>,
    task_id_ranges: Vec<IdRange>,
}

/// Numbers of tasks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct IdRange {
    /// The first.
    pub start: i32,
    /// The last.
    pub end: i32,
}

/// The tasks that a task waits for, each of them once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// Those that are named, in the form in which ids are compared.
    pub ids: BTreeSet<String>,
    /// Those whose ids are numbers in a range; each number stands for a task.
    pub ranges: BTreeSet<IdRange>,
}

impl Dependencies {
    /// Whether it waits for none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.ranges.is_empty()
    }

    /// Whether a job lets its tasks wait so.
    ///
    /// # Errors
    /// When it does not use dependencies.
    pub fn admit_to(&self, job_id: &str, uses_dependencies: bool) -> Result<(), Rejection> {
        if uses_dependencies || self.is_empty() {
            return Ok(());
        }
        Err(Rejection::TaskDependenciesOff { job: job_id.to_owned() })
    }
}

impl DependencySpec {
    /// The tasks that the task waits for; they need not be there yet.
    ///
    /// # Errors
    /// When they are too many, or can never be.
    pub fn dependencies(self) -> Result<Dependencies, Rejection> {
        let DependsOn { task_ids, task_id_ranges } = self.depends_on;
        let length = task_ids.iter().map(String::len).sum();
        let limit = limits::DEPENDENCY_IDS_CHARACTERS_MAX;
        if length > limit {
            return Err(Rejection::TaskDependencyListTooLong { length, limit });
        }
        let (count, limit) = (task_id_ranges.len(), limits::DEPENDENCY_RANGES_MAX);
        if count > limit {
            return Err(Rejection::TaskDependencyRangesTooLong { count, limit });
        }
        for task_id in &task_ids {
            id::check("dependsOn.taskIds", task_id)?;
        }
        for IdRange { start, end } in &task_id_ranges {
            if *start < 0 || start > end {
                let reason = "A range begins at 0 or above and does not end before it begins";
                let value = format!("{start}..{end}");
                return Err(Rejection::property("dependsOn.taskIdRanges", value, reason));
            }
        }
        let ids = task_ids.iter().map(|task_id| id::folded(task_id)).collect();
        Ok(Dependencies { ids, ranges: task_id_ranges.into_iter().collect() })
    }
}

/// The number that a task's id is, leading zeros aside, if ranges can contain it.
pub fn number_of(task_id: &str) -> Option<i32> {
    let is_decimal = task_id.bytes().all(|byte| byte.is_ascii_digit());
    // Zeros are counted out, so that an id of any length is read.
    let digits = task_id.trim_start_matches('0');
    match (is_decimal && !task_id.is_empty(), digits) {
        (true, "") => Some(0),
        (true, digits) => digits.parse().ok(),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DependencySpec, number_of};
    use crate::limits::DEPENDENCY_IDS_CHARACTERS_MAX;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let spec: DependencySpec = serde_json::from_str(json).expect("a specification");
        let said = match spec.dependencies() {
            Ok(found) => {
                let ranges = found.ranges.iter().map(|it| format!("{}..{}", it.start, it.end));
                found.ids.into_iter().chain(ranges).collect::<Vec<_>>().join(" ")
            }
            Err(rejection) => rejection.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn what_a_task_waits_for_is_read_once() {
        check("{}", "");
        check(r#"{"dependsOn":{"taskIds":["b","A","a"]}}"#, "a b");
        check(
            r#"{"dependsOn":{"taskIdRanges":[{"start":3,"end":3},{"start":1,"end":9},
                {"start":3,"end":3}]}}"#,
            "1..9 3..3",
        );
    }

    #[test]
    fn lists_of_dependencies_have_their_limits() {
        let id = "x".repeat(64);
        let ids = |n| {
            format!(r#"{{"dependsOn":{{"taskIds":["{}"]}}}}"#, vec![id.as_str(); n].join("\",\""))
        };
        check(&ids(DEPENDENCY_IDS_CHARACTERS_MAX / 64), &id);
        check(
            &ids(DEPENDENCY_IDS_CHARACTERS_MAX / 64 + 1),
            "the task depends on 64064 characters of ids, more than 64000",
        );
        let ranges = vec![r#"{"start":1,"end":1}"#; 2001].join(",");
        check(
            &format!(r#"{{"dependsOn":{{"taskIdRanges":[{ranges}]}}}}"#),
            "the task depends on 2001 ranges of ids, more than 2000",
        );
    }

    #[test]
    fn what_can_never_be_is_not_waited_for() {
        let reason = "A range begins at 0 or above and does not end before it begins";
        let wrong =
            |range| format!("property `dependsOn.taskIdRanges` cannot be `{range}`: {reason}");
        check(r#"{"dependsOn":{"taskIdRanges":[{"start":3,"end":2}]}}"#, &wrong("3..2"));
        check(r#"{"dependsOn":{"taskIdRanges":[{"start":-1,"end":2}]}}"#, &wrong("-1..2"));
        let spec: DependencySpec =
            serde_json::from_str(r#"{"dependsOn":{"taskIds":["a/b"]}}"#).expect("a specification");
        assert!(spec.dependencies().is_err());
    }

    #[test]
    fn ids_that_are_numbers() {
        for (id, number) in [("7", 7), ("007", 7), ("0", 0), ("000", 0), ("2147483647", i32::MAX)] {
            assert_eq!(number_of(id), Some(number), "{id}");
        }
        let zeros = format!("{}12", "0".repeat(62));
        assert_eq!(number_of(&zeros), Some(12));
        for id in ["", "a", "7a", "-7", "2147483648"] {
            assert_eq!(number_of(id), None, "{id}");
        }
    }
}
