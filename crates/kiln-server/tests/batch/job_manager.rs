//! The task that is added with its job.

use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::Rig;

const DONE: Outcome = Outcome::Exited { exit_code: 0 };
const FAILED: Outcome = Outcome::Exited { exit_code: 1 };
const FOREVER: &str = "P10675199DT2H48M5.4775807S";

/// Adds a job whose manager has these members beside its name and command.
async fn add(rig: &Rig, more: Value) {
    let mut manager = json!({ "id": "boss", "commandLine": "manage" });
    for (name, value) in more.as_object().expect("members") {
        manager[name] = value.clone();
    }
    let job = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "jobManagerTask": manager,
        "constraints": { "maxTaskRetryCount": 2 },
        "commonEnvironmentSettings": [{ "name": "A", "value": "1" }],
    });
    rig.post("/jobs", &job).send().await.expect(201);
}

#[tokio::test]
async fn a_job_manager_is_listed_as_any_task_with_what_it_left_out() {
    let rig = Rig::start().await;
    add(
        &rig,
        json!({ "displayName": "B", "environmentSettings": [{ "name": "C", "value": "2" }] }),
    )
    .await;
    let user = json!({ "autoUser": { "scope": "pool", "elevationLevel": "nonadmin" } });
    let constraints = json!({
        "maxWallClockTime": FOREVER, "retentionTime": "P7D", "maxTaskRetryCount": 2,
    });
    let environment = json!([{ "name": "C", "value": "2" }]);
    let job = rig.get("/jobs/j").send().await.expect(200).body;
    let expected = json!({
        "id": "boss", "displayName": "B", "commandLine": "manage", "userIdentity": user,
        "constraints": constraints, "environmentSettings": environment, "requiredSlots": 1,
        "killJobOnCompletion": true, "runExclusive": true, "allowLowPriorityNode": true,
    });
    assert_eq!(job["jobManagerTask"], expected);
    let listed = rig.get("/jobs/j/tasks").send().await.expect(200);
    assert_eq!(listed.ids(), ["boss"]);
    let task = rig.get("/jobs/j/tasks/boss").send().await.expect(200).body;
    for name in ["displayName", "commandLine", "userIdentity", "constraints", "requiredSlots"] {
        assert_eq!(task[name], expected[name], "{name}");
    }
    assert_eq!(task["environmentSettings"], environment);
    assert_eq!(task["runExclusive"], Value::Null, "that is its job's to show");
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["active"], 1);
    // What the job allows its tasks later is not what its manager was given.
    let patch = json!({ "constraints": { "maxWallClockTime": "P1D" } });
    rig.patch("/jobs/j", &patch).send().await.expect(200);
    let job = rig.get("/jobs/j").send().await.expect(200).body;
    assert_eq!(job["constraints"]["maxTaskRetryCount"], 0);
    assert_eq!(job["jobManagerTask"]["constraints"]["maxTaskRetryCount"], 2);
    let boss = json!({ "id": "Boss", "commandLine": "true" });
    rig.post("/jobs/j/tasks", &boss).send().await.refuses(409, "TaskExists");
}

#[tokio::test]
async fn a_job_manager_comes_first_and_ends_its_job() {
    let mut rig = Rig::start().await;
    add(&rig, json!({ "runExclusive": false })).await;
    rig.tasks("j", 2).await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let agent = &mut agents[0];
    let boss = agent.run().await;
    assert_eq!(boss.attempt.task_id, "boss");
    assert_eq!(boss.job_environment[0].name, "A");
    let other = agent.run().await;
    agent.end(&boss.attempt, DONE).await;
    assert_eq!(agent.stop().await, other.attempt, "what still runs is killed");
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "JMComplete");
    let waits = rig.get("/jobs/j/tasks/t00001").send().await.expect(200).body;
    assert_eq!(waits["state"], "active");
}

#[tokio::test]
async fn a_job_manager_that_fails_is_retried_before_it_ends_its_job() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    add(&rig, json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    rig.tasks("j", 1).await;
    assert_eq!(agents[0].run_to(FAILED).await.attempt.attempt, 1);
    // Its retry comes before the task that waits.
    let again = agents[0].run().await;
    assert_eq!((again.attempt.task_id.as_str(), again.attempt.attempt), ("boss", 2));
    assert_eq!(rig.get("/jobs/j").send().await.body["state"], "active");
    agents[0].end(&again.attempt, FAILED).await;
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "JMComplete");
}

#[tokio::test]
async fn a_job_manager_that_runs_again_takes_the_place_of_a_task() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    add(&rig, json!({ "killJobOnCompletion": false })).await;
    let boss = agents[0].run().await;
    rig.until("/pools/p", |reply| reply.body["allocationState"] == "steady").await;
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 2 })).send().await.expect(202);
    agents.extend(rig.ready(1).await);
    rig.tasks("j", 1).await;
    let other = agents[1].run().await;
    assert_eq!(other.attempt.task_id, "t00000");
    let path = format!("/pools/p/nodes/{}/disablescheduling", agents[0].node_id());
    rig.post(&path, &json!({ "nodeDisableSchedulingOption": "requeue" })).send().await.expect(200);
    assert_eq!(agents[0].stop().await, boss.attempt);
    assert_eq!(agents[1].stop().await, other.attempt);
    let again = agents[1].run().await;
    assert_eq!((again.attempt.task_id.as_str(), again.attempt.attempt), ("boss", 2));
    // As after the loss of a Spot node: nothing is counted.
    let waits = rig.until_state("/jobs/j/tasks/t00000", "active").await;
    assert_eq!(waits["executionInfo"], json!({ "retryCount": 0, "requeueCount": 0 }));
    agents[1].end(&again.attempt, DONE).await;
    assert_eq!(agents[1].run().await.attempt.task_id, "t00000");
}

#[tokio::test]
async fn a_job_manager_need_not_end_its_job() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    add(&rig, json!({ "killJobOnCompletion": false })).await;
    rig.tasks("j", 1).await;
    assert_eq!(agents[0].run_to(DONE).await.attempt.task_id, "boss");
    assert_eq!(agents[0].run_to(DONE).await.attempt.task_id, "t00000");
    rig.until_state("/jobs/j/tasks/t00000", "completed").await;
    assert_eq!(rig.get("/jobs/j").send().await.body["state"], "active");
}

#[tokio::test]
async fn a_job_manager_has_its_node_for_itself_unless_told_otherwise() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let agent = &mut agents[0];
    rig.job("k", "p").await;
    rig.task("k", "before", json!({})).await;
    let before = agent.run().await;
    add(&rig, json!({ "killJobOnCompletion": false })).await;
    rig.patch("/jobs/j", &json!({ "priority": 1 })).send().await.expect(200);
    rig.task("k", "after", json!({ "requiredSlots": 2 })).await;
    agent.end(&before.attempt, DONE).await;
    let boss = agent.run().await;
    assert_eq!(boss.attempt.task_id, "boss");
    rig.task("k", "small", json!({})).await;
    agent.end(&boss.attempt, DONE).await;
    // Both slots are free again only now.
    assert_eq!(agent.run().await.attempt.task_id, "after");
}

#[tokio::test]
async fn a_job_manager_may_keep_away_from_spot_nodes() {
    let mut rig = Rig::start().await;
    let spot = json!({ "targetDedicatedNodes": 0, "targetLowPriorityNodes": 1 });
    let mut spot = rig.pool("p", 1, spot).await;
    add(&rig, json!({ "allowLowPriorityNode": false, "killJobOnCompletion": false })).await;
    rig.tasks("j", 1).await;
    assert_eq!(spot[0].run().await.attempt.task_id, "t00000");
    let more = json!({ "targetDedicatedNodes": 1, "targetLowPriorityNodes": 1 });
    rig.post("/pools/p/resize", &more).send().await.expect(202);
    let mut dedicated = rig.ready(1).await;
    assert_eq!(dedicated[0].run().await.attempt.task_id, "boss");
}

#[tokio::test]
async fn ending_or_deleting_a_job_manager_by_hand() {
    let rig = Rig::start().await;
    add(&rig, json!({})).await;
    rig.delete("/jobs/j/tasks/boss").send().await.expect(200);
    // Another task of that name is no manager.
    rig.task("j", "boss", json!({})).await;
    rig.post("/jobs/j/tasks/boss/terminate", &json!({})).send().await.expect(204);
    rig.task("j", "t", json!({})).await;
    assert_eq!(rig.get("/jobs/j").send().await.body["state"], "active");
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
    add(&rig, json!({})).await;
    rig.post("/jobs/j/tasks/boss/terminate", &json!({})).send().await.expect(204);
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "JMComplete");
}

#[tokio::test]
async fn a_job_whose_manager_is_wrong_is_not_added() {
    let rig = Rig::start().await;
    for (manager, name) in [
        (json!({ "id": "a b", "commandLine": "true" }), "jobManagerTask.id"),
        (json!({ "id": "a" }), "jobManagerTask.commandLine"),
        (
            json!({ "id": "a", "commandLine": "true", "requiredSlots": 0 }),
            "jobManagerTask.requiredSlots",
        ),
        (
            json!({ "id": "a", "commandLine": "true",
                    "constraints": { "maxTaskRetryCount": -2 } }),
            "jobManagerTask.constraints.maxTaskRetryCount",
        ),
    ] {
        let job = json!({ "id": "j", "poolInfo": { "poolId": "p" }, "jobManagerTask": manager });
        let refused = rig.post("/jobs", &job).send().await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.value("PropertyName"), name, "{}", refused.body);
    }
    rig.get("/jobs/j").send().await.refuses(404, "JobNotFound");
}
