//! What is done with nodes: reboot, reimage, deallocate, start, scheduling, preemption.

use std::time::Duration;

use kiln_server::config::Spot;
use kiln_wire::node::{Outcome, Report, Run};
use serde_json::{Value, json};

use crate::rig::{Agent, Reply, Rig, now, pool_body};

const DONE: Outcome = Outcome::Exited { exit_code: 0 };

/// A pool of one node, and where the node is.
async fn one_node(rig: &mut Rig) -> (Agent, String) {
    let agent = rig.pool("p", 1, json!({})).await.remove(0);
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    rig.job("j", "p").await;
    let path = format!("/pools/p/nodes/{}", agent.node_id());
    (agent, path)
}

async fn busy(rig: &mut Rig) -> (Agent, String, Run) {
    let (mut agent, path) = one_node(rig).await;
    rig.task("j", "t", json!({})).await;
    let run = agent.run().await;
    (agent, path, run)
}

async fn act(rig: &Rig, path: &str, action: &str, body: Value) -> Reply {
    rig.post(&format!("{path}/{action}"), &body).send().await
}

async fn state(rig: &Rig, path: &str) -> String {
    let node = rig.get(path).send().await.expect(200).body;
    node["state"].as_str().expect("a state").to_owned()
}

async fn task(rig: &Rig) -> Value {
    rig.get("/jobs/j/tasks/t").send().await.expect(200).body
}

#[tokio::test]
async fn a_rebooted_node_boots_again_with_its_files() {
    let mut rig = Rig::start().await;
    let (mut agent, path, run) = busy(&mut rig).await;
    let before = rig.get(&path).send().await.expect(200).body;
    let answer = act(&rig, &path, "reboot", json!({})).await.expect(202);
    assert!(answer.header("dataserviceid").is_some_and(|it| it.ends_with("/reboot")));
    assert_eq!(answer.header("etag"), None);
    assert_eq!(agent.stop().await, run.attempt);
    let prepare = agent.prepare_again().await;
    assert_eq!(prepare.boot, 2);
    assert_eq!(state(&rig, &path).await, "rebooting");
    act(&rig, &path, "reboot", json!({})).await.refuses(409, "NodeBeingRebooted");
    let waits = task(&rig).await;
    assert_eq!(
        (&waits["state"], &waits["executionInfo"]["requeueCount"]),
        (&json!("active"), &json!(1))
    );
    // What the boot before still says counts no more.
    agent.booted(1).await;
    assert_eq!(state(&rig, &path).await, "rebooting");
    agent.report(Report::BootBegan { boot: 2, at: now() }).await;
    assert_eq!(state(&rig, &path).await, "starting");
    agent.booted(2).await;
    assert_eq!(agent.run().await.attempt.attempt, 2);
    let after = rig.get(&path).send().await.expect(200).body;
    assert_ne!(after["lastBootTime"], before["lastBootTime"]);
    assert_eq!(after["allocationTime"], before["allocationTime"]);
}

#[tokio::test]
async fn a_start_task_runs_again_after_a_reboot() {
    let mut rig = Rig::start().await;
    let start_task = json!({ "commandLine": "setup", "waitForSuccess": true });
    let mut agents = rig.pool("p", 1, json!({ "startTask": start_task })).await;
    let agent = &mut agents[0];
    let path = format!("/pools/p/nodes/{}", agent.node_id());
    agent.start_task_ends(1, 3).await;
    assert_eq!(state(&rig, &path).await, "starttaskfailed");
    act(&rig, &path, "reboot", json!({})).await.expect(202);
    let prepare = agent.prepare_again().await;
    assert_eq!(prepare.start_task.map(|it| it.command_line).as_deref(), Some("setup"));
    assert_eq!(rig.get(&path).send().await.body.get("startTaskInfo"), None);
    agent.booted(2).await;
    assert_eq!(state(&rig, &path).await, "waitingforstarttask");
    agent.start_task_ends(2, 0).await;
    let node = rig.get(&path).send().await.expect(200).body;
    assert_eq!((&node["state"], &node["startTaskInfo"]["exitCode"]), (&json!("idle"), &json!(0)));
}

#[tokio::test]
async fn each_option_says_what_becomes_of_running_tasks() {
    for (option, task_state) in [("requeue", "active"), ("terminate", "completed")] {
        let mut rig = Rig::start().await;
        let (mut agent, path, run) = busy(&mut rig).await;
        act(&rig, &path, "reboot", json!({ "nodeRebootOption": option })).await.expect(202);
        assert_eq!(agent.stop().await, run.attempt);
        assert_eq!(task(&rig).await["state"], task_state, "{option}");
    }
    let mut rig = Rig::start().await;
    let (mut agent, path, run) = busy(&mut rig).await;
    let option = json!({ "nodeRebootOption": "TaskCompletion" });
    act(&rig, &path, "reboot", option).await.expect(202);
    let waits = rig.get(&path).send().await.expect(200).body;
    assert_eq!((&waits["state"], &waits["runningTasksCount"]), (&json!("rebooting"), &json!(1)));
    assert_eq!(task(&rig).await["state"], "running");
    agent.end(&run.attempt, DONE).await;
    assert_eq!(agent.prepare_again().await.boot, 2);
    assert_eq!(task(&rig).await["executionInfo"]["result"], "success");
}

#[tokio::test]
async fn a_reboot_that_was_asked_for_outlives_the_server() {
    let mut rig = Rig::start().await;
    let (mut agent, path, run) = busy(&mut rig).await;
    let option = json!({ "nodeRebootOption": "taskcompletion" });
    act(&rig, &path, "reboot", option).await.expect(202);
    rig.stop_server().await;
    agent.unlink();
    rig.start_server().await;
    agent.running = vec![run.attempt.clone()];
    agent.relink().await;
    agent.end(&run.attempt, DONE).await;
    assert_eq!(agent.prepare_again().await.boot, 2);
}

#[tokio::test]
async fn a_reimaged_node_begins_anew_with_another_agent() {
    let mut rig = Rig::start().await;
    let (agent, path, _) = busy(&mut rig).await;
    let id = agent.node_id().to_owned();
    act(&rig, &path, "reimage", json!({ "nodeReimageOption": "requeue" })).await.expect(202);
    assert_eq!(state(&rig, &path).await, "reimaging");
    act(&rig, &path, "reimage", json!({})).await.refuses(409, "NodeBeingReimaged");
    let left_behind = agent.directory().join("shared.txt");
    std::fs::write(&left_behind, "old").expect("a file");
    agent.leave().await;
    let mut agent = rig.agent().await;
    assert_eq!(agent.node_id(), id);
    assert!(!left_behind.exists());
    assert_eq!(agent.boot().await.boot, 2);
    assert_eq!(agent.run().await.attempt.attempt, 2);
}

#[tokio::test]
async fn a_deallocated_node_stays_listed_until_it_is_started() {
    let mut rig = Rig::start().await;
    let (agent, path) = one_node(&mut rig).await;
    act(&rig, &path, "start", json!({})).await.refuses(409, "OperationInvalidForCurrentState");
    act(&rig, &path, "deallocate", json!({})).await.expect(202);
    assert_eq!(state(&rig, &path).await, "deallocating");
    agent.leave().await;
    rig.until_state(&path, "deallocated").await;
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(
        (&pool["currentDedicatedNodes"], &pool["allocationState"]),
        (&json!(1), &json!("steady"))
    );
    act(&rig, &path, "reboot", json!({})).await.refuses(409, "OperationInvalidForCurrentState");
    act(&rig, &path, "start", json!({})).await.expect(202);
    let started = rig.get(&path).send().await.expect(200).body;
    assert_eq!((&started["state"], started.get("lastBootTime")), (&json!("starting"), None));
    assert_eq!(rig.agent().await.boot().await.boot, 2);
    rig.until_state(&path, "idle").await;
}

#[tokio::test]
async fn a_deallocated_node_stays_so_when_the_server_starts_again() {
    let mut rig = Rig::start().await;
    let (agent, path) = one_node(&mut rig).await;
    act(&rig, &path, "deallocate", json!({})).await.expect(202);
    agent.leave().await;
    rig.until_state(&path, "deallocated").await;
    rig.stop_server().await;
    rig.start_server().await;
    assert_eq!(state(&rig, &path).await, "deallocated");
    act(&rig, &path, "start", json!({})).await.expect(202);
    rig.agent().await.boot().await;
}

#[tokio::test]
async fn a_node_without_scheduling_gets_no_tasks() {
    let mut rig = Rig::start().await;
    let (mut agent, path, run) = busy(&mut rig).await;
    let option = json!({ "nodeDisableSchedulingOption": "taskcompletion" });
    let answer = act(&rig, &path, "disablescheduling", option).await.expect(200);
    assert_eq!((answer.header("etag"), answer.bytes.len()), (None, 0));
    let node = rig.get(&path).send().await.expect(200).body;
    assert_eq!((&node["state"], &node["schedulingState"]), (&json!("running"), &json!("disabled")));
    let again = act(&rig, &path, "disablescheduling", json!({})).await;
    again.refuses(409, "NodeAlreadyInTargetSchedulingState");
    agent.end(&run.attempt, DONE).await;
    assert_eq!(state(&rig, &path).await, "offline");
    rig.task("j", "u", json!({})).await;
    act(&rig, &path, "enablescheduling", json!({})).await.expect(200);
    assert_eq!(agent.run().await.attempt.task_id, "u");
    let again = act(&rig, &path, "enablescheduling", json!({})).await;
    again.refuses(409, "NodeAlreadyInTargetSchedulingState");
}

#[tokio::test]
async fn tasks_are_requeued_when_scheduling_is_disabled() {
    let mut rig = Rig::start().await;
    let (mut agent, path, run) = busy(&mut rig).await;
    act(&rig, &path, "disablescheduling", json!({})).await.expect(200);
    assert_eq!(agent.stop().await, run.attempt);
    assert_eq!(state(&rig, &path).await, "offline");
    let waits = task(&rig).await;
    assert_eq!(
        (&waits["state"], &waits["executionInfo"]["requeueCount"]),
        (&json!("active"), &json!(1))
    );
    let option = json!({ "nodeDisableSchedulingOption": "retaineddata" });
    let unknown = act(&rig, &path, "disablescheduling", option).await;
    unknown.refuses(400, "InvalidPropertyValue");
}

#[tokio::test]
async fn a_node_that_is_not_ready_refuses_by_its_state() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 1)).send().await.expect(201);
    let life = rig.started().await;
    let nodes = rig.get("/pools/p/nodes").send().await.expect(200);
    let path = format!("/pools/p/nodes/{}", nodes.ids()[0]);
    act(&rig, &path, "reboot", json!({})).await.refuses(409, "NodeBeingCreated");
    let mut agent = Agent::link(life).await;
    act(&rig, &path, "reimage", json!({})).await.refuses(409, "NodeBeingStarted");
    let boot = agent.prepare().await.boot;
    let (message, code, details) = ("no room".to_owned(), None, Vec::new());
    agent.report(Report::BootFailed { boot, message, code, details }).await;
    act(&rig, &path, "deallocate", json!({})).await.refuses(409, "NodeStateUnusable");
    act(&rig, "/pools/p/nodes/n", "reboot", json!({})).await.refuses(404, "NodeNotFound");
    act(&rig, "/pools/q/nodes/n", "reboot", json!({})).await.refuses(404, "PoolNotFound");
}

#[tokio::test]
async fn a_preempted_node_comes_back_under_its_name() {
    let returns_after = Duration::from_millis(50);
    let mut rig = Rig::configured(move |config| {
        config.spot = Spot { returns_after, ..config.spot };
    })
    .await;
    let mut body = pool_body("p", 0);
    body["targetLowPriorityNodes"] = json!(1);
    rig.post("/pools", &body).send().await.expect(201);
    let mut agent = rig.ready(1).await.remove(0);
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agent.run().await;
    let id = agent.node_id().to_owned();
    assert!(id.ends_with("_p"), "{id}");
    let path = format!("/pools/p/nodes/{id}");
    let before = rig.get(&path).send().await.expect(200).body;
    rig.post(&format!("/kiln{path}/preempt"), &json!({})).send().await.expect(202);
    let info = task(&rig).await;
    assert_eq!(info["state"], "active");
    let info = &info["executionInfo"];
    assert_eq!((&info["requeueCount"], &info["retryCount"]), (&json!(0), &json!(0)));
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(
        (&pool["currentLowPriorityNodes"], &pool["allocationState"]),
        (&json!(1), &json!("steady"))
    );
    // It is gone without a word, and comes back as a machine without files.
    rig.until(&path, |_| !agent.lives()).await;
    let mut agent = rig.agent().await;
    assert_eq!(agent.node_id(), id);
    agent.boot().await;
    assert_eq!(agent.run().await.attempt.attempt, 2);
    let after = rig.get(&path).send().await.expect(200).body;
    assert_eq!(after["allocationTime"], before["allocationTime"]);
    assert_eq!(after["isDedicated"], false);
}

#[tokio::test]
async fn only_spot_nodes_are_preempted() {
    let mut rig = Rig::start().await;
    let (_agent, path) = one_node(&mut rig).await;
    let refused = rig.post(&format!("/kiln{path}/preempt"), &json!({})).send().await;
    refused.refuses(409, "OperationNotValidOnNode");
}

#[tokio::test]
async fn spot_nodes_are_taken_away_as_often_as_the_settings_say() {
    let returns_after = Duration::from_millis(50);
    let mut rig = Rig::configured(move |config| {
        // So often that each look takes them all.
        config.spot = Spot { preemptions_per_hour: 1e9, returns_after };
    })
    .await;
    let mut body = pool_body("p", 1);
    body["targetLowPriorityNodes"] = json!(1);
    rig.post("/pools", &body).send().await.expect(201);
    let agents = rig.ready(2).await;
    let (dedicated, spot): (Vec<_>, Vec<_>) =
        agents.into_iter().partition(|agent| agent.node_id().ends_with("_d"));
    // Another agent comes for the same node; the dedicated one is left alone.
    assert_eq!(rig.agent().await.node_id(), spot[0].node_id());
    assert!(dedicated[0].lives());
}
