//! What nodes are told about the files and users of tasks.

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
async fn containers_of_the_linked_account_are_opened_for_nodes() {
    let mut rig = Rig::start().await;
    let start_task = json!({
        "commandLine": "true", "waitForSuccess": false,
        "resourceFiles": [{ "autoStorageContainerName": "start" }],
    });
    let mut agents = rig.pool("p", 1, json!({ "startTask": start_task })).await;
    rig.job("j", "p").await;
    let files = json!([
        { "autoStorageContainerName": "in", "blobPrefix": "a/", "filePath": "to" },
        { "httpUrl": "http://example.com/x", "filePath": "x" },
    ]);
    rig.task("j", "t", json!({ "resourceFiles": files })).await;
    let run = agents[0].run().await;
    let [container, plain] = run.task.resource_files.as_slice() else { panic!("two files") };
    let url = container.storage_container_url.as_deref().expect("a URL");
    assert_opens(url, "/devstoreaccount1/in?", "sp=rl");
    assert_eq!(container.blob_prefix.as_deref(), Some("a/"));
    assert_eq!(plain.http_url.as_deref(), Some("http://example.com/x"));
    let start = agents[0].prepared.as_ref().and_then(|prepare| prepare.start_task.as_ref());
    let start = start.expect("a start task").resource_files[0].storage_container_url.clone();
    assert_opens(&start.expect("a URL"), "/devstoreaccount1/start?", "sp=rl");
    // It is echoed as it came.
    let shown = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(shown["resourceFiles"][0]["autoStorageContainerName"], "in");
    assert_eq!(shown["resourceFiles"][0].get("storageContainerUrl"), None);
}

#[tokio::test]
async fn an_identity_opens_storage_of_this_kiln_only() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    let identity = json!({ "resourceId": "/subscriptions/s/.../userAssignedIdentities/i" });
    let azure = "https://devstoreaccount1.blob.core.windows.net";
    let mut kept = output("a");
    kept["destination"]["container"]["containerUrl"] = json!(format!("{azure}/out"));
    kept["destination"]["container"]["identityReference"] = identity.clone();
    let files = json!([
        { "httpUrl": format!("{azure}/in/a/b.txt"), "filePath": "a", "identityReference": identity },
        { "httpUrl": "https://other.blob.core.windows.net/in/b", "filePath": "b",
          "identityReference": identity },
        { "httpUrl": format!("{azure}/in/c"), "filePath": "c" },
    ]);
    rig.task("j", "t", json!({ "resourceFiles": files, "outputFiles": [kept] })).await;
    let run = agents[0].run().await;
    let urls: Vec<&str> =
        run.task.resource_files.iter().filter_map(|file| file.http_url.as_deref()).collect();
    assert_opens(urls[0], "/in/a/b.txt?", "sp=rl");
    assert_eq!(urls[1], "https://other.blob.core.windows.net/in/b");
    assert_eq!(urls[2], format!("{azure}/in/c"));
    let container = run.task.output_files[0].destination.container.as_ref().expect("it has one");
    assert_opens(&container.container_url, "/out?", "sp=cw");
}

#[tokio::test]
async fn named_users_reach_nodes_without_their_passwords() {
    let mut rig = Rig::start().await;
    let users = json!([{
        "name": "ann", "password": "hush", "elevationLevel": "admin",
        "linuxUserConfiguration": { "uid": 1500, "gid": 1600, "sshPrivateKey": "hush too" },
    }]);
    let mut agents = rig.pool("p", 1, json!({ "userAccounts": users })).await;
    let prepare = agents[0].prepared.as_ref().expect("it was prepared");
    assert_eq!(prepare.user_accounts[0].name, "ann");
    let said = serde_json::to_string(prepare).expect("a message");
    assert!(!said.contains("hush"), "{said}");
    let shown = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(shown["userAccounts"][0]["linuxUserConfiguration"]["uid"], 1500);
    assert!(!shown.to_string().contains("hush"), "{shown}");
    rig.job("j", "p").await;
    rig.task("j", "t", json!({ "userIdentity": { "username": "ann" } })).await;
    let identity = agents[0].run().await.task.user_identity.expect("it has one");
    assert_eq!(identity.username.as_deref(), Some("ann"));
    let mut two = json!([{ "name": "a", "password": "x" }, { "name": "A", "password": "x" }]);
    let mut body = crate::rig::pool_body("q", 0);
    body["userAccounts"] = two.take();
    rig.post("/pools", &body).send().await.refuses(400, "InvalidPropertyValue");
}

#[track_caller]
fn assert_opens(url: &str, place: &str, permissions: &str) {
    assert!(url.contains(place) && url.contains(permissions) && url.contains("sig="), "{url}");
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
