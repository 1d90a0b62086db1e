//! Jobs are disabled, enabled, terminated and deleted, whatever they are doing.

use kiln_wire::node::{Outcome, ToAgent};
use serde_json::{Value, json};

use crate::rig::{Agent, Reply, Rig};

const DONE: Outcome = Outcome::Exited { exit_code: 0 };

/// A job whose task `runs` runs, while `waits` waits.
async fn busy_job(rig: &mut Rig) -> (Agent, kiln_wire::node::Run) {
    let mut agent = rig.pool("p", 1, json!({})).await.pop().expect("an agent");
    rig.job("j", "p").await;
    rig.task("j", "runs", json!({})).await;
    let run = agent.run().await;
    rig.task("j", "waits", json!({})).await;
    (agent, run)
}

async fn disable(rig: &Rig, how: &str) -> Reply {
    rig.post("/jobs/j/disable", &json!({ "disableTasks": how })).send().await
}

async fn enable(rig: &Rig) -> Reply {
    rig.post("/jobs/j/enable", &Value::Null).text(String::new()).send().await
}

async fn end(rig: &Rig, reason: &str) -> Reply {
    rig.post("/jobs/j/terminate", &json!({ "terminateReason": reason })).send().await
}

#[tokio::test]
async fn disabling_with_requeue_runs_tasks_again_later() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy_job(&mut rig).await;
    let told = disable(&rig, "requeue").await.expect(202);
    assert!(told.header("dataserviceid").is_some_and(|it| it.ends_with("/jobs/j/disable")));
    assert_eq!(agent.stop().await, run.attempt);
    let job = rig.until_state("/jobs/j", "disabled").await;
    assert_eq!(job["previousState"], "disabling");
    let task = rig.get("/jobs/j/tasks/runs").send().await.expect(200).body;
    assert_eq!(task["state"], "active");
    assert_eq!(task["executionInfo"]["requeueCount"], 1);
    agent.end(&run.attempt, Outcome::Stopped).await;
    // The node is free for others and takes nothing of this job.
    rig.job("k", "p").await;
    rig.task("k", "other", json!({})).await;
    assert_eq!(agent.run_to(DONE).await.job_id, "k");
    let told = enable(&rig).await.expect(202);
    assert!(told.header("dataserviceid").is_some_and(|it| it.ends_with("/jobs/j/enable")));
    let again = agent.run_to(DONE).await;
    assert_eq!((again.attempt.task_id.as_str(), again.attempt.attempt), ("runs", 2));
    let job = rig.until_state("/jobs/j", "active").await;
    assert_eq!(job["previousState"], "enabling");
}

#[tokio::test]
async fn disabling_with_terminate_ends_tasks_for_good() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy_job(&mut rig).await;
    disable(&rig, "terminate").await.expect(202);
    assert_eq!(agent.stop().await, run.attempt);
    rig.until_state("/jobs/j", "disabled").await;
    let task = rig.get("/jobs/j/tasks/runs").send().await.expect(200).body;
    assert_eq!(task["state"], "completed");
    assert_eq!(task["executionInfo"]["failureInfo"]["code"], "TaskEnded");
    let waits = rig.get("/jobs/j/tasks/waits").send().await.expect(200).body;
    assert_eq!(waits["state"], "active");
}

#[tokio::test]
async fn disabling_with_wait_lets_tasks_run_to_their_ends() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy_job(&mut rig).await;
    disable(&rig, "wait").await.expect(202);
    enable(&rig).await.refuses(409, "OperationInvalidForCurrentState");
    // A restart does not forget what it waits for.
    agent.unlink();
    agent.running.push(run.attempt.clone());
    rig.stop_server().await;
    rig.start_server().await;
    agent.relink().await;
    assert_eq!(agent.run().await.attempt, run.attempt, "the order is repeated");
    assert_eq!(rig.get("/jobs/j").send().await.body["state"], "disabling");
    agent.end(&run.attempt, DONE).await;
    rig.until_state("/jobs/j", "disabled").await;
    let task = rig.get("/jobs/j/tasks/runs").send().await.expect(200).body;
    assert_eq!(task["executionInfo"]["result"], "success");
    // Tasks are added all the same, and run in their turn.
    rig.task("j", "late", json!({})).await;
    enable(&rig).await.expect(202);
    assert_eq!(agent.run_to(DONE).await.attempt.task_id, "waits");
    assert_eq!(agent.run_to(DONE).await.attempt.task_id, "late");
}

#[tokio::test]
async fn who_can_not_wait_any_longer_disables_again() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy_job(&mut rig).await;
    let first = disable(&rig, "wait").await.expect(202);
    let second = disable(&rig, "requeue").await.expect(202);
    assert_ne!(first.header("etag"), second.header("etag"));
    assert_eq!(agent.stop().await, run.attempt);
    rig.until_state("/jobs/j", "disabled").await;
    disable(&rig, "terminate").await.expect(202);
    rig.until_state("/jobs/j", "disabled").await;
}

#[tokio::test]
async fn a_disabled_job_ends_and_goes_like_any_other() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy_job(&mut rig).await;
    disable(&rig, "wait").await.expect(202);
    end(&rig, "enough").await.expect(202);
    assert_eq!(agent.stop().await, run.attempt);
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "enough");
    rig.delete("/jobs/j").send().await.expect(202);
    let forgets = agent.expect("an order to remove files", |message| {
        if let ToAgent::RemoveDirectory { path } = message { Some(path.clone()) } else { None }
    });
    assert_eq!(forgets.await, "workitems/j");
    rig.until("/jobs/j", |it| it.status == 404).await.refuses(404, "JobNotFound");
}

#[tokio::test]
async fn a_job_without_running_tasks_rests_at_once() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    let before = rig.get("/jobs/j").send().await.body;
    // Nothing to enable, and nothing changes.
    enable(&rig).await.expect(202);
    assert_eq!(rig.get("/jobs/j").send().await.body["eTag"], before["eTag"]);
    disable(&rig, "wait").await.expect(202);
    let job = rig.until_state("/jobs/j", "disabled").await;
    assert_ne!(job["eTag"], before["eTag"]);
    let odd = rig.post("/jobs/j/disable", &json!({})).send().await;
    odd.refuses(400, "MissingRequiredProperty");
    disable(&rig, "perhaps").await.refuses(400, "InvalidPropertyValue");
}

#[tokio::test]
async fn conditions_hold_for_every_step_of_a_job() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    let tag = rig.get("/jobs/j").send().await.header("etag").expect("a tag").to_owned();
    let body = json!({ "disableTasks": "wait" });
    for ask in [
        rig.post("/jobs/j/disable", &body),
        rig.post("/jobs/j/enable", &json!({})),
        rig.post("/jobs/j/terminate", &json!({})),
        rig.delete("/jobs/j"),
    ] {
        let late = ask.header("if-match", "0x8D0000000000000").send().await;
        late.refuses(412, "ConditionNotMet");
    }
    let quoted = format!("\"{tag}\"");
    rig.post("/jobs/j/disable", &body).header("if-match", &quoted).send().await.expect(202);
}

#[tokio::test]
async fn a_job_that_has_ended_refuses_every_step_but_its_removal() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    end(&rig, "enough").await.expect(202);
    rig.until_state("/jobs/j", "completed").await;
    let refused = disable(&rig, "wait").await.refuses(409, "JobCompleted");
    let text = refused.body["message"]["value"].as_str().unwrap_or_default();
    assert!(text.contains("already in a completed state."), "{text}");
    enable(&rig).await.refuses(409, "JobCompleted");
    end(&rig, "twice").await.refuses(409, "JobCompleted");
    rig.delete("/jobs/j").send().await.expect(202);
}

#[tokio::test]
async fn a_job_goes_with_all_that_it_can_have() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 4 })).await;
    let command = |id: &str| json!({ "id": id, "commandLine": "true" });
    let mut manager = command("boss");
    manager["runExclusive"] = json!(false);
    let job = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "usesTaskDependencies": true,
        "onTaskFailure": "performexitoptionsjobaction", "jobManagerTask": manager,
        "jobPreparationTask": command("before"), "jobReleaseTask": command("after"),
        "metadata": [{ "name": "a", "value": "1" }],
    });
    rig.post("/jobs", &job).send().await.expect(201);
    for (id, dependencies) in [
        ("7", json!({ "taskIds": ["boss", "not-there"] })),
        ("8", json!({ "taskIdRanges": [{ "start": 1, "end": 7 }, { "start": 3, "end": 900 }] })),
        ("9", json!({ "taskIds": ["7"], "taskIdRanges": [{ "start": 7, "end": 8 }] })),
    ] {
        rig.task("j", id, json!({ "dependsOn": dependencies })).await;
    }
    rig.task("j", "free", json!({})).await;
    let preparation = agents[0].run().await;
    agents[0].end(&preparation.attempt, DONE).await;
    agents[0].run().await;
    rig.delete("/jobs/j").send().await.expect(202);
    assert_eq!(rig.get("/jobs/j").send().await.expect(200).body["state"], "deleting");
    let mut release = agents[0].run().await;
    while release.task.id != "after" {
        release = agents[0].run().await;
    }
    agents[0].end(&release.attempt, DONE).await;
    rig.until("/jobs/j", |it| it.status == 404).await;
    // Nothing of it is left for another of its name.
    rig.job("j", "p").await;
    rig.task("j", "9", json!({})).await;
    while agents[0].run().await.task.id != "9" {}
}
