//! How words of closed lists are written.
//!
//! Clients of 2024-02-01.19.0 and later get every word as the contract of their version has
//! it, nearly always in lower case: the newest clients compare letter by letter. Older clients
//! compare without case; they get what recorded answers of the service show, which is lower
//! case but for the words below.

use crate::api_version::ApiVersion;

/// Enum, word inside, and the word as recorded in answers to older versions.
const CAPITALIZED: [(&str, &str, &str); 12] = [
    ("ComputeNodeFillType", "spread", "Spread"),
    ("ComputeNodeFillType", "pack", "Pack"),
    ("OutputFileUploadCondition", "tasksuccess", "TaskSuccess"),
    ("OutputFileUploadCondition", "taskfailure", "TaskFailure"),
    ("OutputFileUploadCondition", "taskcompletion", "TaskCompletion"),
    ("SchedulingErrorCategory", "userError", "UserError"),
    ("SchedulingErrorCategory", "serverError", "ServerError"),
    ("ErrorCategory", "usererror", "UserError"),
    ("ErrorCategory", "servererror", "ServerError"),
    ("TaskAddStatus", "success", "Success"),
    ("CertificateStoreLocation", "currentuser", "CurrentUser"),
    ("CertificateStoreLocation", "localmachine", "LocalMachine"),
];

/// The spelling in answers to `version` of `word`, which the contract of that version
/// spells `own`.
pub(crate) fn outside(
    version: ApiVersion,
    list: &str,
    word: &'static str,
    own: &'static str,
) -> &'static str {
    if version >= ApiVersion::V2024_02_01 {
        return own;
    }
    CAPITALIZED
        .iter()
        .find(|(of, inside, _)| *of == list && *inside == word)
        .map_or(word, |(_, _, outside)| *outside)
}

#[cfg(test)]
mod tests {
    use super::outside;
    use crate::api_version::ApiVersion;

    #[test]
    fn only_older_clients_see_capitals() {
        let fill = |version| outside(version, "ComputeNodeFillType", "spread", "spread");
        assert_eq!(fill(ApiVersion::OLDEST), "Spread");
        assert_eq!(fill(ApiVersion::V2023_11_01), "Spread");
        assert_eq!(fill(ApiVersion::V2024_02_01), "spread");
        assert_eq!(fill(ApiVersion::NEWEST), "spread");
        assert_eq!(outside(ApiVersion::OLDEST, "TaskState", "active", "active"), "active");
    }
}
