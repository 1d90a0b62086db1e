//! Tasks use their own job with the token that they are given.

use kiln_wire::auth::task_token::Issuer;
use kiln_wire::node::{Outcome, Run};
use serde_json::{Value, json};

use crate::rig::{Agent, Ask, Rig};

const FAILED: Outcome = Outcome::Exited { exit_code: 1 };
const LATER: &str = "2019-08-01.10.0";

fn with_token() -> Value {
    json!({ "authenticationTokenSettings": { "access": ["job"] } })
}

/// The request as a task makes it that found this token.
fn by(agent: &Agent, run: &Run, ask: Ask) -> Ask {
    let token = Issuer::of(&agent.config).make(&run.attempt);
    ask.header("authorization", &format!("Bearer {token}")).header("ocp-date", "")
}

/// Adds a task in a version that knows the setting.
async fn add(rig: &Rig, job: &str, id: &str, more: Value) {
    let mut body = json!({ "id": id, "commandLine": "true" });
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    let ask = rig.post(&format!("/jobs/{job}/tasks"), &body);
    ask.version(LATER).send().await.expect(201);
}

#[tokio::test]
async fn a_task_with_a_token_uses_its_own_job_and_nothing_else() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.job("k", "p").await;
    add(&rig, "j", "t", with_token()).await;
    let shown = rig.get("/jobs/j/tasks/t").version(LATER).send().await.expect(200).body;
    assert_eq!(shown["authenticationTokenSettings"], json!({ "access": ["job"] }));
    let newest = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(newest.get("authenticationTokenSettings"), None, "the newest do not know it");
    let run = agents[0].run().await;
    assert!(run.task.may_use_job());
    let ask = |ask| by(&agents[0], &run, ask).send();
    let more = json!({ "id": "more", "commandLine": "true" });
    ask(rig.get("/jobs/J")).await.expect(200);
    ask(rig.post("/jobs/j/tasks", &more)).await.expect(201);
    assert_eq!(ask(rig.get("/jobs/j/tasks")).await.expect(200).ids(), ["more", "t"]);
    ask(rig.patch("/jobs/j", &json!({ "priority": 3 }))).await.expect(200);
    for (method, path) in [
        ("GET", "/jobs"),
        ("GET", "/pools"),
        ("GET", "/jobs/k"),
        ("DELETE", "/jobs/k"),
        ("POST", "/jobs/k/tasks"),
        ("POST", "/jobs"),
    ] {
        ask(Ask::new(rig.url(), method, path).json(&more)).await.refuses(403, "Forbidden");
    }
    ask(rig.post("/jobs/j/terminate", &json!({}))).await.expect(202);
    rig.until_state("/jobs/j", "completed").await;
    ask(rig.get("/jobs/j")).await.refuses(403, "AuthenticationFailed");
}

#[tokio::test]
async fn a_token_is_good_for_as_long_as_its_run() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    let mut retried = with_token();
    retried["constraints"] = json!({ "maxTaskRetryCount": 1 });
    add(&rig, "j", "t", retried).await;
    let first = agents[0].run_to(FAILED).await;
    let second = agents[0].run().await;
    let ask = |run| by(&agents[0], run, rig.get("/jobs/j")).send();
    ask(&first).await.refuses(403, "AuthenticationFailed");
    ask(&second).await.expect(200);
    // Nobody else can make one.
    let mut forger = agents[0].config.clone();
    forger.link_secret = "guessed".to_owned();
    let token = Issuer::of(&forger).make(&second.attempt);
    let forged = rig.get("/jobs/j").header("authorization", &format!("Bearer {token}"));
    forged.send().await.refuses(403, "AuthenticationFailed");
    // A task of the same name that came later has a token of its own.
    rig.delete("/jobs/j/tasks/t").send().await.expect(200);
    add(&rig, "j", "t", with_token()).await;
    let again = agents[0].run().await;
    let ask = |run| by(&agents[0], run, rig.get("/jobs/j")).send();
    ask(&again).await.expect(200);
    ask(&first).await.refuses(403, "AuthenticationFailed");
}

#[tokio::test]
async fn a_job_manager_adds_tasks_with_its_token() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let mut manager = json!({ "id": "boss", "commandLine": "manage", "runExclusive": false });
    manager["authenticationTokenSettings"] = json!({ "access": ["job"] });
    let job = json!({ "id": "j", "poolInfo": { "poolId": "p" }, "jobManagerTask": manager });
    rig.post("/jobs", &job).version(LATER).send().await.expect(201);
    let boss = agents[0].run().await;
    let tasks = json!({ "value": [{ "id": "a", "commandLine": "true" }] });
    let adding = by(&agents[0], &boss, rig.post("/jobs/j/addtaskcollection", &tasks));
    adding.send().await.expect(200);
    assert_eq!(agents[0].run().await.attempt.task_id, "a");
}
