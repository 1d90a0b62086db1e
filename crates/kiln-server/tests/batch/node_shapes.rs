//! Forms of nodes, as the service was seen to give them to clients.

use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::{Rig, pool_body};

const LATER: &str = "2019-08-01.10.0";

fn members(value: &Value) -> String {
    let members = value.as_object().expect("members");
    members.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_node_has_the_members_that_were_seen() {
    let mut rig = Rig::start().await;
    let nat = json!([{
        "name": "TestEndpointConfig",
        "protocol": "udp",
        "backendPort": 64444,
        "frontendPortRangeStart": 60000,
        "frontendPortRangeEnd": 61000,
    }]);
    let network = json!({ "endpointConfiguration": { "inboundNATPools": nat } });
    let agents = rig.pool("p", 1, json!({ "networkConfiguration": network })).await;
    let list = rig.get("/pools/p/nodes").version(LATER).send().await.expect(200);
    let node = &list.body["value"][0];
    assert_eq!(
        members(node),
        "affinityId allocationTime certificateReferences endpointConfiguration id ipAddress isDedicated lastBootTime \
         nodeAgentInfo runningTasksCount schedulingState state stateTransitionTime totalTasksRun \
         totalTasksSucceeded url vmSize"
    );
    assert_eq!((&node["state"], &node["ipAddress"]), (&json!("idle"), &json!("10.0.0.4")));
    let endpoints = &node["endpointConfiguration"]["inboundEndpoints"];
    let shown = |index: usize| {
        let endpoint = &endpoints[index];
        assert_eq!(
            members(endpoint),
            "backendPort frontendPort name protocol publicFQDN publicIPAddress"
        );
        let (front, back) = (&endpoint["frontendPort"], &endpoint["backendPort"]);
        format!("{} {} {front} {back}", endpoint["name"], endpoint["protocol"])
    };
    assert_eq!(shown(0), "\"TestEndpointConfig.0\" \"udp\" 60000 64444");
    assert_eq!(shown(1), "\"SSHRule.0\" \"tcp\" 50000 22");
    assert_eq!(members(&node["nodeAgentInfo"]), "lastUpdateTime version");
    let pool = rig.get("/pools/p").version(LATER).send().await.expect(200).body;
    assert_eq!(pool["networkConfiguration"]["dynamicVNetAssignmentScope"], "none");
    let newest = rig.get(&format!("/pools/p/nodes/{}", agents[0].node_id())).send().await.body;
    let image = &newest["virtualMachineInfo"]["imageReference"];
    assert_eq!((&image["version"], &image["exactVersion"]), (&json!("latest"), &json!("1.0.0")));
    assert_eq!(newest["runningTaskSlotsCount"], 0);
}

#[tokio::test]
async fn a_node_names_the_tasks_that_it_ran_last() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    let path = format!("/pools/p/nodes/{}", agents[0].node_id());
    assert_eq!(rig.get(&path).send().await.body.get("recentTasks"), None);
    rig.tasks("j", 12).await;
    for exit_code in 0..12 {
        agents[0].run_to(Outcome::Exited { exit_code }).await;
    }
    let node = rig.get(&path).version(LATER).send().await.expect(200).body;
    let recent = node["recentTasks"].as_array().expect("tasks");
    let ids: Vec<_> = recent.iter().filter_map(|it| it["taskId"].as_str()).collect();
    assert_eq!((ids.first(), ids.last(), ids.len()), (Some(&"t00002"), Some(&"t00011"), 10));
    let last = recent.last().expect("a task");
    assert_eq!(members(last), "executionInfo jobId taskId taskState taskUrl");
    assert_eq!((&last["jobId"], &last["taskState"]), (&json!("j"), &json!("completed")));
    assert_eq!(last["executionInfo"]["exitCode"], 11);
    assert_eq!(last["executionInfo"]["failureInfo"]["category"], "UserError");
    assert_eq!((&node["totalTasksRun"], &node["totalTasksSucceeded"]), (&json!(12), &json!(1)));
    rig.delete("/jobs/j/tasks/t00011").send().await.expect(200);
    let node = rig.get(&path).send().await.expect(200).body;
    assert_eq!(node["recentTasks"].as_array().map(Vec::len), Some(9));
}

#[tokio::test]
async fn nodes_are_counted_by_state() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &pool_body("empty", 0)).send().await.expect(201);
    let _agents = rig.pool("p", 2, json!({})).await;
    let counts = rig.get("/nodecounts").version(LATER).send().await.expect(200).body;
    let metadata = counts["odata.metadata"].as_str().expect("metadata");
    assert!(metadata.ends_with("/$metadata#poolnodecounts"), "{metadata}");
    let pools = counts["value"].as_array().expect("pools");
    assert_eq!(
        (&pools[0]["poolId"], &pools[0]["dedicated"]["total"]),
        (&json!("empty"), &json!(0))
    );
    assert_eq!(
        members(&pools[1]["dedicated"]),
        "creating idle leavingPool offline preempted rebooting reimaging running startTaskFailed \
         starting total unknown unusable waitingForStartTask"
    );
    let own = &pools[1];
    assert_eq!((&own["dedicated"]["idle"], &own["dedicated"]["total"]), (&json!(2), &json!(2)));
    assert_eq!(own["lowPriority"]["total"], 0);
    let newest = rig.get("/nodecounts").query("$filter", "poolId eq 'p'").send().await.expect(200);
    let newest = newest.body["value"].as_array().expect("pools").clone();
    assert_eq!((newest.len(), &newest[0]["dedicated"]["deallocated"]), (1, &json!(0)));
    let first = rig.get("/nodecounts").query("maxresults", "1").send().await.expect(200);
    let next = first.body["odata.nextLink"].as_str().expect("a next page");
    assert_eq!(rig.get(next).send().await.expect(200).body["value"][0]["poolId"], "p");
    rig.get("/nodecounts").version("2017-09-01.6.0").send().await.refuses(400, "InvalidUri");
}

#[tokio::test]
async fn each_kind_of_pool_has_its_way_into_nodes() {
    let mut rig = Rig::start().await;
    let agents = rig.pool("vm", 1, json!({})).await;
    let path = format!("/pools/vm/nodes/{}", agents[0].node_id());
    let settings = rig.get(&format!("{path}/remoteloginsettings")).send().await.expect(200).body;
    assert_eq!(settings["remoteLoginPort"], 50000);
    assert_eq!(settings["remoteLoginIPAddress"], "127.0.0.1");
    let rdp = rig.get(&format!("{path}/rdp")).version(LATER).send().await;
    rdp.refuses(409, "OperationNotValidOnNode");
    let body = json!({
        "id": "service",
        "vmSize": "small",
        "cloudServiceConfiguration": { "osFamily": "4" },
        "targetDedicatedNodes": 1,
    });
    rig.post("/pools", &body).version(LATER).send().await.expect(201);
    let agents = rig.ready(1).await;
    let path = format!("/pools/service/nodes/{}", agents[0].node_id());
    let rdp = rig.get(&format!("{path}/rdp")).version(LATER).send().await.expect(200);
    assert_eq!(rdp.header("content-type"), Some("application/octet-stream"));
    assert_eq!(
        String::from_utf8_lossy(&rdp.bytes),
        "full address:s:127.0.0.1\r\nLoadBalanceInfo:s:Cookie: mstshash=TVM#TVM_IN_0"
    );
    let settings = rig.get(&format!("{path}/remoteloginsettings")).version(LATER).send().await;
    settings.refuses(409, "OperationNotValidOnNode");
    rig.get(&format!("{path}/rdp")).send().await.refuses(400, "InvalidUri");
}

#[tokio::test]
async fn extensions_are_listed_and_not_installed() {
    let mut rig = Rig::start().await;
    let mut body = pool_body("p", 1);
    body["virtualMachineConfiguration"]["extensions"] = json!([{
        "name": "monitor",
        "publisher": "someone",
        "type": "Monitor",
        "settings": { "a": "b" },
        "protectedSettings": { "key": "secret" },
    }]);
    rig.post("/pools", &body).send().await.expect(201);
    let agents = rig.ready(1).await;
    let path = format!("/pools/p/nodes/{}/extensions", agents[0].node_id());
    let list = rig.get(&path).send().await.expect(200);
    let extension = &list.body["value"][0];
    assert_eq!(extension["provisioningState"], "Canceled");
    assert_eq!(members(&extension["vmExtension"]), "name publisher settings type");
    let one = rig.get(&format!("{path}/monitor")).send().await.expect(200).body;
    assert_eq!(one["vmExtension"], extension["vmExtension"]);
    rig.get(&format!("{path}/other")).send().await.refuses(404, "ResourceNotFound");
    assert!(!rig.get("/pools/p").send().await.body.to_string().contains("secret"));
}
