//! Jobs are patched and replaced.

use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::Rig;

const DONE: Outcome = Outcome::Exited { exit_code: 0 };
const FOREVER: &str = "P10675199DT2H48M5.4775807S";

/// A job with something in every member that may change.
async fn rich_job(rig: &Rig) -> Value {
    let job = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "priority": 7, "maxParallelTasks": 3,
        "allowTaskPreemption": true, "metadata": [{ "name": "a", "value": "1" }],
        "constraints": { "maxWallClockTime": "PT1H", "maxTaskRetryCount": 4 },
        "networkConfiguration": { "subnetId": "s", "skipWithdrawFromVNet": true },
        "displayName": "J",
    });
    rig.post("/jobs", &job).send().await.expect(201);
    shown(rig).await
}

async fn shown(rig: &Rig) -> Value {
    rig.get("/jobs/j").send().await.expect(200).body
}

async fn disable(rig: &Rig) {
    rig.post("/jobs/j/disable", &json!({ "disableTasks": "wait" })).send().await.expect(202);
    rig.until_state("/jobs/j", "disabled").await;
}

/// The members of `job` that its client can change.
fn changeable(job: &Value) -> Value {
    let names = [
        "priority",
        "maxParallelTasks",
        "allowTaskPreemption",
        "onAllTasksComplete",
        "constraints",
        "metadata",
        "poolInfo",
        "networkConfiguration",
    ];
    names.iter().map(|name| ((*name).to_owned(), job[name].clone())).collect()
}

#[tokio::test]
async fn a_patch_replaces_each_given_member_whole() {
    let rig = Rig::start().await;
    let before = rich_job(&rig).await;
    let told = rig.patch("/jobs/j", &json!({ "priority": -1 })).send().await.expect(200);
    assert!(told.header("dataserviceid").is_some_and(|it| it.ends_with("/jobs/j")));
    let after = shown(&rig).await;
    assert_eq!(told.header("etag"), after["eTag"].as_str());
    assert_ne!(after["eTag"], before["eTag"]);
    let mut expected = changeable(&before);
    expected["priority"] = json!(-1);
    assert_eq!(changeable(&after), expected);
    assert_eq!(after["stateTransitionTime"], before["stateTransitionTime"]);
    let patch = json!({
        "constraints": { "maxWallClockTime": "PT2H" }, "metadata": [], "maxParallelTasks": 1,
        "onAllTasksComplete": "terminatejob", "allowTaskPreemption": false,
        "networkConfiguration": { "subnetId": "t", "skipWithdrawFromVNet": false },
    });
    rig.patch("/jobs/j", &patch).send().await.expect(200);
    let expected = json!({
        "priority": -1, "maxParallelTasks": 1, "allowTaskPreemption": false,
        "onAllTasksComplete": "terminatejob", "metadata": [], "poolInfo": { "poolId": "p" },
        "constraints": { "maxWallClockTime": "PT2H", "maxTaskRetryCount": 0 },
        "networkConfiguration": { "subnetId": "t", "skipWithdrawFromVNet": false },
    });
    assert_eq!(changeable(&shown(&rig).await), expected);
}

#[tokio::test]
async fn an_update_takes_away_what_it_leaves_out() {
    let rig = Rig::start().await;
    let before = rich_job(&rig).await;
    let body = json!({ "poolInfo": { "poolId": "P" } });
    // Versions that do not know a member leave it alone.
    rig.put("/jobs/j", &body).version("2021-06-01.14.0").send().await.expect(200);
    let after = shown(&rig).await;
    assert_eq!(after["maxParallelTasks"], 3);
    assert_eq!(after["allowTaskPreemption"], true);
    assert_eq!(after["priority"], 0);
    rig.put("/jobs/j", &body).send().await.expect(200);
    let expected = json!({
        "priority": 0, "maxParallelTasks": -1, "allowTaskPreemption": false,
        "onAllTasksComplete": "noaction", "metadata": null, "poolInfo": { "poolId": "P" },
        "constraints": { "maxWallClockTime": FOREVER, "maxTaskRetryCount": 0 },
        "networkConfiguration": before["networkConfiguration"],
    });
    let after = shown(&rig).await;
    assert_eq!(changeable(&after), expected);
    assert_eq!(after["displayName"], "J", "that is not for an update to change");
    rig.put("/jobs/j", &json!({})).send().await.refuses(400, "MissingRequiredProperty");
}

#[tokio::test]
async fn the_newest_clients_send_back_all_they_read() {
    let rig = Rig::start().await;
    let mut job = rich_job(&rig).await;
    job["priority"] = json!(9);
    rig.put("/jobs/j", &job).send().await.expect(200);
    let after = shown(&rig).await;
    assert_eq!(changeable(&after), changeable(&job));
    assert_eq!(after["creationTime"], job["creationTime"]);
}

#[tokio::test]
async fn what_a_job_ends_with_can_not_be_taken_back() {
    let rig = Rig::start().await;
    let job = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "onAllTasksComplete": "terminatejob",
    });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.task("j", "t", json!({})).await;
    let patch = json!({ "onAllTasksComplete": "noaction" });
    let refused = rig.patch("/jobs/j", &patch).send().await.refuses(400, "InvalidPropertyValue");
    assert_eq!(refused.value("PropertyName"), "onAllTasksComplete");
    let update = json!({ "poolInfo": { "poolId": "p" } });
    rig.put("/jobs/j", &update).send().await.refuses(400, "InvalidPropertyValue");
    rig.patch("/jobs/j", &json!({ "priority": 3 })).send().await.expect(200);
}

#[tokio::test]
async fn a_job_moves_to_another_pool_while_it_is_disabled() {
    let mut rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let moved = json!({ "poolInfo": { "poolId": "q" } });
    let refused = rig.patch("/jobs/j", &moved).send().await;
    refused.refuses(409, "OperationInvalidForCurrentState");
    rig.patch("/jobs/j", &json!({ "poolInfo": { "poolId": "p" } })).send().await.expect(200);
    disable(&rig).await;
    rig.patch("/jobs/j", &moved).send().await.expect(200);
    assert_eq!(shown(&rig).await["executionInfo"]["poolId"], "q");
    let nowhere = rig.patch("/jobs/j", &json!({ "poolInfo": {} })).send().await;
    assert_eq!(nowhere.status, 400, "{}", nowhere.body);
    rig.post("/jobs/j/enable", &json!({})).send().await.expect(202);
    let mut agents = rig.pool("q", 1, json!({})).await;
    agents[0].run_to(DONE).await;
    rig.until_state("/jobs/j/tasks/t", "completed").await;
}

#[tokio::test]
async fn priority_and_limit_change_while_a_job_runs() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let agent = &mut agents[0];
    let limited = json!({ "id": "j", "poolInfo": { "poolId": "p" }, "maxParallelTasks": 1 });
    rig.post("/jobs", &limited).send().await.expect(201);
    rig.tasks("j", 4).await;
    let first = agent.run().await;
    // The limit goes, and the second slot is taken at once.
    rig.patch("/jobs/j", &json!({ "maxParallelTasks": -1 })).send().await.expect(200);
    let second = agent.run().await;
    rig.job("k", "p").await;
    rig.tasks("k", 1).await;
    rig.patch("/jobs/k", &json!({ "priority": 10 })).send().await.expect(200);
    agent.end(&first.attempt, DONE).await;
    assert_eq!(agent.run().await.job_id, "k");
    agent.end(&second.attempt, DONE).await;
    assert_eq!(agent.run().await.job_id, "j");
}

#[tokio::test]
async fn a_shorter_wall_clock_ends_a_running_job() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let patch = json!({ "constraints": { "maxWallClockTime": "PT0.1S" } });
    rig.patch("/jobs/j", &patch).send().await.expect(200);
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "MaxWallClockTimeExpiry");
    let late = rig.patch("/jobs/j", &json!({ "priority": 1 })).send().await;
    late.refuses(409, "JobCompleted");
}

#[tokio::test]
async fn a_job_whose_tasks_are_over_ends_once_it_is_told_to() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agents[0].run_to(DONE).await;
    rig.until_state("/jobs/j/tasks/t", "completed").await;
    disable(&rig).await;
    let patch = json!({ "onAllTasksComplete": "terminatejob" });
    rig.patch("/jobs/j", &patch).send().await.expect(200);
    // It rests as long as it is disabled.
    rig.task("j", "u", json!({})).await;
    rig.delete("/jobs/j/tasks/u").send().await.expect(200);
    assert_eq!(shown(&rig).await["state"], "disabled");
    rig.post("/jobs/j/enable", &json!({})).send().await.expect(202);
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "AllTasksCompleted");
}

#[tokio::test]
async fn changes_of_jobs_that_are_refused() {
    let rig = Rig::start().await;
    let before = rich_job(&rig).await;
    for (patch, name) in [
        (json!({ "priority": 1001 }), "priority"),
        (json!({ "priority": "high" }), "priority"),
        (json!({ "maxParallelTasks": 0 }), "maxParallelTasks"),
        (json!({ "constraints": { "maxTaskRetryCount": -2 } }), "constraints.maxTaskRetryCount"),
        (json!({ "constraints": { "maxWallClockTime": "-PT1S" } }), "constraints.maxWallClockTime"),
        (json!({ "onTaskFailure": "noaction", "usesTaskDependency": true }), "usesTaskDependency"),
    ] {
        let refused = rig.patch("/jobs/j", &patch).send().await;
        assert_eq!(refused.status, 400, "{patch} {}", refused.body);
        assert_eq!(refused.value("PropertyName"), name, "{patch} {}", refused.body);
    }
    let nameless = json!({ "metadata": [{ "name": "", "value": "1" }] });
    rig.patch("/jobs/j", &nameless).send().await.refuses(400, "EmptyMetadataKey");
    let late = rig.patch("/jobs/j", &json!({})).header("if-match", "0x8D0000000000000");
    late.send().await.refuses(412, "ConditionNotMet");
    assert_eq!(shown(&rig).await, before);
    rig.patch("/jobs/k", &json!({})).send().await.refuses(404, "JobNotFound");
}
