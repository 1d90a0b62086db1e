//! Running tasks that give way to those of more urgent jobs.

use kiln_wire::node::Outcome;
use serde_json::json;

use crate::rig::Rig;

async fn add_job(rig: &Rig, id: &str, priority: i32, gives_way: bool) {
    let body = json!({ "id": id, "poolInfo": { "poolId": "p" }, "priority": priority,
                       "allowTaskPreemption": gives_way });
    rig.post("/jobs", &body).send().await.expect(201);
}

#[tokio::test]
async fn a_running_task_gives_way_and_runs_again_uncounted() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    add_job(&rig, "low", 0, true).await;
    add_job(&rig, "high", 5, false).await;
    rig.task("low", "t", json!({})).await;
    let low = agent.run().await;
    rig.task("high", "t", json!({})).await;
    assert_eq!(agent.stop().await, low.attempt);
    let high = agent.run().await;
    assert_eq!(high.job_id, "high");
    let task = rig.get("/jobs/low/tasks/t").send().await.expect(200).body;
    assert_eq!(task["state"], "active");
    assert_eq!(task["executionInfo"], json!({ "retryCount": 0, "requeueCount": 0 }));
    // What the agent says of the stopped run comes late.
    agent.end(&low.attempt, Outcome::Stopped).await;
    agent.end(&high.attempt, Outcome::Exited { exit_code: 0 }).await;
    let again = agent.run().await;
    assert_eq!((&*again.job_id, again.attempt.attempt), ("low", 2));
}

#[tokio::test]
async fn a_task_whose_job_does_not_allow_it_runs_on() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    add_job(&rig, "low", 0, false).await;
    add_job(&rig, "equal", 0, true).await;
    add_job(&rig, "high", 5, false).await;
    rig.task("low", "t", json!({})).await;
    let low = agent.run().await;
    rig.task("high", "t", json!({})).await;
    rig.task("equal", "t", json!({})).await;
    agent.end(&low.attempt, Outcome::Exited { exit_code: 0 }).await;
    let high = agent.run_to(Outcome::Exited { exit_code: 0 }).await;
    assert_eq!(high.job_id, "high");
    // One of the same priority does not make it give way.
    let equal = agent.run().await;
    assert_eq!(equal.job_id, "equal");
    rig.task("low", "u", json!({})).await;
    // Until it is more urgent.
    rig.patch("/jobs/low", &json!({ "priority": 1 })).send().await.expect(200);
    assert_eq!(agent.stop().await, equal.attempt);
    assert_eq!(agent.run().await.job_id, "low");
}
