//! Jobs as the real service was seen to answer about them, call by call, in two of its
//! api-versions; and as each version shows them.

use kiln_wire::api_version::ApiVersion;
use kiln_wire::node::Outcome;
use serde_json::{Map, Value, json};

use crate::rig::{Ask, Reply, Rig};

const OLD: &str = "2016-07-01.3.1";
const LATER: &str = "2019-08-01.10.0";

/// What was recorded of the headers of an answer.
#[derive(Clone, Copy)]
enum Headers {
    /// A resource was made: its place, tag and time.
    Made,
    /// An action was taken on a resource: which, its tag and time.
    Acted,
    /// A resource is shown: its tag and time.
    Shown,
    /// Neither tag nor time.
    Bare,
}

impl Headers {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Made => &["dataserviceid", "etag", "last-modified", "location"],
            Self::Acted => &["dataserviceid", "etag", "last-modified"],
            Self::Shown => &["etag", "last-modified"],
            Self::Bare => &[],
        }
    }
}

/// Asks, and holds the answer against what was recorded of it.
async fn check(rig: &Rig, version: &str, ask: Ask, status: u16, headers: Headers) -> Reply {
    let reply = ask.version(version).send().await.expect(status);
    for name in ["dataserviceid", "etag", "last-modified", "location"] {
        let is_there = reply.header(name).is_some();
        assert_eq!(is_there, headers.names().contains(&name), "{} {name}", reply.asked);
    }
    assert_eq!(reply.header("dataserviceversion"), Some("3.0"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    if let Headers::Acted = headers {
        let path = reply.asked.split(' ').nth(1).unwrap_or_default();
        assert_eq!(reply.header("dataserviceid"), Some(format!("{}{path}", rig.url()).as_str()));
    }
    let is_empty = matches!(headers, Headers::Made | Headers::Acted) || status == 202;
    assert_eq!(reply.bytes.is_empty(), is_empty, "{}", reply.asked);
    reply
}

/// The job as recorded, with the times of `shown`, whose forms are held against the recording.
fn recorded(rig: &Rig, shown: &Value) -> Value {
    let time = |name: &str| {
        let text = shown[name].as_str().unwrap_or_default().to_owned();
        assert!(text.len() > "2019-08-05T19:39:55Z".len() && text.ends_with('Z'), "{name} {text}");
        text
    };
    json!({
        "id": "HelloWorldJobNodeSDKTest",
        "url": format!("{}/jobs/HelloWorldJobNodeSDKTest", rig.url()),
        "eTag": shown["eTag"],
        "lastModified": time("lastModified"),
        "creationTime": time("creationTime"),
        "state": "active",
        "stateTransitionTime": time("stateTransitionTime"),
        "priority": 500,
        "usesTaskDependencies": false,
        "constraints": {
            "maxWallClockTime": "P10675199DT2H48M5.4775807S",
            "maxTaskRetryCount": 3,
        },
        "poolInfo": { "poolId": "nodesdktestpool1" },
        "executionInfo": {
            "startTime": time("creationTime"),
            "poolId": "nodesdktestpool1",
        },
        "onAllTasksComplete": "noaction",
        "onTaskFailure": "noaction",
    })
}

#[tokio::test]
async fn recorded_calls_about_jobs_are_answered_alike() {
    for version in [OLD, LATER] {
        let rig = Rig::start().await;
        let ask = |ask, status, headers| check(&rig, version, ask, status, headers);
        let job = "/jobs/HelloWorldJobNodeSDKTest";
        let pool = json!({ "poolId": "nodesdktestpool1" });
        let new = json!({ "id": "HelloWorldJobNodeSDKTest", "poolInfo": pool });
        ask(rig.post("/jobs", &new), 201, Headers::Made).await;
        let update = json!({
            "priority": 500, "constraints": { "maxTaskRetryCount": 3 }, "poolInfo": pool,
        });
        ask(rig.put(job, &update), 200, Headers::Acted).await;
        let patched = ask(rig.put(job, &update), 200, Headers::Acted).await;
        let auto = json!({
            "id": "JobWithAutoComplete", "poolInfo": pool, "onAllTasksComplete": "terminatejob",
        });
        ask(rig.post("/jobs", &auto), 201, Headers::Made).await;
        ask(rig.delete("/jobs/JobWithAutoComplete"), 202, Headers::Bare).await;
        rig.until("/jobs/JobWithAutoComplete", |it| it.status == 404).await;
        if version == LATER {
            let counts = ask(rig.get(&format!("{job}/taskcounts")), 200, Headers::Bare).await;
            let none = json!({
                "odata.metadata": format!("{}/$metadata#taskcounts/@Element", rig.url()),
                "active": 0, "running": 0, "completed": 0, "succeeded": 0, "failed": 0,
            });
            assert_eq!(counts.body, none);
        }
        let shown = ask(rig.get(job), 200, Headers::Shown).await;
        let expected = recorded(&rig, &shown.body);
        let mut single = expected.clone();
        single["odata.metadata"] = json!(format!("{}/$metadata#jobs/@Element", rig.url()));
        assert_eq!(shown.body, single, "{version}");
        assert_eq!(shown.header("etag"), patched.header("etag"));
        assert_eq!(shown.header("content-type"), Some("application/json;odata=minimalmetadata"));
        let listed = ask(rig.get("/jobs"), 200, Headers::Bare).await;
        let list = json!({
            "odata.metadata": format!("{}/$metadata#jobs", rig.url()), "value": [expected],
        });
        assert_eq!(listed.body, list, "{version}");
        let wait = json!({ "disableTasks": "terminate" });
        ask(rig.post(&format!("{job}/disable"), &wait), 202, Headers::Acted).await;
        rig.until_state(job, "disabled").await;
        let nothing = |path: &str| rig.post(&format!("{job}/{path}"), &Value::Null).text("".into());
        ask(nothing("enable"), 202, Headers::Acted).await;
        ask(nothing("terminate"), 202, Headers::Acted).await;
        ask(rig.delete(job), 202, Headers::Bare).await;
    }
}

/// Members of a job and the first api-version that shows them.
const SINCE: [(&str, ApiVersion); 21] = [
    ("commonEnvironmentSettings", ApiVersion::OLDEST),
    ("constraints", ApiVersion::OLDEST),
    ("creationTime", ApiVersion::OLDEST),
    ("displayName", ApiVersion::OLDEST),
    ("eTag", ApiVersion::OLDEST),
    ("executionInfo", ApiVersion::OLDEST),
    ("id", ApiVersion::OLDEST),
    ("jobManagerTask", ApiVersion::OLDEST),
    ("lastModified", ApiVersion::OLDEST),
    ("metadata", ApiVersion::OLDEST),
    ("onAllTasksComplete", ApiVersion::OLDEST),
    ("onTaskFailure", ApiVersion::OLDEST),
    ("poolInfo", ApiVersion::OLDEST),
    ("previousState", ApiVersion::OLDEST),
    ("previousStateTransitionTime", ApiVersion::OLDEST),
    ("priority", ApiVersion::OLDEST),
    ("state", ApiVersion::OLDEST),
    ("stateTransitionTime", ApiVersion::OLDEST),
    ("url", ApiVersion::OLDEST),
    ("usesTaskDependencies", ApiVersion::OLDEST),
    ("networkConfiguration", ApiVersion::V2018_12_01),
];

/// Members that came later still.
const SINCE_LATELY: [(&str, ApiVersion); 2] = [
    ("maxParallelTasks", ApiVersion::V2021_06_01),
    ("allowTaskPreemption", ApiVersion::V2022_01_01),
];

/// Members of a job manager and the api-versions that show them.
const OF_MANAGERS: [(&str, ApiVersion, ApiVersion); 12] = [
    ("allowLowPriorityNode", ApiVersion::V2017_05_01, ApiVersion::NEWEST),
    ("commandLine", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("constraints", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("displayName", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("environmentSettings", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("id", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("killJobOnCompletion", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("requiredSlots", ApiVersion::V2020_09_01, ApiVersion::NEWEST),
    ("resourceFiles", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("runElevated", ApiVersion::OLDEST, ApiVersion::OLDEST),
    ("runExclusive", ApiVersion::OLDEST, ApiVersion::NEWEST),
    ("userIdentity", ApiVersion::V2017_01_01, ApiVersion::NEWEST),
];

fn names(members: &Map<String, Value>) -> Vec<&str> {
    members.keys().map(String::as_str).filter(|name| *name != "odata.metadata").collect()
}

#[tokio::test]
async fn each_version_shows_the_members_of_a_job_that_it_knows() {
    let rig = Rig::start().await;
    let manager = json!({
        "id": "boss", "displayName": "B", "commandLine": "manage",
        "environmentSettings": [{ "name": "A", "value": "1" }],
        "resourceFiles": [{ "httpUrl": "http://h/f", "filePath": "f" }],
    });
    let job = json!({
        "id": "j", "displayName": "J", "poolInfo": { "poolId": "p" }, "jobManagerTask": manager,
        "commonEnvironmentSettings": [{ "name": "A", "value": "1" }],
        "metadata": [{ "name": "m", "value": "1" }], "networkConfiguration": {
            "subnetId": "s", "skipWithdrawFromVNet": true },
    });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobs/j", "completed").await;
    for version in ApiVersion::all() {
        let shown = rig.get("/jobs/j").version(version.as_str()).send().await.expect(200).body;
        let shown = shown.as_object().expect("a job");
        let known = SINCE.iter().chain(&SINCE_LATELY).filter(|(_, since)| *since <= version);
        let mut expected: Vec<&str> = known.map(|(name, _)| *name).collect();
        expected.sort_unstable();
        let mut found = names(shown);
        found.sort_unstable();
        assert_eq!(found, expected, "{}", version.as_str());
        let manager = shown["jobManagerTask"].as_object().expect("a manager");
        let known = OF_MANAGERS.iter().filter(|(_, a, b)| (*a..=*b).contains(&version));
        let expected: Vec<&str> = known.map(|(name, ..)| *name).collect();
        assert_eq!(names(manager), expected, "{}", version.as_str());
        let info = shown["executionInfo"].as_object().expect("what became of it");
        let expected = ["endTime", "poolId", "startTime", "terminateReason"];
        assert_eq!(names(info), expected, "{}", version.as_str());
    }
}

#[tokio::test]
async fn each_version_counts_tasks_in_its_form() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 4 })).await;
    rig.job("j", "p").await;
    rig.task("j", "a", json!({ "requiredSlots": 3 })).await;
    agents[0].run_to(Outcome::Exited { exit_code: 0 }).await;
    let tasks = json!({ "active": 0, "running": 0, "completed": 1, "succeeded": 1, "failed": 0 });
    let slots = json!({ "active": 0, "running": 0, "completed": 3, "succeeded": 3, "failed": 0 });
    for version in ApiVersion::all() {
        let reply = rig.get("/jobs/j/taskcounts").version(version.as_str()).send().await;
        if version < ApiVersion::V2017_06_01 {
            reply.refuses(400, "InvalidUri");
            continue;
        }
        let mut counts = reply.expect(200).body;
        counts.as_object_mut().expect("members").remove("odata.metadata");
        let mut expected = tasks.clone();
        if version < ApiVersion::V2018_08_01 {
            expected["validationStatus"] = json!("validated");
        }
        if version >= ApiVersion::V2020_09_01 {
            expected = json!({ "taskCounts": tasks, "taskSlotCounts": slots });
        }
        assert_eq!(counts, expected, "{}", version.as_str());
    }
}
