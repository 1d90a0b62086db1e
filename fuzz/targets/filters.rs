//! `$filter`, `$select` and tokens of pages. What a filter matches must lie where it says that an
//! index may find it.
#![no_main]

use kiln_wire::api_version::ApiVersion;
use kiln_wire::batch::Shape;
use kiln_wire::batch::odata::{Filter, List, Select, cursor, max_results};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(Select::parse(ApiVersion::NEWEST, Shape::Task, text));
    let query =
        [("$skiptoken".to_owned(), text.to_owned()), ("maxresults".to_owned(), text.to_owned())];
    drop((cursor("/jobs", &query), max_results(&query)));
    let Ok(filter) = Filter::parse(List::Tasks, text) else { return };
    for state in ["active", "completed"] {
        for id in ["a", "Task-1", "~"] {
            let item = json!({
                "id": id, "state": state, "creationTime": "2020-01-01T00:00:00Z",
                "executionInfo": { "exitCode": 3 }
            });
            if !filter.matches(&item) {
                continue;
            }
            assert!(filter.may_be("state", state), "{text}");
            let (range, id) = (filter.ids(), id.to_ascii_lowercase());
            assert!(range.first.is_none_or(|first| first <= id), "{text}");
            assert!(range.last.is_none_or(|last| id <= last), "{text}");
        }
    }
});
