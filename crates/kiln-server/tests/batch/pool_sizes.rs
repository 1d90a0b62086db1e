//! Resizes of pools: what becomes of tasks, stops, quotas, single nodes.

use kiln_server::config::Quotas;
use kiln_wire::node::{Outcome, Report, Run, ToAgent};
use serde_json::{Value, json};

use crate::rig::{Agent, Reply, Rig, pool_body};

const DONE: Outcome = Outcome::Exited { exit_code: 0 };

fn is_steady(reply: &Reply) -> bool {
    reply.body["allocationState"] == "steady"
}

/// A pool of one node on which a task runs.
async fn busy(rig: &mut Rig) -> (Agent, Run) {
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    rig.until("/pools/p", is_steady).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let run = agent.run().await;
    (agent, run)
}

/// Takes all nodes from the pool.
async fn empty(rig: &Rig, option: &str) {
    let body = json!({ "targetDedicatedNodes": 0, "nodeDeallocationOption": option });
    rig.post("/pools/p/resize", &body).send().await.expect(202);
}

async fn task(rig: &Rig) -> Value {
    rig.get("/jobs/j/tasks/t").send().await.expect(200).body
}

#[tokio::test]
async fn a_shrinking_pool_requeues_its_tasks() {
    let mut rig = Rig::start().await;
    let (agent, _) = busy(&mut rig).await;
    empty(&rig, "Requeue").await;
    agent.leave().await;
    rig.until("/pools/p", |it| it.body["currentDedicatedNodes"] == 0).await;
    let task = task(&rig).await;
    assert_eq!(task["state"], "active");
    assert_eq!(task["executionInfo"]["requeueCount"], 1);
}

#[tokio::test]
async fn a_shrinking_pool_terminates_its_tasks_when_told_to() {
    let mut rig = Rig::start().await;
    let (agent, _) = busy(&mut rig).await;
    empty(&rig, "terminate").await;
    agent.leave().await;
    let task = task(&rig).await;
    assert_eq!(task["state"], "completed");
    assert_eq!(task["executionInfo"]["failureInfo"]["code"], "TaskEnded");
}

#[tokio::test]
async fn a_node_waits_for_its_tasks_before_it_leaves() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy(&mut rig).await;
    rig.task("j", "later", json!({})).await;
    empty(&rig, "TaskCompletion").await;
    let node = format!("/pools/p/nodes/{}", agent.node_id());
    let waits = rig.until_state(&node, "leavingpool").await;
    assert_eq!(waits["runningTasksCount"], 1);
    let pool = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(pool["allocationState"], "resizing");
    assert_eq!(pool["currentDedicatedNodes"], 1);
    agent.end(&run.attempt, DONE).await;
    agent.leave().await;
    rig.until(&node, |it| it.status == 404).await.refuses(404, "NodeNotFound");
    rig.until("/pools/p", is_steady).await;
    assert_eq!(task(&rig).await["executionInfo"]["result"], "success");
    let later = rig.get("/jobs/j/tasks/later").send().await.expect(200);
    assert_eq!(later.body["state"], "active");
}

#[tokio::test]
async fn a_node_waits_for_the_files_of_its_tasks_before_it_leaves() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy(&mut rig).await;
    empty(&rig, "RetainedData").await;
    agent.expect("a question", |it| matches!(it, ToAgent::AwaitRetention).then_some(())).await;
    agent.end(&run.attempt, DONE).await;
    // It is asked again when it links anew: the question may have been lost.
    agent.relink().await;
    agent.expect("a question", |it| matches!(it, ToAgent::AwaitRetention).then_some(())).await;
    let node = rig.get(&format!("/pools/p/nodes/{}", agent.node_id())).send().await.expect(200);
    assert_eq!(node.body["state"], "leavingpool");
    agent.report(Report::RetentionOver).await;
    agent.leave().await;
    rig.until("/pools/p", is_steady).await;
}

#[tokio::test]
async fn a_stopped_resize_keeps_what_it_has() {
    let mut rig = Rig::start().await;
    let (mut agent, run) = busy(&mut rig).await;
    empty(&rig, "TaskCompletion").await;
    let node = format!("/pools/p/nodes/{}", agent.node_id());
    rig.until_state(&node, "leavingpool").await;
    let before = rig.get("/pools/p").send().await.expect(200).body;
    let stopped = rig.post("/pools/p/stopresize", &json!({})).send().await.expect(202);
    assert_eq!(stopped.header("etag"), before["eTag"].as_str());
    let pool = rig.until("/pools/p", is_steady).await.body;
    assert_eq!(
        (&pool["currentDedicatedNodes"], &pool["targetDedicatedNodes"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(pool["resizeErrors"][0]["code"], "ResizeStopped");
    assert_eq!(rig.get(&node).send().await.body["state"], "running");
    agent.end(&run.attempt, DONE).await;
    rig.until_state(&node, "idle").await;
    // The service takes minutes for what is over here at once: to stop then is no mistake.
    rig.post("/pools/p/stopresize", &json!({})).send().await.expect(202);
    let again = rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 }));
    again.send().await.expect(202);
    let pool = rig.until("/pools/p", is_steady).await.body;
    assert_eq!(pool.get("resizeErrors"), None);
}

#[tokio::test]
async fn named_nodes_are_removed() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 2, json!({})).await;
    rig.until("/pools/p", is_steady).await;
    let remove = |ids: &[&str]| rig.post("/pools/p/removenodes", &json!({ "nodeList": ids }));
    remove(&[agents[0].node_id(), "nobody"]).send().await.refuses(404, "NodeNotFound");
    let none = remove(&[]).send().await.refuses(400, "InvalidPropertyValue");
    assert_eq!(none.value("PropertyName"), "nodeList");
    let many: Vec<String> = (0..101).map(|number| format!("n{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    remove(&many).send().await.refuses(400, "InvalidPropertyValue");
    let removed = remove(&[agents[0].node_id()]).send().await.expect(202);
    assert!(removed.header("dataserviceid").is_some_and(|it| it.ends_with("/removenodes")));
    remove(&[agents[1].node_id()]).send().await.refuses(409, "PoolBeingResized");
    agents.remove(0).leave().await;
    let pool =
        rig.until("/pools/p", |it| is_steady(it) && it.body["currentDedicatedNodes"] == 1).await;
    assert_eq!(pool.body["targetDedicatedNodes"], 1);
    let nodes = rig.get("/pools/p/nodes").send().await.expect(200);
    assert_eq!(nodes.ids(), [agents[0].node_id()]);
}

#[tokio::test]
async fn a_size_beyond_the_quota_of_cores_is_a_resize_error() {
    let quotas = Quotas { dedicated_cores: 5, ..Quotas::default() };
    let mut rig = Rig::configured(move |config| config.quotas = quotas).await;
    let mut body = pool_body("p", 3);
    body["vmSize"] = json!("STANDARD_D2_V3");
    rig.post("/pools", &body).send().await.expect(201);
    let agents = rig.ready(2).await;
    let pool = rig.until("/pools/p", is_steady).await.body;
    assert_eq!(
        (&pool["currentDedicatedNodes"], &pool["targetDedicatedNodes"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(pool["resizeErrors"][0]["code"], "AccountCoreQuotaReached");
    // It is left alone until somebody resizes it.
    assert_eq!(agents.len(), 2);
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 2 })).send().await.expect(202);
    let pool = rig.until("/pools/p", is_steady).await.body;
    assert_eq!(pool.get("resizeErrors"), None);
}

#[tokio::test]
async fn a_resize_needs_a_target_and_some_time() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    let empty = rig.post("/pools/p/resize", &json!({})).send().await;
    empty.refuses(400, "MissingRequiredProperty");
    let short = json!({ "targetDedicatedNodes": 1, "resizeTimeout": "PT1M" });
    let short = rig.post("/pools/p/resize", &short).send().await;
    assert_eq!(short.refuses(400, "InvalidPropertyValue").value("PropertyName"), "resizeTimeout");
    let gone = rig.post("/pools/q/resize", &json!({ "targetDedicatedNodes": 1 }));
    gone.send().await.refuses(404, "PoolNotFound");
    for operation in ["stopresize", "removenodes"] {
        let body = json!({ "nodeList": ["n"] });
        let gone = rig.post(&format!("/pools/q/{operation}"), &body).send().await;
        gone.refuses(404, "PoolNotFound");
    }
}

#[tokio::test]
async fn a_resize_holds_the_conditions_of_its_request() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    let pool = rig.until("/pools/p", is_steady).await;
    let tag = pool.header("etag").expect("a tag");
    let resize = || rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 0 }));
    resize().header("if-match", "0x0").send().await.refuses(412, "ConditionNotMet");
    let resized = resize().header("if-match", tag).send().await.expect(202);
    assert_ne!(resized.header("etag"), Some(tag));
    let stop = || rig.post("/pools/p/stopresize", &json!({})).header("if-match", tag);
    stop().send().await.refuses(412, "ConditionNotMet");
}
