//! `kiln task rerun`: a task once more, as it was.

use std::process::ExitCode;

use clap::Args;
use kiln_client::{BatchClient, ClientError};
use serde_json::{Map, Value, json};

use super::{Named, exit_code_of, follow};
use crate::failure::Failure;
use crate::output;

pub(super) const EXAMPLE: &str = "\
Adds a copy of the task under a new id to the same job, which must not have ended, and shows what
it prints. It rather runs on the node that ran the task, as long as that is there. The copy
depends on no other task, and its end does nothing to its job; output files are uploaded again.

Ends as the copy does.

Examples:
  kiln task rerun myjob mytask
  kiln task rerun myjob mytask --id once-more
  kiln task rerun myjob mytask --reactivate   # no copy: the failed task itself";

/// Members of a task that its copy has as well.
const COPIED: [&str; 12] = [
    "displayName",
    "commandLine",
    "containerSettings",
    "resourceFiles",
    "outputFiles",
    "environmentSettings",
    "constraints",
    "requiredSlots",
    "userIdentity",
    "multiInstanceSettings",
    "applicationPackageReferences",
    "authenticationTokenSettings",
];
/// Ids that are tried for a copy.
const IDS_MAX: u32 = 100;
/// Characters of a task's id.
const ID_CHARACTERS_MAX: usize = 64;

#[derive(Debug, Args)]
pub(super) struct RerunArgs {
    #[command(flatten)]
    named: Named,
    /// The id of the copy; the task's own with `-rerun` behind it when absent
    #[arg(long, conflicts_with = "reactivate")]
    id: Option<String>,
    /// Run the failed task itself again, under its own id
    #[arg(long)]
    reactivate: bool,
}

pub(super) async fn run(batch: &BatchClient, args: &RerunArgs) -> Result<ExitCode, Failure> {
    let Named { job, task } = &args.named;
    let id = if args.reactivate {
        batch.reactivate_task(job, task).await?;
        task.clone()
    } else {
        let document = batch.task_document(job, task).await?;
        add_copy(batch, job, &document, args.id.as_deref()).await?
    };
    let ended = follow::follow(batch, job, &id).await?;
    let run = ended.execution_info.unwrap_or_default();
    if let Some(failure) = run.failure_info.filter(|_| run.exit_code.is_none()) {
        let details = failure.details.iter().map(|it| it.value.as_str());
        let details: Vec<&str> = details.collect();
        let text = format!("`{id}` failed: {} ({})", failure.message, failure.code);
        let hint = format!("`kiln task explain {job} {id}` tells more");
        let text =
            if details.is_empty() { text } else { format!("{text}: {}", details.join(", ")) };
        return Err(Failure::new(text).hint(hint));
    }
    let code = run.exit_code.unwrap_or_default();
    output::note(&format!("`{id}` ended with exit code {code}"));
    Ok(exit_code_of(code))
}

/// Adds a copy under the id that is wanted, or the first that nobody has.
async fn add_copy(
    batch: &BatchClient,
    job: &str,
    document: &Value,
    wanted: Option<&str>,
) -> Result<String, Failure> {
    let original = document.get("id").and_then(Value::as_str).unwrap_or_default();
    for number in 1..=IDS_MAX {
        let id = wanted.map_or_else(|| new_id(original, number), str::to_owned);
        match batch.add_task_document(job, &copy_of(document, &id)).await {
            Ok(()) => return Ok(id),
            Err(ClientError::Service(refused))
                if refused.code == "TaskExists" && wanted.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!("the job has {IDS_MAX} copies of `{original}` already"))
        .hint("`--id` names another"))
}

fn new_id(original: &str, number: u32) -> String {
    let ending = if number == 1 { "-rerun".to_owned() } else { format!("-rerun-{number}") };
    let n_kept = ID_CHARACTERS_MAX.saturating_sub(ending.len());
    original.chars().take(n_kept).chain(ending.chars()).collect()
}

/// A copy of a task that rather runs where the task ran.
fn copy_of(document: &Value, id: &str) -> Value {
    let member = |name: &&str| Some(((*name).to_owned(), document.get(name)?.clone()));
    let mut copy: Map<String, Value> = COPIED.iter().filter_map(member).collect();
    copy.insert("id".to_owned(), id.into());
    if let Some(affinity) = document.pointer("/nodeInfo/affinityId") {
        copy.insert("affinityInfo".to_owned(), json!({ "affinityId": affinity }));
    }
    Value::Object(copy)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{copy_of, new_id};

    #[test]
    fn a_copy_is_what_the_task_was_asked_to_be() {
        let task = json!({
            "id": "t", "url": "http://h", "state": "completed", "commandLine": "true",
            "exitConditions": {}, "dependsOn": {}, "executionInfo": { "exitCode": 1 },
            "nodeInfo": { "affinityId": "TVM:n" }, "requiredSlots": 2,
        });
        let expected = json!({
            "id": "u", "commandLine": "true", "requiredSlots": 2,
            "affinityInfo": { "affinityId": "TVM:n" },
        });
        assert_eq!(copy_of(&task, "u"), expected);
    }

    #[test]
    fn ids_of_copies_are_short_enough() {
        assert_eq!(new_id("t", 1), "t-rerun");
        assert_eq!(new_id("t", 12), "t-rerun-12");
        assert_eq!(new_id(&"x".repeat(64), 3).len(), 64);
    }
}
