//! Forms of answers: which headers and members the real service was seen to give to clients of
//! two of its api-versions.

use kiln_wire::node::{NodeAnswer, Outcome};
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, pool_body};

const OLD: &str = "2016-07-01.3.1";
const LATER: &str = "2019-08-01.10.0";
const NEWEST: &str = "2025-06-01";

/// The headers of an answer that say something about the service or the resource.
fn headers(reply: &Reply) -> String {
    let uninteresting = ["server", "date", "content-length", "x-content-type-options"];
    let mut names: Vec<&str> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| !uninteresting.contains(name));
    names.sort_unstable();
    assert_eq!(reply.header("dataserviceversion"), Some("3.0"));
    names.retain(|name| !["dataserviceversion", "request-id"].contains(name));
    names.join(" ")
}

fn members(value: &Value) -> String {
    let members = value.as_object().expect("members");
    members.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn each_operation_has_its_status_and_headers() {
    let rig = Rig::start().await;
    let made = "dataserviceid etag last-modified location";
    let acted = "dataserviceid etag last-modified";
    let said = "content-type etag last-modified";
    let job = json!({ "id": "j", "poolInfo": { "poolId": "p" } });
    let task = json!({ "id": "t", "commandLine": "true" });
    let resize = json!({ "targetDedicatedNodes": 0 });
    let nothing = json!({});
    let schedule = schedule_body();
    let schedule_patch = json!({ "schedule": { "doNotRunUntil": "2098-12-25" } });
    for (ask, status, expected) in [
        (rig.post("/pools", &pool_body("p", 0)), 201, made),
        (rig.post("/jobs", &job), 201, made),
        (rig.post("/jobs/j/tasks", &task), 201, made),
        (rig.get("/pools"), 200, "content-type"),
        (rig.get("/pools/p"), 200, said),
        (rig.head("/pools/p"), 200, "etag last-modified"),
        (rig.get("/pools/p/nodes"), 200, "content-type"),
        (rig.get("/jobs"), 200, "content-type"),
        (rig.get("/jobs/j"), 200, said),
        (rig.get("/jobs/j/tasks"), 200, "content-type"),
        (rig.get("/jobs/j/tasks/t"), 200, said),
        (rig.get("/jobs/j/taskcounts"), 200, "content-type"),
        (rig.get("/supportedimages"), 200, "content-type"),
        (rig.post("/jobschedules", &schedule), 201, made),
        (rig.get("/jobschedules"), 200, "content-type"),
        (rig.get("/jobschedules/s/jobs"), 200, "content-type"),
        (rig.head("/jobschedules/s"), 200, "etag last-modified"),
        (rig.get("/jobschedules/s"), 200, said),
        (rig.put("/jobschedules/s", &schedule), 200, acted),
        (rig.patch("/jobschedules/s", &schedule_patch), 200, acted),
        (rig.post("/jobschedules/s/disable", &nothing), 204, acted),
        (rig.post("/jobschedules/s/enable", &nothing), 204, acted),
        (rig.post("/jobschedules/s/terminate", &nothing), 202, acted),
        (rig.delete("/jobschedules/s"), 202, ""),
        (rig.post("/jobs/j/tasks/t/terminate", &nothing), 204, acted),
        (rig.delete("/jobs/j/tasks/t"), 200, ""),
        (rig.post("/jobs/j/terminate", &nothing), 202, acted),
        (rig.delete("/jobs/j"), 202, ""),
        (rig.post("/pools/p/resize", &resize), 202, acted),
        (rig.delete("/pools/p"), 202, ""),
        (rig.get("/jobs/j"), 404, "content-type"),
    ] {
        if status == 202 && expected == acted {
            let settled = |it: &Reply| it.body["allocationState"] == "steady";
            rig.until("/pools/p", settled).await;
        }
        let reply = ask.version(NEWEST).send().await.expect(status);
        assert_eq!(headers(&reply), expected, "{}", reply.asked);
        for header in ["location", "dataserviceid"] {
            let url = reply.header(header).unwrap_or_else(|| rig.url());
            assert!(url.starts_with(rig.url()) && !url.contains('?'), "{url}");
        }
    }
}

/// As the recorded client adds it.
fn schedule_body() -> Value {
    json!({
        "id": "s",
        "schedule": { "doNotRunUntil": "2097-12-25T00:00:00Z", "startWindow": "PT6M" },
        "jobSpecification": { "poolInfo": { "poolId": "nodesdktestpool1" } },
    })
}

#[tokio::test]
async fn a_schedule_is_shown_as_each_version_recorded_it() {
    let rig = Rig::start().await;
    let shown = |version| rig.get("/jobschedules/s").version(version);
    rig.post("/jobschedules", &schedule_body()).version(OLD).send().await.expect(201);
    let old = shown(OLD).send().await.expect(200).body;
    let at = &old["creationTime"];
    let mut expected = json!({
        "odata.metadata": format!("{}/$metadata#jobschedules/@Element", rig.url()),
        "id": "s",
        "url": format!("{}/jobschedules/s", rig.url()),
        "eTag": old["eTag"],
        "lastModified": at,
        "creationTime": at,
        "state": "active",
        "stateTransitionTime": at,
        "schedule": { "doNotRunUntil": "2097-12-25T00:00:00Z", "startWindow": "PT6M" },
        "jobSpecification": {
            "priority": 0,
            "usesTaskDependencies": false,
            "constraints": {
                "maxWallClockTime": "P10675199DT2H48M5.4775807S", "maxTaskRetryCount": 0,
            },
            "poolInfo": { "poolId": "nodesdktestpool1" },
        },
        "executionInfo": { "nextRunTime": "2097-12-25T00:00:00Z" },
    });
    assert_eq!(old, expected);
    expected["jobSpecification"]["onAllTasksComplete"] = json!("noaction");
    expected["jobSpecification"]["onTaskFailure"] = json!("noaction");
    assert_eq!(shown(LATER).send().await.expect(200).body, expected);
    expected["jobSpecification"]["maxParallelTasks"] = json!(-1);
    expected["jobSpecification"]["allowTaskPreemption"] = json!(false);
    let newest = shown(NEWEST).send().await.expect(200).body;
    assert_eq!(newest, expected);
    // The newest clients send back all that they read.
    rig.put("/jobschedules/s", &newest).send().await.expect(200);
}

#[tokio::test]
async fn each_change_of_a_pool_has_its_status_and_headers() {
    let mut rig = Rig::start().await;
    let agents = rig.pool("p", 1, json!({})).await;
    let acted = "dataserviceid etag last-modified";
    let metadata = json!([{ "name": "foo2", "value": "bar2" }]);
    let lists = json!({
        "metadata": metadata,
        "applicationPackageReferences": [],
        "certificateReferences": [],
    });
    let settled = |it: &Reply| it.body["allocationState"] == "steady";
    rig.until("/pools/p", settled).await;
    for (ask, status) in [
        (rig.post("/pools/p/updateproperties", &lists), 204),
        (rig.patch("/pools/p", &json!({ "metadata": metadata })), 200),
        (rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 1 })), 202),
        (rig.post("/pools/p/stopresize", &json!({})), 202),
        (rig.post("/pools/p/removenodes", &json!({ "nodeList": [agents[0].node_id()] })), 202),
    ] {
        rig.until("/pools/p", settled).await;
        let reply = ask.version(LATER).send().await.expect(status);
        assert_eq!(headers(&reply), acted, "{}", reply.asked);
        assert!(reply.bytes.is_empty(), "{}", reply.asked);
    }
    let pool = rig.get("/pools/p").version(LATER).send().await.expect(200).body;
    assert_eq!((&pool["metadata"], &pool["certificateReferences"]), (&metadata, &json!([])));
}

#[tokio::test]
async fn each_action_on_a_node_has_its_status_and_headers() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 3, json!({})).await;
    let path = |index: usize| format!("/pools/p/nodes/{}", agents[index].node_id());
    let (used, rebooted, reimaged) = (path(0), path(1), path(2));
    let user =
        json!({ "name": "NodeSDKTestUser", "isAdmin": false, "password": "kt#_gahr!@aGERDXA" });
    let change = json!({ "password": "liilef#$DdRGSa_ewkjh" });
    let logs = json!({ "containerUrl": "https://h/c?sig=x", "startTime": "2018-02-25T00:00:00Z" });
    let nothing = json!({});
    let of_user = format!("{used}/users/NodeSDKTestUser");
    for (ask, status, expected, answer) in [
        (rig.post(&format!("{used}/users"), &user), 201, "dataserviceid location", 1),
        (rig.put(&of_user, &change), 200, "dataserviceid", 1),
        (rig.delete(&of_user), 200, "", 1),
        (rig.post(&format!("{used}/uploadbatchservicelogs"), &logs), 200, "content-type", 1),
        (rig.post(&format!("{used}/disablescheduling"), &nothing), 200, "dataserviceid", 0),
        (rig.post(&format!("{used}/enablescheduling"), &nothing), 200, "dataserviceid", 0),
        (rig.post(&format!("{rebooted}/reboot"), &nothing), 202, "dataserviceid", 0),
        (rig.post(&format!("{reimaged}/reimage"), &nothing), 202, "dataserviceid", 0),
        (rig.get(&used), 200, "content-type", 0),
        (rig.get("/pools/p/nodes"), 200, "content-type", 0),
        (rig.get("/nodecounts"), 200, "content-type", 0),
        (rig.get(&format!("{used}/remoteloginsettings")), 200, "content-type", 0),
    ] {
        let answered = async {
            if answer == 1 {
                let (number, _) = agents[0].requested().await;
                agents[0].answer(number, Ok(NodeAnswer::Done)).await;
            }
        };
        let (reply, ()) = tokio::join!(ask.version(LATER).send(), answered);
        let reply = reply.expect(status);
        assert_eq!(headers(&reply), expected, "{}", reply.asked);
    }
}

#[tokio::test]
async fn each_version_sees_the_members_it_knows() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agents[0].run_to(Outcome::Exited { exit_code: 0 }).await;
    let node = format!("/pools/p/nodes/{}", agents[0].node_id());
    let pool = "allocationState allocationStateTransitionTime creationTime SIZES eTag \
                enableAutoScale enableInterNodeCommunication id lastModified maxTasksPerNode \
                odata.metadata resizeTimeout state stateTransitionTime TARGETS \
                taskSchedulingPolicy url virtualMachineConfiguration vmSize";
    let old_pool = pool.replace("SIZES", "currentDedicated").replace("TARGETS", "targetDedicated");
    let later_pool = pool
        .replace("SIZES", "currentDedicatedNodes currentLowPriorityNodes")
        .replace("TARGETS", "targetDedicatedNodes targetLowPriorityNodes");
    let job = "constraints creationTime eTag executionInfo id lastModified odata.metadata \
               onAllTasksComplete onTaskFailure poolInfo priority state stateTransitionTime url \
               usesTaskDependencies";
    let old_node = "affinityId allocationTime id ipAddress lastBootTime odata.metadata \
                    recentTasks runningTasksCount schedulingState state stateTransitionTime totalTasksRun \
                    totalTasksSucceeded url vmSize";
    let old_task = "commandLine constraints creationTime eTag executionInfo id lastModified \
                    nodeInfo odata.metadata previousState previousStateTransitionTime \
                    runElevated state stateTransitionTime url";
    let later_task = old_task.replace("runElevated ", "") + " userIdentity";
    for (path, version, expected) in [
        ("/pools/p", OLD, old_pool.as_str()),
        ("/pools/p", LATER, later_pool.as_str()),
        ("/jobs/j", OLD, job),
        ("/jobs/j", LATER, job),
        (node.as_str(), OLD, old_node),
        ("/jobs/j/tasks/t", OLD, old_task),
        ("/jobs/j/tasks/t", LATER, later_task.as_str()),
    ] {
        let reply = rig.get(path).version(version).send().await.expect(200);
        assert_eq!(members(&reply.body), expected, "{version} {path}");
    }
    let later = rig.get("/jobs/j/tasks/t").version(LATER).send().await.body;
    let info = "endTime exitCode requeueCount result retryCount startTime";
    assert_eq!(members(&later["executionInfo"]), info);
    let place = "affinityId nodeId nodeUrl poolId taskRootDirectory taskRootDirectoryUrl";
    assert_eq!(members(&later["nodeInfo"]), place);
    assert_eq!(later["constraints"]["maxWallClockTime"], "P10675199DT2H48M5.4775807S");
    assert_eq!(later["nodeInfo"]["affinityId"], format!("TVM:{}", agents[0].node_id()));
    let old = rig.get("/jobs/j/tasks/t").version(OLD).send().await.body;
    assert_eq!(members(&old["executionInfo"]), info.replace("result ", ""));
}

#[tokio::test]
async fn times_and_tags_have_their_forms() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    let job = rig.get("/jobs/j").version(LATER).send().await.expect(200);
    // 0x8D719DCB2146140, 2019-08-05T19:39:56.7394112Z, Mon, 05 Aug 2019 19:39:56 GMT.
    let tag = job.body["eTag"].as_str().expect("a tag");
    assert_eq!(job.header("etag"), Some(tag));
    let digits = tag.strip_prefix("0x8D").expect("a tag of this century");
    assert_eq!(digits.len(), "719DCB2146140".len());
    assert!(digits.chars().all(|it| it.is_ascii_digit() || it.is_ascii_uppercase()), "{tag}");
    let modified = job.body["lastModified"].as_str().expect("a time");
    let (seconds, fraction) = modified.split_once('.').unwrap_or((modified, "Z"));
    assert_eq!(seconds.len(), "2019-08-05T19:39:56".len());
    assert!(fraction.len() <= 8 && fraction.ends_with('Z') && !fraction.ends_with("0Z"));
    let header = job.header("last-modified").expect("a date");
    let (_, clock) = seconds.split_once('T').expect("a date and a time");
    assert!(header.ends_with(&format!(" {clock} GMT")), "{header} {seconds}");
}
