//! Tasks that wait for others.

use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::{Agent, Rig};

const SUCCESS: Outcome = Outcome::Exited { exit_code: 0 };
const FAILURE: Outcome = Outcome::Exited { exit_code: 1 };

/// A pool of one node and a job whose tasks may depend on each other.
async fn start(slots: u32) -> (Rig, Agent) {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": slots })).await;
    add_job(&rig).await;
    (rig, agents.remove(0))
}

async fn add_job(rig: &Rig) {
    let body = json!({ "id": "j", "poolInfo": { "poolId": "p" }, "usesTaskDependencies": true });
    rig.post("/jobs", &body).send().await.expect(201);
}

async fn wait_for(rig: &Rig, id: &str, task_ids: &[&str]) {
    rig.task("j", id, json!({ "dependsOn": { "taskIds": task_ids } })).await;
}

async fn wait_for_range(rig: &Rig, id: &str, start: i32, end: i32) {
    let ranges = json!([{ "start": start, "end": end }]);
    rig.task("j", id, json!({ "dependsOn": { "taskIdRanges": ranges } })).await;
}

/// Runs the next task, which must be this one.
async fn run(agent: &mut Agent, id: &str, outcome: Outcome) {
    assert_eq!(agent.run_to(outcome).await.attempt.task_id, id);
}

/// Adds a task that nothing holds back, which comes next if no other task is ready.
async fn nothing_waits_before(rig: &Rig, agent: &mut Agent, id: &str) {
    rig.task("j", id, json!({})).await;
    run(agent, id, SUCCESS).await;
}

async fn state(rig: &Rig, id: &str) -> Value {
    rig.get(&format!("/jobs/j/tasks/{id}")).send().await.expect(200).body["state"].clone()
}

#[tokio::test]
async fn a_task_starts_when_all_that_it_depends_on_succeeded() {
    let (rig, mut agent) = start(1).await;
    wait_for(&rig, "child", &["A", "b", "B"]).await;
    rig.task("j", "a", json!({})).await;
    run(&mut agent, "a", SUCCESS).await;
    nothing_waits_before(&rig, &mut agent, "x").await;
    rig.task("j", "b", json!({})).await;
    run(&mut agent, "b", SUCCESS).await;
    run(&mut agent, "child", SUCCESS).await;
    // One that comes after all is there at once.
    wait_for(&rig, "late", &["a", "child"]).await;
    run(&mut agent, "late", SUCCESS).await;
    let shown = rig.get("/jobs/j/tasks/child").send().await.expect(200).body;
    assert_eq!(shown["dependsOn"], json!({ "taskIds": ["A", "b", "B"] }));
}

#[tokio::test]
async fn a_task_starts_when_each_number_of_its_range_succeeded() {
    let (rig, mut agent) = start(1).await;
    rig.task("j", "2", json!({})).await;
    run(&mut agent, "2", SUCCESS).await;
    wait_for_range(&rig, "child", 1, 3).await;
    wait_for_range(&rig, "other", 1, 3).await;
    for id in ["003", "03"] {
        rig.task("j", id, json!({})).await;
        run(&mut agent, id, SUCCESS).await;
    }
    nothing_waits_before(&rig, &mut agent, "4").await;
    rig.task("j", "01", json!({})).await;
    run(&mut agent, "01", SUCCESS).await;
    run(&mut agent, "child", SUCCESS).await;
    run(&mut agent, "other", SUCCESS).await;
}

#[tokio::test]
async fn a_blocked_task_stays_active_for_ever() {
    let (rig, mut agent) = start(1).await;
    rig.task("j", "parent", json!({})).await;
    wait_for(&rig, "child", &["parent"]).await;
    wait_for(&rig, "self", &["self"]).await;
    run(&mut agent, "parent", FAILURE).await;
    nothing_waits_before(&rig, &mut agent, "x").await;
    assert_eq!(state(&rig, "child").await, "active");
    assert_eq!(state(&rig, "self").await, "active");
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["active"], 2);
}

#[tokio::test]
async fn a_parent_that_succeeds_when_it_runs_again_unblocks() {
    let (rig, mut agent) = start(1).await;
    rig.task("j", "parent", json!({})).await;
    wait_for(&rig, "child", &["parent"]).await;
    run(&mut agent, "parent", FAILURE).await;
    rig.post("/jobs/j/tasks/parent/reactivate", &json!({})).send().await.expect(204);
    run(&mut agent, "parent", SUCCESS).await;
    run(&mut agent, "child", SUCCESS).await;
}

#[tokio::test]
async fn a_parent_that_runs_again_is_waited_for_again() {
    let (rig, mut agent) = start(1).await;
    let satisfies = json!({ "exitConditions": { "default": { "dependencyAction": "satisfy" } } });
    rig.task("j", "parent", satisfies).await;
    run(&mut agent, "parent", FAILURE).await;
    rig.task("j", "busy", json!({})).await;
    let busy = agent.run().await;
    wait_for(&rig, "child", &["parent"]).await;
    rig.post("/jobs/j/tasks/parent/reactivate", &json!({})).send().await.expect(204);
    agent.end(&busy.attempt, SUCCESS).await;
    run(&mut agent, "parent", FAILURE).await;
    run(&mut agent, "child", SUCCESS).await;
}

#[tokio::test]
async fn a_deleted_parent_is_waited_for_until_one_of_its_id_succeeds() {
    let (rig, mut agent) = start(1).await;
    for id in ["parent", "7"] {
        rig.task("j", id, json!({})).await;
        run(&mut agent, id, SUCCESS).await;
        rig.delete(&format!("/jobs/j/tasks/{id}")).send().await.expect(200);
    }
    wait_for(&rig, "child", &["parent"]).await;
    wait_for_range(&rig, "other", 7, 7).await;
    nothing_waits_before(&rig, &mut agent, "x").await;
    rig.task("j", "parent", json!({})).await;
    run(&mut agent, "parent", SUCCESS).await;
    run(&mut agent, "child", SUCCESS).await;
    rig.task("j", "7", json!({})).await;
    run(&mut agent, "7", SUCCESS).await;
    run(&mut agent, "other", SUCCESS).await;
}

#[tokio::test]
async fn a_child_that_is_deleted_waits_for_nothing_more() {
    let (rig, mut agent) = start(1).await;
    let both = json!({ "taskIds": ["parent"], "taskIdRanges": [{ "start": 5, "end": 5 }] });
    rig.task("j", "child", json!({ "dependsOn": both })).await;
    rig.delete("/jobs/j/tasks/child").send().await.expect(200);
    rig.task("j", "child", json!({})).await;
    run(&mut agent, "child", FAILURE).await;
    for id in ["parent", "5"] {
        rig.task("j", id, json!({})).await;
        run(&mut agent, id, SUCCESS).await;
    }
    assert_eq!(state(&rig, "child").await, "completed");
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
}

#[tokio::test]
async fn what_waits_for_others_survives_a_restart() {
    let (mut rig, mut agent) = start(1).await;
    for id in ["a", "b"] {
        rig.task("j", id, json!({})).await;
    }
    wait_for(&rig, "child", &["a", "b"]).await;
    run(&mut agent, "a", SUCCESS).await;
    let second = agent.run().await;
    rig.stop_server().await;
    agent.unlink();
    rig.start_server().await;
    agent.running = vec![second.attempt.clone()];
    agent.relink().await;
    // The order to run it is repeated, and is about an attempt that the agent has.
    assert_eq!(agent.run().await.attempt, second.attempt);
    agent.end(&second.attempt, SUCCESS).await;
    run(&mut agent, "child", SUCCESS).await;
}

#[tokio::test]
async fn a_job_that_uses_no_dependencies_refuses_them() {
    let rig = Rig::start().await;
    rig.job("plain", "p").await;
    add_job(&rig).await;
    let add = |job: &str, depends_on: Value| {
        let body = json!({ "id": "t", "commandLine": "true", "dependsOn": depends_on });
        rig.post(&format!("/jobs/{job}/tasks"), &body).send()
    };
    let refused = add("plain", json!({ "taskIds": ["a"] })).await;
    refused.refuses(400, "TaskDependenciesNotSpecifiedOnJob");
    let ids: Vec<String> = (0..1001).map(|n| format!("{n:064}")).collect();
    add("j", json!({ "taskIds": ids })).await.refuses(400, "TaskDependencyListTooLong");
    let ranges = vec![json!({ "start": 1, "end": 2 }); 2001];
    let refused = add("j", json!({ "taskIdRanges": ranges })).await;
    refused.refuses(400, "TaskDependencyRangesTooLong");
    let backwards = json!({ "taskIdRanges": [{ "start": 2, "end": 1 }] });
    add("j", backwards).await.refuses(400, "InvalidPropertyValue");
    add("plain", json!({ "taskIds": [] })).await.expect(201);
}

#[tokio::test]
async fn the_end_of_a_task_frees_any_number_of_others() {
    let (rig, mut agent) = start(1).await;
    rig.task("j", "parent", json!({})).await;
    let parent = agent.run().await;
    // The last by its name, and the first by its turn.
    wait_for(&rig, "z", &["parent"]).await;
    let ids: Vec<usize> = (0..2100).collect();
    for hundred in ids.chunks(100) {
        let child = |n: &usize| {
            json!({ "id": format!("c{n:05}"), "commandLine": "true",
                    "dependsOn": { "taskIds": ["parent"] } })
        };
        let body = json!({ "value": hundred.iter().map(child).collect::<Vec<_>>() });
        rig.post("/jobs/j/addtaskcollection", &body).send().await.expect(200);
    }
    agent.end(&parent.attempt, SUCCESS).await;
    while agent.run_to(SUCCESS).await.attempt.task_id != "z" {}
}
