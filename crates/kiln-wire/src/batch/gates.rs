//! What an api-version allows, as plain values to pass on.

use crate::api_version::ApiVersion;

/// Limits that differ between api-versions; made once for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Bytes in the body of a task collection.
    pub task_collection_bytes_max: usize,
    /// Whether jobs and job schedules may be ended and removed by force.
    pub jobs_end_by_force: bool,
}

impl Gates {
    /// What `version` allows.
    pub fn of(version: ApiVersion) -> Self {
        let megabytes = if version < ApiVersion::V2018_08_01 { 4 } else { 1 };
        Self {
            task_collection_bytes_max: megabytes * 1024 * 1024,
            jobs_end_by_force: version >= ApiVersion::V2024_07_01,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gates;
    use crate::api_version::ApiVersion;

    #[test]
    fn collections_became_smaller() {
        let bytes = |version| Gates::of(version).task_collection_bytes_max;
        assert_eq!(bytes(ApiVersion::V2018_03_01), 4_194_304);
        assert_eq!(bytes(ApiVersion::V2018_08_01), 1_048_576);
    }
}
