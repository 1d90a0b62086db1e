//! What nodes are told about the files of tasks.

use kiln_domain::batch::command::UploadCondition;
use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::Rig;

const FAILED: Outcome = Outcome::Exited { exit_code: 3 };

fn output(pattern: &str) -> Value {
    json!({
        "filePattern": pattern,
        "destination": { "container": {
            "containerUrl": "https://a.blob.core.windows.net/c?sig=x",
            "path": "out",
            "uploadHeaders": [{ "name": "x-ms-meta-a", "value": "b" }],
        } },
        "uploadOptions": { "uploadCondition": "TaskCompletion" },
    })
}

#[tokio::test]
async fn only_the_last_run_uploads_output_files() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    let task = json!({
        "outputFiles": [output("../std*.txt")],
        "constraints": { "maxTaskRetryCount": 1 },
    });
    rig.task("j", "t", task).await;
    let first = agents[0].run_to(FAILED).await;
    assert!(first.may_run_again);
    let last = agents[0].run_to(FAILED).await;
    assert!(!last.may_run_again);
    let file = &last.task.output_files[0];
    assert_eq!(file.file_pattern, "../std*.txt");
    assert_eq!(file.upload_options.upload_condition, UploadCondition::Completion);
    let container = file.destination.container.as_ref().expect("it has one");
    assert_eq!(container.container_url, "https://a.blob.core.windows.net/c?sig=x");
    assert_eq!(container.path.as_deref(), Some("out"));
    assert_eq!(container.upload_headers[0].name, "x-ms-meta-a");
}

#[tokio::test]
async fn a_failed_upload_fails_the_task_and_keeps_its_exit_code() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    let constraints = json!({ "maxTaskRetryCount": 5 });
    let task = json!({ "outputFiles": [output("a")], "constraints": constraints });
    rig.task("j", "t", task).await;
    let failure = FailureInfo::user_error("FileUploadContainerNotFound", "not there");
    agents[0].run_to(Outcome::UploadFailed { exit_code: 0, failure }).await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(task["state"], "completed");
    let info = &task["executionInfo"];
    assert_eq!((&info["exitCode"], &info["result"]), (&json!(0), &json!("failure")));
    assert_eq!(info["failureInfo"]["code"], "FileUploadContainerNotFound");
    assert_eq!(info["retryCount"], 0);
    assert_eq!(task["outputFiles"][0]["filePattern"], "a");
}
