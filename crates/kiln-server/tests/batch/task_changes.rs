//! What clients change of tasks: their constraints, and that they run again.

use kiln_wire::node::Outcome;
use serde_json::json;

use crate::rig::Rig;

const FAILED: Outcome = Outcome::Exited { exit_code: 3 };
const FOREVER: &str = "P10675199DT2H48M5.4775807S";

#[tokio::test]
async fn constraints_of_a_task_are_replaced_as_a_whole() {
    let rig = Rig::start().await;
    let job = json!({ "id": "j", "poolInfo": { "poolId": "p" },
                      "constraints": { "maxTaskRetryCount": 4 } });
    rig.post("/jobs", &job).send().await.expect(201);
    let constraints = json!({ "maxWallClockTime": "PT1H", "retentionTime": "PT2H",
                              "maxTaskRetryCount": 1 });
    rig.task("j", "t", json!({ "constraints": constraints, "displayName": "d" })).await;
    let before = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    let some = json!({ "constraints": { "retentionTime": "PT3H" } });
    let changed = rig.put("/jobs/j/tasks/t", &some).send().await.expect(200);
    assert!(changed.header("dataserviceid").is_some_and(|it| it.ends_with("/jobs/j/tasks/t")));
    let after = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(after.header("etag"), changed.header("etag"));
    assert_ne!(after.header("etag"), before.header("etag"));
    let expected = json!({ "maxWallClockTime": FOREVER, "retentionTime": "PT3H",
                           "maxTaskRetryCount": 4 });
    assert_eq!(after.body["constraints"], expected);
    assert_eq!(after.body["displayName"], "d");
    assert_eq!(after.body["stateTransitionTime"], before.body["stateTransitionTime"]);
    rig.put("/jobs/j/tasks/t", &json!({})).send().await.expect(200);
    let after = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(after["constraints"]["retentionTime"], "P7D");
}

#[tokio::test]
async fn changed_constraints_count_from_the_next_run_on() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let run = agent.run().await;
    let body = json!({ "constraints": { "maxTaskRetryCount": 1, "maxWallClockTime": "PT9M" } });
    rig.put("/jobs/j/tasks/t", &body).send().await.expect(200);
    agent.end(&run.attempt, FAILED).await;
    let again = agent.run().await;
    assert_eq!(again.attempt.attempt, 2);
    let limit = again.task.constraints.max_wall_clock_time.map(|it| it.to_string());
    assert_eq!(limit.as_deref(), Some("PT9M"));
    agent.end(&again.attempt, FAILED).await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(
        (&task["state"], &task["executionInfo"]["retryCount"]),
        (&json!("completed"), &json!(1))
    );
    rig.put("/jobs/j/tasks/t", &body).send().await.refuses(409, "TaskCompleted");
}

#[tokio::test]
async fn constraints_that_break_a_rule_are_refused() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let path = "/jobs/j/tasks/t";
    let put = |constraints| rig.put(path, &json!({ "constraints": constraints })).send();
    put(json!({ "maxTaskRetryCount": -2 })).await.refuses(400, "InvalidPropertyValue");
    put(json!({ "maxWallClockTime": "-PT1S" })).await.refuses(400, "InvalidPropertyValue");
    rig.put("/jobs/j/tasks/u", &json!({})).send().await.refuses(404, "TaskNotFound");
    let stale = rig.put(path, &json!({})).header("if-match", "0x8D0000000000000").send().await;
    stale.refuses(412, "ConditionNotMet");
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobs/j", "completed").await;
    rig.put(path, &json!({})).send().await.refuses(409, "JobCompleted");
}

#[tokio::test]
async fn a_failed_task_runs_again_as_if_it_were_new() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.task("j", "t", json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    rig.post("/jobs/j/tasks/t/reactivate", &json!({}))
        .send()
        .await
        .refuses(409, "TaskNotCompleted");
    agent.run_to(FAILED).await;
    agent.run_to(FAILED).await;
    rig.task("j", "busy", json!({})).await;
    let busy = agent.run().await;
    let before = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    let again = rig.post("/jobs/j/tasks/t/reactivate", &json!({})).send().await.expect(204);
    let after = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(after.header("etag"), again.header("etag"));
    assert_ne!(after.header("etag"), before.header("etag"));
    assert_eq!(after.body["state"], "active");
    assert_eq!(after.body["previousState"], "completed");
    assert_eq!(after.body["executionInfo"], json!({ "retryCount": 0, "requeueCount": 0 }));
    assert_eq!(after.body.get("nodeInfo"), None);
    assert_eq!(after.body["lastModified"], after.body["stateTransitionTime"]);
    assert_eq!(after.body["creationTime"], before.body["creationTime"]);
    agent.end(&busy.attempt, Outcome::Exited { exit_code: 0 }).await;
    let run = agent.run_to(Outcome::Exited { exit_code: 0 }).await;
    assert_eq!((&*run.attempt.task_id, run.attempt.attempt), ("t", 3));
    rig.post("/jobs/j/tasks/t/reactivate", &json!({})).send().await.refuses(409, "TaskSucceeded");
}

#[tokio::test]
async fn a_task_is_reactivated_while_its_job_lives() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agents[0].run_to(FAILED).await;
    let rest = json!({ "disableTasks": "requeue" });
    rig.post("/jobs/j/disable", &rest).send().await.expect(202);
    rig.until_state("/jobs/j", "disabled").await;
    rig.post("/jobs/j/tasks/t/reactivate", &json!({})).send().await.expect(204);
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(task["state"], "active");
    rig.post("/jobs/j/tasks/t/terminate", &json!({})).send().await.expect(204);
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobs/j", "completed").await;
    rig.post("/jobs/j/tasks/t/reactivate", &json!({})).send().await.refuses(409, "JobCompleted");
}
