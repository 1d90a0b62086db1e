//! Changes of pools: patch, update properties, upgrade the system.

use serde_json::{Value, json};

use crate::rig::{Reply, Rig, pool_body};

fn is_steady(reply: &Reply) -> bool {
    reply.body["allocationState"] == "steady"
}

async fn pool(rig: &Rig) -> Value {
    rig.get("/pools/p").send().await.expect(200).body
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let rig = Rig::start().await;
    let mut body = pool_body("p", 0);
    body["startTask"] = json!({ "commandLine": "one", "waitForSuccess": false });
    body["metadata"] = json!([{ "name": "a", "value": "1" }]);
    let added = rig.post("/pools", &body).send().await.expect(201);
    let patch = json!({ "metadata": [{ "name": "b", "value": "2" }] });
    let patched = rig.patch("/pools/p", &patch).send().await.expect(200);
    assert_ne!(patched.header("etag"), added.header("etag"));
    assert!(patched.header("dataserviceid").is_some_and(|it| it.ends_with("/pools/p")));
    let after = pool(&rig).await;
    assert_eq!(after["eTag"].as_str(), patched.header("etag"));
    assert_eq!(after["metadata"], json!([{ "name": "b", "value": "2" }]));
    assert_eq!(after["startTask"]["commandLine"], "one");
    // A member that is an object is replaced whole.
    let patch = json!({ "startTask": { "commandLine": "two" } });
    rig.patch("/pools/p", &patch).send().await.expect(200);
    let after = pool(&rig).await;
    assert_eq!(after["startTask"]["commandLine"], "two");
    assert_eq!(after["startTask"]["waitForSuccess"], true);
    rig.patch("/pools/q", &patch).send().await.refuses(404, "PoolNotFound");
    let stale = rig.patch("/pools/p", &patch).header("if-match", "0x0").send().await;
    stale.refuses(412, "ConditionNotMet");
}

#[tokio::test]
async fn updated_properties_that_are_left_out_are_gone() {
    let rig = Rig::start().await;
    let mut body = pool_body("p", 0);
    body["startTask"] = json!({ "commandLine": "one" });
    body["metadata"] = json!([{ "name": "a", "value": "1" }]);
    body["displayName"] = json!("shown");
    rig.post("/pools", &body).send().await.expect(201);
    let properties = json!({ "applicationPackageReferences": [], "metadata": [] });
    let updated = rig.post("/pools/p/updateproperties", &properties).send().await.expect(204);
    assert!(updated.header("etag").is_some());
    let after = pool(&rig).await;
    assert_eq!(after.get("startTask"), None);
    assert_eq!(after["metadata"], json!([]));
    assert_eq!(after["displayName"], "shown");
    let partial = json!({ "metadata": [] });
    let partial = rig.post("/pools/p/updateproperties", &partial).send().await;
    partial.refuses(400, "MissingRequiredProperty");
}

#[tokio::test]
async fn what_made_the_nodes_is_changed_while_there_are_none() {
    let mut rig = Rig::start().await;
    let mut body = pool_body("p", 0);
    body["vmSize"] = json!("STANDARD_D2_V3");
    rig.post("/pools", &body).send().await.expect(201);
    let slots = json!({ "taskSlotsPerNode": 3, "displayName": "new" });
    rig.patch("/pools/p", &slots).send().await.expect(200);
    let many = rig.patch("/pools/p", &json!({ "taskSlotsPerNode": 9 })).send().await;
    assert_eq!(many.refuses(400, "InvalidPropertyValue").value("PropertyName"), "taskSlotsPerNode");
    rig.until("/pools/p", is_steady).await;
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 })).send().await.expect(202);
    let agent = rig.agent().await.boot().await;
    assert_eq!(agent.task_slots, 3);
    let late = rig.patch("/pools/p", &json!({ "taskSlotsPerNode": 4 })).send().await;
    late.refuses(409, "OperationInvalidForCurrentState");
    rig.patch("/pools/p", &json!({ "displayName": "newer" })).send().await.expect(200);
    // Said again it is no change.
    rig.patch("/pools/p", &slots).send().await.expect(200);
}

#[tokio::test]
async fn another_start_task_is_that_of_later_boots() {
    let mut rig = Rig::start().await;
    let start_task =
        |line: &str| json!({ "startTask": { "commandLine": line, "waitForSuccess": false } });
    let mut agents = rig.pool("p", 1, start_task("one")).await;
    rig.patch("/pools/p", &start_task("two")).send().await.expect(200);
    let node = format!("/pools/p/nodes/{}", agents[0].node_id());
    let before = rig.get(&node).send().await.expect(200).body;
    assert_eq!(before["startTask"]["commandLine"], "one");
    assert_eq!(pool(&rig).await["startTask"]["commandLine"], "two");
    // An agent that only links anew is told what it has done already.
    agents[0].relink().await;
    let told = agents[0].prepare().await.start_task;
    assert_eq!(told.map(|it| it.command_line).as_deref(), Some("one"));
    agents.remove(0).die();
    let prepare = rig.agent().await.boot().await;
    assert_eq!(prepare.start_task.map(|it| it.command_line).as_deref(), Some("two"));
    let after = rig.get(&node).send().await.expect(200).body;
    assert_eq!(after["startTask"]["commandLine"], "two");
}

#[tokio::test]
async fn a_pool_that_goes_is_not_changed() {
    let mut rig = Rig::start().await;
    let agents = rig.pool("p", 1, json!({})).await;
    let deleting = rig.delete("/pools/p").send();
    let refused = async {
        rig.until_state("/pools/p", "deleting").await;
        let metadata = json!({ "metadata": [], "applicationPackageReferences": [] });
        let nodes = json!({ "nodeList": ["n"] });
        let size = json!({ "targetDedicatedNodes": 1 });
        for ask in [
            rig.patch("/pools/p", &json!({ "metadata": [] })),
            rig.post("/pools/p/updateproperties", &metadata),
            rig.post("/pools/p/stopresize", &json!({})),
            rig.post("/pools/p/resize", &size),
        ] {
            ask.send().await.refuses(409, "PoolBeingDeleted");
        }
        rig.post("/pools/p/removenodes", &nodes).send().await.refuses(404, "NodeNotFound");
        for agent in agents {
            agent.leave().await;
        }
    };
    let (deleted, ()) = tokio::join!(deleting, refused);
    deleted.expect(202);
}

#[tokio::test]
async fn the_system_of_an_old_pool_is_named_anew() {
    const OLD: &str = "2016-07-01.3.1";
    let rig = Rig::start().await;
    let body = json!({
        "id": "p",
        "vmSize": "small",
        "cloudServiceConfiguration": { "osFamily": "4", "targetOSVersion": "*" },
        "targetDedicated": 0,
    });
    rig.post("/pools", &body).version(OLD).send().await.expect(201);
    let upgrade = |version: &str| {
        rig.post("/pools/p/upgradeos", &json!({ "targetOSVersion": version })).version(OLD)
    };
    upgrade("*").send().await.refuses(400, "PoolVersionEqualsUpgradeVersion");
    let upgraded = upgrade("WA-GUEST-OS-4.28_201601-01").send().await.expect(202);
    assert!(upgraded.header("etag").is_some());
    let after = rig.get("/pools/p").version(OLD).send().await.expect(200).body;
    let system = &after["cloudServiceConfiguration"];
    assert_eq!(system["targetOSVersion"], "WA-GUEST-OS-4.28_201601-01");
    assert_eq!(system["currentOSVersion"], "WA-GUEST-OS-4.28_201601-01");
    let mut modern = pool_body("q", 0);
    modern["id"] = json!("q");
    rig.post("/pools", &modern).send().await.expect(201);
    let modern = rig.post("/pools/q/upgradeos", &json!({ "targetOSVersion": "*" })).version(OLD);
    modern.send().await.refuses(400, "PoolNotEligibleForOSVersionUpgrade");
}
