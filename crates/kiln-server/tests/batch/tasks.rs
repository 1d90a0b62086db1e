//! Tasks: how they run, fail, are retried, placed, terminated and deleted.

use std::collections::BTreeMap;

use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::{Outcome, ToAgent};
use serde_json::{Value, json};

use crate::rig::Rig;

const FAILED: Outcome = Outcome::Exited { exit_code: 3 };

/// Runs one task to these ends, one after another; gives how it is shown then.
async fn run(constraints: Value, ends: impl IntoIterator<Item = Outcome>) -> Value {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({ "constraints": constraints })).await;
    for (attempt, end) in (1..).zip(ends) {
        let run = agents[0].run_to(end).await;
        assert_eq!(run.attempt.attempt, attempt);
        assert_eq!(run.directory, "workitems/j/job-1/t");
    }
    rig.get("/jobs/j/tasks/t").send().await.expect(200).body
}

#[tokio::test]
async fn a_task_that_exits_with_zero_succeeds() {
    let task = run(json!({}), [Outcome::Exited { exit_code: 0 }]).await;
    assert_eq!(task["state"], "completed");
    assert_eq!(task["previousState"], "running");
    let info = &task["executionInfo"];
    assert_eq!((&info["exitCode"], &info["result"]), (&json!(0), &json!("success")));
    assert_eq!((&info["retryCount"], &info["requeueCount"]), (&json!(0), &json!(0)));
    assert!(info["startTime"].is_string() && info["endTime"].is_string());
    assert_eq!(info.get("failureInfo"), None);
    assert_eq!(task["nodeInfo"]["poolId"], "p");
    assert_eq!(task["nodeInfo"]["taskRootDirectory"], "workitems/j/job-1/t");
}

#[tokio::test]
async fn failures_are_retried_as_often_as_allowed() {
    let task = run(json!({ "maxTaskRetryCount": 2 }), [FAILED, FAILED, FAILED]).await;
    assert_eq!(task["state"], "completed");
    let info = &task["executionInfo"];
    assert_eq!((&info["exitCode"], &info["retryCount"]), (&json!(3), &json!(2)));
    assert_eq!(info["result"], "failure");
    assert_eq!(info["failureInfo"]["code"], "FailureExitCode");
    assert!(info["lastRetryTime"].is_string());
    let task = run(json!({ "maxTaskRetryCount": 1 }), [FAILED]).await;
    assert_eq!(task["executionInfo"]["retryCount"], 1);
    assert_ne!(task["state"], "completed");
    let again = run(json!({ "maxTaskRetryCount": -1 }), [FAILED, FAILED, FAILED, FAILED]).await;
    assert_eq!(again["executionInfo"]["retryCount"], 4);
}

#[tokio::test]
async fn what_takes_too_long_or_never_starts_is_not_retried() {
    let retries = || json!({ "maxTaskRetryCount": 5, "maxWallClockTime": "PT1M" });
    let late = run(retries(), [Outcome::TimedOut]).await;
    assert_eq!(late["state"], "completed");
    assert_eq!(late["executionInfo"]["failureInfo"]["code"], "TaskEnded");
    assert_eq!(late["executionInfo"].get("exitCode"), None);
    let failure = FailureInfo::user_error("BlobNotFound", "no such blob").with_detail("Blob", "b");
    let never = run(retries(), [Outcome::NotStarted { failure }]).await;
    let info = &never["executionInfo"];
    assert_eq!(never["state"], "completed");
    assert_eq!(info["failureInfo"]["code"], "BlobNotFound");
    assert_eq!(info["failureInfo"]["details"], json!([{ "name": "Blob", "value": "b" }]));
    assert_eq!(info.get("exitCode"), None);
}

/// How many of six tasks each of two nodes gets, with slots for four.
async fn placed(fill: &str) -> Vec<usize> {
    let mut rig = Rig::start().await;
    rig.job("j", "p").await;
    let more = json!({ "taskSlotsPerNode": 4, "taskSchedulingPolicy": { "nodeFillType": fill } });
    rig.pool("p", 2, more).await;
    for n in 0..4 {
        rig.task("j", &format!("t{n}"), json!({})).await;
        rig.until_state(&format!("/jobs/j/tasks/t{n}"), "running").await;
    }
    let tasks = rig.get("/jobs/j/tasks").send().await.expect(200);
    let mut nodes: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks.body["value"].as_array().expect("tasks") {
        *nodes.entry(task["nodeInfo"]["nodeId"].as_str().expect("a node")).or_default() += 1;
    }
    nodes.into_values().collect()
}

#[tokio::test]
async fn tasks_are_spread_or_packed() {
    assert_eq!(placed("spread").await, [2, 2]);
    assert_eq!(placed("pack").await, [4]);
}

#[tokio::test]
async fn a_node_takes_as_many_tasks_as_it_has_slots_for() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 4 })).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    for (id, slots) in [("a", 2), ("b", 1), ("c", 3), ("d", 1)] {
        rig.task("j", id, json!({ "requiredSlots": slots })).await;
    }
    let mut runs = vec![agent.run().await, agent.run().await, agent.run().await];
    let ids: Vec<&str> = runs.iter().map(|it| it.attempt.task_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "d"]);
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskSlotCounts"]["running"], 4);
    assert_eq!(counts["taskSlotCounts"]["active"], 3);
    let node = rig.get(&format!("/pools/p/nodes/{}", agent.node_id())).send().await.body;
    assert_eq!(
        (&node["runningTasksCount"], &node["runningTaskSlotsCount"]),
        (&json!(3), &json!(4))
    );
    let first = runs.remove(0);
    agent.end(&first.attempt, Outcome::Exited { exit_code: 0 }).await;
    agent.end(&runs[0].attempt, Outcome::Exited { exit_code: 0 }).await;
    assert_eq!(agent.run().await.attempt.task_id, "c");
}

#[tokio::test]
async fn a_terminated_task_is_stopped_and_frees_its_place() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.task("j", "a", json!({})).await;
    let run = agent.run().await;
    rig.task("j", "b", json!({})).await;
    let ended = rig.post("/jobs/j/tasks/a/terminate", &json!({})).send().await.expect(204);
    assert!(ended.header("dataserviceid").is_some_and(|it| it.ends_with("/tasks/a/terminate")));
    assert_eq!(agent.stop().await, run.attempt);
    let task = rig.get("/jobs/j/tasks/a").send().await.expect(200);
    assert_eq!(task.header("etag"), ended.header("etag"));
    assert_eq!(task.body["state"], "completed");
    assert_eq!(task.body["executionInfo"]["failureInfo"]["code"], "TaskEnded");
    assert_eq!(task.body["executionInfo"]["result"], "failure");
    let again = rig.post("/jobs/j/tasks/a/terminate", &json!({})).send().await;
    again.refuses(409, "TaskCompleted");
    // The agent's own word about it comes late.
    agent.end(&run.attempt, Outcome::Stopped).await;
    assert_eq!(agent.run().await.attempt.task_id, "b");
    // One that waits never starts.
    rig.task("j", "c", json!({})).await;
    rig.post("/jobs/j/tasks/c/terminate", &json!({})).send().await.expect(204);
    let waiting = rig.get("/jobs/j/tasks/c").send().await.expect(200);
    assert_eq!(waiting.body["state"], "completed");
    assert_eq!(waiting.body["executionInfo"].get("startTime"), None);
}

#[tokio::test]
async fn a_deleted_task_is_stopped_and_its_files_are_removed() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    for id in ["a", "b", "c"] {
        rig.task("j", id, json!({})).await;
    }
    let run = agent.run().await;
    rig.delete("/jobs/j/tasks/b").send().await.expect(200);
    let deleted = rig.delete("/jobs/j/tasks/a").send().await.expect(200);
    assert_eq!((deleted.header("etag"), deleted.bytes.len()), (None, 0));
    assert_eq!(agent.stop().await, run.attempt);
    let removed = agent.expect("an order to remove files", |message| {
        if let ToAgent::RemoveDirectory { path } = message { Some(path.clone()) } else { None }
    });
    assert_eq!(removed.await, "workitems/j/job-1/a");
    rig.get("/jobs/j/tasks/a").send().await.refuses(404, "TaskNotFound");
    agent.end(&run.attempt, Outcome::Stopped).await;
    assert_eq!(agent.run().await.attempt.task_id, "c");
    // The name is free again, and what is said of the old task is not about the new one.
    rig.task("j", "a", json!({})).await;
    rig.delete("/jobs/j/tasks/c").send().await.expect(200);
    let new = agent.run().await;
    assert_eq!((&*new.attempt.task_id, new.attempt.attempt), ("a", 1));
    assert_ne!(new.attempt, run.attempt);
    agent.end(&run.attempt, Outcome::Exited { exit_code: 0 }).await;
    rig.task("j", "b", json!({})).await;
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    let expected =
        json!({ "active": 1, "running": 1, "completed": 0, "succeeded": 0, "failed": 0 });
    assert_eq!(counts["taskCounts"], expected);
}

#[tokio::test]
async fn a_collection_tells_of_each_task() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.task("j", "there", json!({})).await;
    let body = json!({ "value": [
        { "id": "new", "commandLine": "true" },
        { "id": "THERE", "commandLine": "true" },
        { "id": "new", "commandLine": "true" },
        { "id": "bad/id", "commandLine": "true" },
    ] });
    let reply = rig.post("/jobs/j/addtaskcollection", &body).send().await.expect(200);
    let metadata = format!("{}/$metadata#taskaddresult", rig.url());
    assert_eq!(reply.body["odata.metadata"], metadata);
    let results = reply.body["value"].as_array().expect("results");
    let said: Vec<_> = results
        .iter()
        .map(|it| {
            let text = |it: &Value| it.as_str().unwrap_or("-").to_owned();
            [text(&it["taskId"]), text(&it["status"]), text(&it["error"]["code"])].join(" ")
        })
        .collect();
    assert_eq!(
        said,
        [
            "new success -",
            "THERE clienterror TaskExists",
            "new clienterror TaskExists",
            "bad/id clienterror InvalidPropertyValue"
        ]
    );
    let added = rig.get("/jobs/j/tasks/new").send().await.expect(200);
    assert_eq!(results[0]["eTag"].as_str(), added.header("etag"));
    assert_eq!(results[0]["location"], added.body["url"]);
    assert_eq!(results[0]["lastModified"], added.body["lastModified"]);
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["active"], 2);
}

#[tokio::test]
async fn a_task_goes_to_the_node_it_names_or_to_another() {
    let mut rig = Rig::start().await;
    let agents = rig.pool("p", 2, json!({})).await;
    rig.job("j", "p").await;
    for (n, agent) in agents.iter().enumerate() {
        let node = rig.get(&format!("/pools/p/nodes/{}", agent.node_id())).send().await.body;
        let task = format!("t{n}");
        rig.task("j", &task, json!({ "affinityInfo": { "affinityId": node["affinityId"] } })).await;
        rig.until_state(&format!("/jobs/j/tasks/{task}"), "running").await;
        let task = rig.get(&format!("/jobs/j/tasks/{task}")).send().await.body;
        assert_eq!(task["nodeInfo"]["nodeId"], agent.node_id());
    }
    let affinity = json!({ "affinityInfo": { "affinityId": "TVM:gone" } });
    rig.task("j", "stray", affinity).await;
    rig.post("/jobs/j/tasks/t0/terminate", &json!({})).send().await.expect(204);
    rig.until_state("/jobs/j/tasks/stray", "running").await;
}
