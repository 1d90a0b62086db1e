//! What the end of a task means for its job and for the tasks that depend on it.

use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::{Agent, Rig};

/// A pool of one node with four slots, and a job whose tasks act on it.
async fn start() -> (Rig, Agent) {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 4 })).await;
    add_job(&rig).await;
    (rig, agents.remove(0))
}

async fn add_job(rig: &Rig) {
    let body = json!({
        "id": "j",
        "poolInfo": { "poolId": "p" },
        "usesTaskDependencies": true,
        "onTaskFailure": "performexitoptionsjobaction",
    });
    rig.post("/jobs", &body).send().await.expect(201);
}

/// Adds a task with these exit conditions and runs it to this end.
async fn end(rig: &Rig, agent: &mut Agent, conditions: Value, outcome: Outcome) {
    rig.task("j", "t", json!({ "exitConditions": conditions })).await;
    assert_eq!(agent.run_to(outcome).await.attempt.task_id, "t");
}

fn exited(exit_code: i32) -> Outcome {
    Outcome::Exited { exit_code }
}

#[tokio::test]
async fn a_failed_task_ends_its_job_unless_it_says_otherwise() {
    let (rig, mut agent) = start().await;
    rig.task("j", "other", json!({})).await;
    let other = agent.run().await;
    end(&rig, &mut agent, json!({}), exited(1)).await;
    assert_eq!(agent.stop().await, other.attempt);
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "TaskFailed");
    rig.until_state("/jobs/j/tasks/other", "completed").await;
}

#[tokio::test]
async fn a_failed_task_disables_its_job_and_what_runs_there_runs_again_later() {
    let (rig, mut agent) = start().await;
    rig.task("j", "other", json!({})).await;
    let other = agent.run().await;
    let conditions = json!({ "exitCodes": [
        { "code": 9, "exitOptions": { "jobAction": "disable", "dependencyAction": "satisfy" } }] });
    end(&rig, &mut agent, conditions, exited(9)).await;
    assert_eq!(agent.stop().await, other.attempt);
    rig.until_state("/jobs/j", "disabled").await;
    let task = rig.get("/jobs/j/tasks/other").send().await.expect(200).body;
    assert_eq!(task["executionInfo"]["requeueCount"], 1);
    rig.post("/jobs/j/enable", &json!({})).send().await.expect(202);
    assert_eq!(agent.run().await.attempt.attempt, 2);
}

#[tokio::test]
async fn only_the_last_run_of_a_task_acts_on_its_job() {
    let (rig, mut agent) = start().await;
    rig.task("j", "t", json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    agent.run_to(exited(1)).await;
    let again = agent.run().await;
    let job = rig.get("/jobs/j").send().await.expect(200).body;
    assert_eq!(job["state"], "active");
    agent.end(&again.attempt, exited(1)).await;
    rig.until_state("/jobs/j", "completed").await;
}

#[tokio::test]
async fn what_happens_to_those_that_depend_on_a_task_is_its_own_choice() {
    let (rig, mut agent) = start().await;
    let conditions = json!({
        "exitCodeRanges": [{ "start": 1, "end": 9, "exitOptions": { "jobAction": "none" } }],
        "preProcessingError": { "jobAction": "none", "dependencyAction": "satisfy" },
    });
    let child = json!({ "dependsOn": { "taskIds": ["t"] } });
    rig.task("j", "child", child).await;
    end(&rig, &mut agent, conditions, exited(5)).await;
    rig.task("j", "x", json!({})).await;
    assert_eq!(agent.run_to(exited(0)).await.attempt.task_id, "x");
    rig.post("/jobs/j/tasks/t/reactivate", &json!({})).send().await.expect(204);
    let failure = FailureInfo::user_error("BlobNotFound", "no such blob");
    agent.run_to(Outcome::NotStarted { failure }).await;
    assert_eq!(agent.run_to(exited(0)).await.attempt.task_id, "child");
    let job = rig.get("/jobs/j").send().await.expect(200).body;
    assert_eq!(job["state"], "active");
}

#[tokio::test]
async fn tasks_that_end_with_their_job_do_not_act_on_it() {
    let (rig, mut agent) = start().await;
    rig.task("j", "t", json!({})).await;
    agent.run().await;
    let body = json!({ "disableTasks": "terminate" });
    rig.post("/jobs/j/disable", &body).send().await.expect(202);
    rig.until_state("/jobs/j/tasks/t", "completed").await;
    rig.until_state("/jobs/j", "disabled").await;
}

#[tokio::test]
async fn a_task_asks_its_job_for_no_action_that_it_never_takes() {
    let rig = Rig::start().await;
    rig.job("plain", "p").await;
    add_job(&rig).await;
    let add = |job: &str, conditions: Value| {
        let body = json!({ "id": "t", "commandLine": "true", "exitConditions": conditions });
        rig.post(&format!("/jobs/{job}/tasks"), &body).send()
    };
    let acts = json!({ "default": { "jobAction": "none" } });
    add("plain", acts.clone()).await.refuses(400, "InvalidPropertyValue");
    add("j", acts.clone()).await.expect(201);
    let shown = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(shown["exitConditions"], acts);
    let satisfies = json!({ "default": { "dependencyAction": "satisfy" } });
    add("plain", satisfies).await.expect(201);
    let job = rig.get("/jobs/j").send().await.expect(200).body;
    assert_eq!(job["onTaskFailure"], "performexitoptionsjobaction");
}
