//! Pools: add, list, get, resize, delete.

use kiln_server::config::Quotas;
use kiln_wire::node::Outcome;
use serde_json::json;

use crate::rig::{Rig, pool_body};

#[tokio::test]
async fn a_pool_gets_its_nodes_and_they_become_idle() {
    let mut rig = Rig::start().await;
    let added = rig.post("/pools", &pool_body("Pool-1", 2)).send().await.expect(201);
    let url = format!("{}/pools/Pool-1", rig.url());
    assert_eq!(added.header("location"), Some(url.as_str()));
    assert_eq!(added.header("dataserviceid"), Some(url.as_str()));
    let agents = rig.ready(2).await;
    let pool = rig.until("/pools/pool-1", |it| it.body["allocationState"] == "steady").await;
    assert_eq!(pool.header("etag"), added.header("etag"));
    assert_eq!(pool.body["eTag"].as_str(), added.header("etag"));
    assert_eq!(pool.body["id"], "Pool-1");
    assert_eq!(pool.body["currentDedicatedNodes"], 2);
    let nodes = rig.get("/pools/Pool-1/nodes").send().await.expect(200);
    let mut expected: Vec<&str> = agents.iter().map(|it| it.node_id()).collect();
    expected.sort_unstable();
    assert_eq!(nodes.ids(), expected);
    for node in nodes.body["value"].as_array().expect("nodes") {
        assert_eq!(node["state"], "idle");
    }
    let node = rig.get(&format!("/pools/POOL-1/nodes/{}", expected[0])).send().await.expect(200);
    assert_eq!(node.body["nodeAgentInfo"]["version"], "1.2.3");
    rig.get("/pools/Pool-1/nodes/nobody").send().await.refuses(404, "NodeNotFound");
}

#[tokio::test]
async fn a_list_is_in_the_order_of_ids_and_of_one_account() {
    let rig = Rig::start().await;
    for id in ["b", "A", "c"] {
        rig.post("/pools", &pool_body(id, 0)).send().await.expect(201);
    }
    let list = rig.get("/pools").send().await.expect(200);
    assert_eq!(list.ids(), ["A", "b", "c"]);
    let metadata = format!("{}/$metadata#pools", rig.url());
    assert_eq!(list.body["odata.metadata"], metadata);
    assert_eq!(list.header("etag"), None);
    let one = rig.get("/pools/B").send().await.expect(200);
    assert_eq!(one.body["odata.metadata"], format!("{metadata}/@Element"));
}

#[tokio::test]
async fn head_tells_whether_a_pool_is_there() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    let there = rig.head("/pools/p").send().await.expect(200);
    assert!(there.header("etag").is_some() && there.bytes.is_empty());
    let missing = rig.head("/pools/q").send().await.expect(404);
    assert!(missing.bytes.is_empty());
}

#[tokio::test]
async fn a_resize_up_adds_nodes_and_a_resize_down_takes_the_idle_ones() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "busy", json!({})).await;
    let busy = agents[0].run().await;
    let up = rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 3 }));
    let up = up.send().await.expect(202);
    assert!(up.header("dataserviceid").is_some_and(|it| it.ends_with("/pools/p/resize")));
    agents.extend(rig.ready(2).await);
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 })).send().await.expect(202);
    for agent in agents.drain(1..) {
        agent.leave().await;
    }
    let pool = rig
        .until("/pools/p", |it| {
            it.body["allocationState"] == "steady" && it.body["currentDedicatedNodes"] == 1
        })
        .await;
    assert_eq!(pool.body["targetDedicatedNodes"], 1);
    agents[0].end(&busy.attempt, Outcome::Exited { exit_code: 0 }).await;
    let task = rig.get("/jobs/j/tasks/busy").send().await.expect(200);
    assert_eq!(task.body["executionInfo"]["requeueCount"], 0);
    assert_eq!(task.body["state"], "completed");
}

#[tokio::test]
async fn a_resize_to_nothing_requeues_what_runs() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agents[0].run().await;
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 0 })).send().await.expect(202);
    let again = rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 }));
    again.send().await.refuses(409, "PoolBeingResized");
    agents.remove(0).leave().await;
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(task.body["state"], "active");
    assert_eq!(task.body["executionInfo"]["requeueCount"], 1);
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 })).send().await.expect(202);
    let run = rig.ready(1).await[0].run().await;
    assert_eq!(run.attempt.attempt, 2);
}

#[tokio::test]
async fn a_deleted_pool_lets_its_tasks_wait_again() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let mut agent = agents.remove(0);
    agent.run().await;
    let deleting = rig.delete("/pools/p").send();
    let refused_while_it_goes = async {
        let pool = rig.until_state("/pools/p", "deleting").await;
        assert_eq!(pool["currentDedicatedNodes"], 1);
        rig.delete("/pools/p").send().await.refuses(409, "PoolBeingDeleted");
        let same = rig.post("/pools", &pool_body("p", 0)).send().await;
        same.refuses(409, "PoolBeingDeleted");
        agent.leave().await;
    };
    let (deleted, ()) = tokio::join!(deleting, refused_while_it_goes);
    assert_eq!(deleted.expect(202).header("etag"), None);
    rig.until("/pools/p", |it| it.status == 404).await.refuses(404, "PoolNotFound");
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(task.body["state"], "active");
    assert_eq!(task.body["executionInfo"]["requeueCount"], 1);
    assert_eq!(task.body.get("nodeInfo"), None);
    // A pool of the same name takes the tasks over.
    let run = rig.pool("P", 1, json!({})).await[0].run().await;
    assert_eq!((run.attempt.task_id.as_str(), run.attempt.attempt), ("t", 2));
}

#[tokio::test]
async fn an_account_has_so_many_pools_at_most() {
    let quotas = Quotas { pools: 1, ..Quotas::default() };
    let rig = Rig::configured(move |config| config.quotas = quotas).await;
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    rig.post("/pools", &pool_body("q", 0)).send().await.refuses(409, "PoolQuotaReached");
    rig.post("/pools", &pool_body("P", 0)).send().await.refuses(409, "PoolExists");
    rig.delete("/pools/p").send().await.expect(202);
    rig.until("/pools/p", |it| it.status == 404).await;
    rig.post("/pools", &pool_body("q", 0)).send().await.expect(201);
}
