//! Requests that are refused, and how.

use kiln_domain::span::Span;
use kiln_server::admin::{AccountKind, Admin};
use serde_json::{Value, json};

use crate::rig::{Rig, now, pool_body};

#[tokio::test]
async fn who_does_not_say_who_they_are() {
    let rig = Rig::start().await;
    let pools = || rig.get("/pools");
    let no_version = pools().version("").send().await.refuses(400, "MissingRequiredQueryParameter");
    assert_eq!(no_version.value("QueryParameterName"), "api-version");
    let detail = "AuthenticationErrorDetail";
    let stranger = pools().signed_by("nobody", "a2V5").send().await;
    let stranger = stranger.refuses(403, "AuthenticationFailed");
    assert!(stranger.value(detail).contains("'nobody'"), "{}", stranger.body);
    let wrong = pools().signed_by("kilndev", "a2V5").send().await;
    let wrong = wrong.refuses(403, "AuthenticationFailed");
    assert!(wrong.value(detail).contains("string to sign: 'GET"), "{}", wrong.body);
    let old = pools().header("ocp-date", "Sat, 01 Jan 2000 00:00:00 GMT").send().await;
    old.refuses(403, "AuthenticationFailed");
    let odd = pools().header("ocp-date", "today").send().await;
    assert_eq!(odd.refuses(400, "InvalidHeaderValue").value("HeaderName"), "ocp-date");
    let nobody = pools().header("authorization", "").send().await;
    let nobody = nobody.refuses(400, "MissingRequiredHeader");
    assert_eq!(nobody.value("HeaderName"), "Authorization");
    let bearer = pools().header("authorization", "Bearer abc").send().await;
    bearer.refuses(400, "InvalidAuthenticationInfo");
}

#[tokio::test]
async fn either_key_of_an_account_opens_it() {
    let rig = Rig::start().await;
    let admin = Admin::open(rig.data()).expect("the store");
    let account = admin.create(AccountKind::Batch, "farm").await.expect("an account");
    let [primary, secondary] = &account.keys;
    assert_ne!(primary, secondary);
    for key in [primary, secondary] {
        rig.get("/pools").signed_by("farm", key).send().await.expect(200);
        let other = rig.get("/pools").signed_by("kilndev", key).send().await;
        other.refuses(403, "AuthenticationFailed");
    }
}

#[tokio::test]
async fn a_clock_may_be_a_quarter_of_an_hour_off() {
    let rig = Rig::start().await;
    for (minutes, is_near) in [(-16, false), (-14, true), (14, true), (16, false)] {
        let date = now().plus(Span::minutes(minutes)).to_rfc1123();
        let reply = rig.get("/pools").header("ocp-date", &date).send().await;
        if is_near {
            reply.expect(200);
        } else {
            reply.refuses(403, "AuthenticationFailed");
        }
    }
}

#[tokio::test]
async fn the_clients_own_id_comes_back_when_wished() {
    let rig = Rig::start().await;
    let asked = |wish: &str| {
        let id = "7c9c2c1c-0000-4000-8000-000000000001";
        rig.get("/pools/q").header("client-request-id", id).header("return-client-request-id", wish)
    };
    let told = asked("True").send().await.refuses(404, "PoolNotFound");
    assert_eq!(told.header("client-request-id"), Some("7c9c2c1c-0000-4000-8000-000000000001"));
    assert_eq!(asked("false").send().await.header("client-request-id"), None);
}

#[tokio::test]
async fn bodies_that_can_not_be_read() {
    let rig = Rig::start().await;
    let post = |text: &str| rig.post("/pools", &Value::Null).text(text.to_owned());
    post("{\"id\":").send().await.refuses(400, "InvalidRequestBody");
    post("").send().await.refuses(400, "InvalidRequestBody");
    post("[1]").send().await.refuses(400, "InvalidRequestBody");
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(1024 * 1024));
    post(&large).send().await.refuses(413, "RequestBodyTooLarge");
}

#[tokio::test]
async fn bodies_that_break_a_rule() {
    let rig = Rig::start().await;
    let mut body = pool_body("p", 0);
    body.as_object_mut().expect("members").remove("vmSize");
    let missing = rig.post("/pools", &body).send().await.refuses(400, "MissingRequiredProperty");
    assert_eq!(missing.value("PropertyName"), "vmSize");
    for (name, value) in [
        ("id", json!("a/b")),
        ("id", json!("x".repeat(65))),
        ("taskSlotsPerNode", json!(257)),
        ("targetDedicatedNodes", json!(-1)),
        ("targetDedicatedNodes", json!("two")),
    ] {
        let mut body = pool_body("p", 0);
        body[name] = value.clone();
        let refused = rig.post("/pools", &body).send().await;
        assert_eq!(refused.status, 400, "{name}: {value} {}", refused.body);
        assert_eq!(refused.value("PropertyName"), name, "{value} {}", refused.body);
    }
    let resize = json!({ "targetDedicatedNodes": -2 });
    let refused = rig.post("/pools/p/resize", &resize).send().await;
    assert_eq!(refused.refuses(400, "InvalidPropertyValue").value("PropertyValue"), "-2");
    let mut newer = pool_body("p", 0);
    newer["taskSlotsPerNode"] = json!(1);
    let newer = rig.post("/pools", &newer).version("2019-08-01.10.0").send().await;
    assert_eq!(newer.status, 400, "{}", newer.body);
}

#[tokio::test]
async fn members_of_tasks_that_may_be_absent_or_null() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    let task = json!({
        "id": "t", "commandLine": "true", "userIdentity": null, "constraints": {},
        "environmentSettings": [{ "name": "A" }, { "name": "B", "value": null }],
        "resourceFiles": [{ "httpUrl": "http://h/f", "filePath": "f" }],
    });
    rig.post("/jobs/j/tasks", &task).send().await.expect(201);
    for (name, value) in [
        ("requiredSlots", json!(-1)),
        ("requiredSlots", json!(0)),
        ("requiredSlots", json!(4_294_967_296_u64)),
        ("constraints", json!({ "maxTaskRetryCount": -2 })),
        ("constraints", json!({ "maxWallClockTime": "soon" })),
        ("constraints", json!({ "maxWallClockTime": "-PT1H" })),
        ("constraints", json!({ "retentionTime": "-P1D" })),
        ("constraints", json!({ "retentionTime": 7 })),
        ("userIdentity", json!({ "autoUser": { "scope": "planet" } })),
        ("environmentSettings", json!([{ "value": "1" }])),
    ] {
        let mut task = json!({ "id": "u", "commandLine": "true" });
        task[name] = value.clone();
        let refused = rig.post("/jobs/j/tasks", &task).send().await;
        assert_eq!(refused.status, 400, "{name}: {value} {}", refused.body);
        assert!(refused.value("PropertyName").starts_with(name), "{value} {}", refused.body);
    }
}

#[tokio::test]
async fn names_that_are_taken_or_not_there() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    rig.post("/pools", &pool_body("P", 0)).send().await.refuses(409, "PoolExists");
    let job = json!({ "id": "j", "poolInfo": { "poolId": "p" } });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.post("/jobs", &job).send().await.refuses(409, "JobExists");
    let task = json!({ "id": "t", "commandLine": "true" });
    rig.post("/jobs/j/tasks", &task).send().await.expect(201);
    rig.post("/jobs/j/tasks", &task).send().await.refuses(409, "TaskExists");
    rig.post("/jobs/k/tasks", &task).send().await.refuses(404, "JobNotFound");
    rig.get("/jobs/k").send().await.refuses(404, "JobNotFound");
    rig.get("/jobs/k/tasks").send().await.refuses(404, "JobNotFound");
    rig.get("/jobs/j/tasks/u").send().await.refuses(404, "TaskNotFound");
    rig.get("/pools/q/nodes").send().await.refuses(404, "PoolNotFound");
    let early = rig.get("/jobs/j/tasks/t/files").send().await;
    early.refuses(409, "OperationInvalidForCurrentState");
}

#[tokio::test]
async fn collections_that_are_too_large() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    let tasks = |count: usize, line: &str| {
        let task = |n| json!({ "id": format!("t{n}"), "commandLine": line });
        json!({ "value": (0..count).map(task).collect::<Vec<_>>() })
    };
    let path = "/jobs/j/addtaskcollection";
    let many = rig.post(path, &tasks(101, "true")).send().await;
    assert_eq!(many.refuses(400, "InvalidPropertyValue").value("PropertyValue"), "101");
    let heavy = tasks(100, &"x".repeat(11_000));
    rig.post(path, &heavy).send().await.refuses(413, "RequestBodyTooLarge");
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["active"], 0);
}

#[tokio::test]
async fn what_kiln_does_not_offer() {
    let rig = Rig::start().await;
    rig.get("/nonsense").send().await.refuses(400, "InvalidUri");
}
