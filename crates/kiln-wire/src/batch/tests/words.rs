//! Every word of every closed list is one that the rules know, or one that clients give.

use std::collections::BTreeSet;

use kiln_domain::batch::certificate::CertificateState;
use kiln_domain::batch::failure::FailureCategory;
use kiln_domain::batch::gang::InstanceState;
use kiln_domain::batch::job::JobState;
use kiln_domain::batch::job_schedule::JobScheduleState;
use kiln_domain::batch::node::NodeState;
use kiln_domain::batch::pool::{AllocationState, PoolState};
use kiln_domain::batch::task::TaskState;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::shape::Shape;
use super::super::survey::Survey;
use crate::api_version::ApiVersion;

/// Bodies of requests: their words are kept as they are, or acted on where they are read.
const BODIES: usize = 27;

fn knows<T: DeserializeOwned>(word: &str) -> bool {
    serde_json::from_value::<T>(json!(word.to_lowercase())).is_ok()
}

/// Whether an answer is ever given this word.
fn is_said(list: &str, word: &str) -> bool {
    match list {
        "AllocationState" => knows::<AllocationState>(word),
        "BatchSubtaskState" | "SubtaskState" => knows::<InstanceState>(word),
        "CertificateState" => knows::<CertificateState>(word),
        "ComputeNodeState" => knows::<NodeState>(word),
        "ErrorCategory" | "SchedulingErrorCategory" => knows::<FailureCategory>(word),
        "JobScheduleState" => knows::<JobScheduleState>(word),
        "JobState" => knows::<JobState>(word),
        // An upgrade of the system is refused at once.
        "PoolState" => knows::<PoolState>(word) || word == "upgrading",
        "TaskState" => knows::<TaskState>(word),
        // Nodes run Linux, their images are verified ones, extensions never begin, a collection
        // is refused task by task, pools get no identities.
        "OSType" => ["linux", "windows"].contains(&word),
        "VerificationType" => ["verified", "unverified"].contains(&word),
        "StatusLevelTypes" => ["Error", "Info", "Warning"].contains(&word),
        "TaskAddStatus" => ["success", "clienterror", "servererror"].contains(&word),
        "PoolIdentityType" => ["UserAssigned", "None"].contains(&word),
        // Said where the answers are made, by one of two words.
        "JobPreparationTaskState" | "JobReleaseTaskState" | "StartTaskState" => {
            ["running", "completed"].contains(&word)
        }
        "SchedulingState" => ["enabled", "disabled"].contains(&word),
        "TaskExecutionResult" => ["success", "failure"].contains(&word),
        "TaskCountValidationStatus" => ["validated", "unvalidated"].contains(&word),
        _ => false,
    }
}

#[test]
fn every_word_is_given_by_clients_or_known_to_the_rules() {
    let (mut given, mut all) = (BTreeSet::new(), BTreeSet::new());
    for version in ApiVersion::all() {
        for (number, shape) in Shape::ALL.into_iter().enumerate() {
            let survey = Survey::of_contract(version, shape).0;
            let words: BTreeSet<String> =
                survey.into_iter().filter(|it| it.contains('=')).collect();
            if number < BODIES {
                given.extend(words.iter().cloned());
            }
            all.extend(words);
        }
    }
    let unknown: Vec<&String> = all
        .difference(&given)
        .filter(|it| it.split_once('=').is_none_or(|(list, word)| !is_said(list, word)))
        .collect();
    assert_eq!(unknown, Vec::<&String>::new());
}
