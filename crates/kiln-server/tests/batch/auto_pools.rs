//! Pools that are made for a job or a job schedule.

use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::{Agent, Reply, Rig, pool_body};

/// What an auto pool has in place of a body of its own.
fn pool(nodes: usize) -> Value {
    let mut pool = pool_body("", nodes);
    pool.as_object_mut().expect("members").remove("id");
    pool
}

fn auto(lifetime: &str, nodes: usize) -> Value {
    json!({
        "autoPoolIdPrefix": "made", "poolLifetimeOption": lifetime, "pool": pool(nodes),
    })
}

fn job(id: &str, auto: &Value) -> Value {
    json!({ "id": id, "poolInfo": { "autoPoolSpecification": auto } })
}

/// Adds a job with an auto pool; gives the path of the pool.
async fn add(rig: &Rig, id: &str, auto: &Value) -> String {
    rig.post("/jobs", &job(id, auto)).send().await.expect(201);
    path(&rig.get(&format!("/jobs/{id}")).send().await.expect(200).body)
}

fn path(job: &Value) -> String {
    format!("/pools/{}", job["executionInfo"]["poolId"].as_str().expect("an id"))
}

async fn end(rig: &Rig, job: &str) {
    rig.post(&format!("/jobs/{job}/terminate"), &json!({})).send().await.expect(202);
    rig.until_state(&format!("/jobs/{job}"), "completed").await;
}

/// The pool goes, and its nodes with it.
async fn goes(rig: &Rig, pool: &str, agents: Vec<Agent>) {
    for agent in agents {
        agent.leave().await;
    }
    rig.until(pool, |it| it.status == 404).await.refuses(404, "PoolNotFound");
}

#[tokio::test]
async fn a_job_has_a_pool_of_its_own_while_it_lives() {
    let mut rig = Rig::start().await;
    let path = add(&rig, "j", &auto("job", 1)).await;
    let id = path.strip_prefix("/pools/made_").expect("the prefix");
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(id.chars().all(|it| !it.is_ascii_lowercase()), "{id}");
    let shown = rig.get(&path).send().await.expect(200).body;
    assert_eq!((&shown["targetDedicatedNodes"], &shown["state"]), (&json!(1), &json!("active")));
    // What the client left out is told, as it is of pools.
    let spec = rig.get("/jobs/j").send().await.expect(200).body["poolInfo"].take();
    let spec = &spec["autoPoolSpecification"];
    assert_eq!(spec["keepAlive"], false);
    for (name, value) in [
        ("taskSlotsPerNode", json!(1)),
        ("resizeTimeout", json!("PT15M")),
        ("targetLowPriorityNodes", json!(0)),
        ("enableAutoScale", json!(false)),
        ("enableInterNodeCommunication", json!(false)),
        ("taskSchedulingPolicy", json!({ "nodeFillType": "spread" })),
    ] {
        assert_eq!(spec["pool"][name], value, "{name}");
    }
    assert_eq!(spec["pool"].get("id"), None);
    rig.task("j", "t", json!({})).await;
    let mut agents = rig.ready(1).await;
    agents[0].run_to(Outcome::Exited { exit_code: 0 }).await;
    let task = rig.until_state("/jobs/j/tasks/t", "completed").await;
    assert_eq!(format!("/pools/{}", task["nodeInfo"]["poolId"].as_str().expect("an id")), path);
    end(&rig, "j").await;
    goes(&rig, &path, agents).await;
    assert_eq!(rig.get("/jobs/j").send().await.expect(200).body["state"], "completed");
}

#[tokio::test]
async fn a_deleted_job_takes_its_pool_along() {
    let mut rig = Rig::start().await;
    let path = add(&rig, "j", &auto("job", 1)).await;
    let agents = rig.ready(1).await;
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
    goes(&rig, &path, agents).await;
}

#[tokio::test]
async fn a_pool_that_is_kept_alive_outlives_its_job() {
    let rig = Rig::start().await;
    let mut kept = auto("job", 0);
    kept["keepAlive"] = json!(true);
    let path = add(&rig, "j", &kept).await;
    // Nothing else of it changes, and that only as far as the client says.
    let patch = |auto: &Value| {
        rig.patch("/jobs/j", &json!({ "poolInfo": { "autoPoolSpecification": auto } }))
    };
    let whole = rig.get("/jobs/j").send().await.expect(200).body;
    rig.put("/jobs/j", &whole).send().await.expect(200);
    let mut other = kept.clone();
    other["pool"]["taskSlotsPerNode"] = json!(2);
    let refused = patch(&other).send().await.refuses(400, "InvalidPropertyValue");
    assert_eq!(refused.value("PropertyName"), "poolInfo.autoPoolSpecification.pool");
    kept["keepAlive"] = json!(false);
    patch(&kept).send().await.expect(200);
    kept["keepAlive"] = json!(true);
    patch(&kept).send().await.expect(200);
    end(&rig, "j").await;
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
    assert_eq!(rig.get(&path).send().await.expect(200).body["state"], "active");
    // And the other way round.
    let mut going = auto("job", 0);
    going["keepAlive"] = json!(true);
    let path = add(&rig, "k", &going).await;
    going["keepAlive"] = json!(false);
    let put = json!({ "poolInfo": { "autoPoolSpecification": going } });
    rig.put("/jobs/k", &put).send().await.expect(200);
    end(&rig, "k").await;
    goes(&rig, &path, Vec::new()).await;
}

#[tokio::test]
async fn a_job_that_moves_leaves_its_auto_pool() {
    let rig = Rig::start().await;
    let path = add(&rig, "j", &auto("job", 0)).await;
    let moved = json!({ "poolInfo": { "poolId": "p" } });
    let early = rig.patch("/jobs/j", &moved).send().await;
    early.refuses(409, "OperationInvalidForCurrentState");
    rig.post("/jobs/j/disable", &json!({ "disableTasks": "requeue" })).send().await.expect(202);
    rig.until_state("/jobs/j", "disabled").await;
    rig.patch("/jobs/j", &moved).send().await.expect(200);
    goes(&rig, &path, Vec::new()).await;
    let back = json!({ "poolInfo": { "autoPoolSpecification": auto("job", 0) } });
    rig.patch("/jobs/j", &back).send().await.refuses(400, "InvalidPropertyValue");
}

#[tokio::test]
async fn auto_pools_that_break_a_rule() {
    let rig = Rig::start().await;
    let member = |name: &str| format!("poolInfo.autoPoolSpecification.{name}");
    for (name, value, status, property) in [
        ("autoPoolIdPrefix", json!("x".repeat(21)), 400, member("autoPoolIdPrefix")),
        ("autoPoolIdPrefix", json!("a b"), 400, member("autoPoolIdPrefix")),
        ("poolLifetimeOption", json!("jobschedule"), 400, member("poolLifetimeOption")),
        ("poolLifetimeOption", json!("forever"), 400, member("poolLifetimeOption")),
        ("poolLifetimeOption", Value::Null, 400, member("poolLifetimeOption")),
        ("pool", Value::Null, 400, member("pool")),
        ("pool", json!({}), 400, member("pool.vmSize")),
    ] {
        let mut auto = auto("job", 0);
        auto[name] = value.clone();
        let refused = rig.post("/jobs", &job("j", &auto)).send().await;
        assert_eq!(refused.status, status, "{name}: {value} {}", refused.body);
        assert_eq!(refused.value("PropertyName"), property, "{value} {}", refused.body);
    }
    let mut wide = auto("job", 0);
    wide["pool"]["taskSlotsPerNode"] = json!(300);
    let refused = rig.post("/jobs", &job("j", &wide)).send().await;
    let refused = refused.refuses(400, "InvalidPropertyValue");
    assert_eq!(refused.value("PropertyName"), member("pool.taskSlotsPerNode"));
    let mut both = job("j", &auto("job", 0));
    both["poolInfo"]["poolId"] = json!("p");
    rig.post("/jobs", &both).send().await.refuses(400, "InvalidPropertyValue");
    let neither = json!({ "id": "j", "poolInfo": {} });
    rig.post("/jobs", &neither).send().await.refuses(400, "MissingRequiredProperty");
    assert!(rig.get("/pools").send().await.expect(200).ids().is_empty());
}

#[tokio::test]
async fn a_job_tells_why_its_pool_could_not_be_made() {
    let rig = Rig::start().await;
    let mut missing = auto("job", 0);
    missing["pool"]["applicationPackageReferences"] = json!([{ "applicationId": "none" }]);
    let mut body = job("j", &missing);
    body["jobManagerTask"] = json!({ "id": "manager", "commandLine": "true" });
    rig.post("/jobs", &body).send().await.expect(201);
    let seen = |version| rig.get("/jobs/j").version(version).send();
    let shown = seen("2025-06-01").await.expect(200).body;
    assert_eq!(shown["state"], "completed");
    let info = &shown["executionInfo"];
    assert!(info["endTime"].is_string(), "{info}");
    assert_eq!(info.get("terminateReason"), None);
    let error = &info["schedulingError"];
    assert_eq!(error["code"], "InvalidApplicationPackageReferencesInAutoPool");
    assert_eq!(error["category"], "usererror");
    assert!(error["message"].as_str().is_some_and(|it| it.contains("none")), "{error}");
    let old = seen("2019-08-01.10.0").await.expect(200).body;
    assert_eq!(old["executionInfo"]["schedulingError"]["category"], "UserError");
    // Nothing of it is there.
    rig.get(&path(&shown)).send().await.refuses(404, "PoolNotFound");
    let tasks = rig.get("/jobs/j/tasks").send().await.expect(200);
    assert!(tasks.ids().is_empty());
    let late = json!({ "id": "late", "commandLine": "true" });
    rig.post("/jobs/j/tasks", &late).send().await.refuses(409, "JobCompleted");
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
    // A schedule whose jobs have such pools is not held up by them.
    let schedule = json!({
        "id": "s", "schedule": {}, "jobSpecification": {
            "poolInfo": { "autoPoolSpecification": missing },
        },
    });
    rig.post("/jobschedules", &schedule).send().await.expect(201);
    rig.until_state("/jobschedules/s", "completed").await;
    let job = rig.get("/jobs/s:job-1").send().await.expect(200).body;
    assert_eq!(job["executionInfo"]["schedulingError"]["code"], error["code"]);
}

#[tokio::test]
async fn a_shared_pool_that_is_kept_alive_outlives_its_schedule() {
    let rig = Rig::start().await;
    let mut kept = auto("jobschedule", 0);
    kept["keepAlive"] = json!(true);
    let schedule = json!({
        "id": "s", "schedule": {}, "jobSpecification": {
            "poolInfo": { "autoPoolSpecification": kept },
        },
    });
    rig.post("/jobschedules", &schedule).send().await.expect(201);
    let pool = pool_of(&rig, "s:job-1").await;
    end(&rig, "s:job-1").await;
    rig.until_state("/jobschedules/s", "completed").await;
    rig.delete("/jobschedules/s").send().await.expect(202);
    rig.until("/jobschedules/s", |it| it.status == 404).await;
    assert_eq!(rig.get(&pool).send().await.expect(200).body["state"], "active");
}

#[tokio::test]
async fn each_version_sees_the_auto_pool_its_way() {
    let rig = Rig::start().await;
    let old = "2016-07-01.3.1";
    let body = json!({ "id": "j", "poolInfo": { "autoPoolSpecification": {
        "poolLifetimeOption": "Job",
        "pool": {
            "vmSize": "SMALL", "cloudServiceConfiguration": { "osFamily": "4" },
            "targetDedicated": 0, "maxTasksPerNode": 2,
        },
    } } });
    rig.post("/jobs", &body).version(old).send().await.expect(201);
    let seen = |version| rig.get("/jobs/j").version(version).send();
    let shown = seen(old).await.expect(200).body;
    let auto = &shown["poolInfo"]["autoPoolSpecification"];
    assert_eq!(auto["poolLifetimeOption"], "job");
    let expected = json!({
        "vmSize": "small",
        "cloudServiceConfiguration": {
            "osFamily": "4", "targetOSVersion": "*", "currentOSVersion": "*",
        },
        "targetDedicated": 0,
        "maxTasksPerNode": 2,
        "taskSchedulingPolicy": { "nodeFillType": "Spread" },
        "resizeTimeout": auto["pool"]["resizeTimeout"],
        "enableAutoScale": false,
        "enableInterNodeCommunication": false,
    });
    assert_eq!(auto["pool"], expected);
    let id = shown["executionInfo"]["poolId"].as_str().expect("an id");
    assert_eq!(id.len(), 36, "{id}");
    // What it is shown, a client may send back.
    rig.put("/jobs/j", &shown).version(old).send().await.expect(200);
    let newest = seen("2025-06-01").await.expect(200).body;
    let pool = &newest["poolInfo"]["autoPoolSpecification"]["pool"];
    assert_eq!((&pool["taskSlotsPerNode"], &pool["targetDedicatedNodes"]), (&json!(2), &json!(0)));
    let path = path(&newest);
    assert_eq!(rig.get(&path).send().await.expect(200).body["taskSlotsPerNode"], 2);
}

/// An hourly schedule whose jobs have auto pools.
async fn schedule(rig: &Rig, lifetime: &str) {
    let body = json!({
        "id": "s",
        "schedule": { "recurrenceInterval": "PT1H" },
        "jobSpecification": { "poolInfo": { "autoPoolSpecification": auto(lifetime, 0) } },
    });
    rig.post("/jobschedules", &body).send().await.expect(201);
}

/// Ends the first job of the schedule and lets the second come.
async fn go_on(rig: &Rig) {
    end(rig, "s:job-1").await;
    let hourly = json!({
        "doNotRunUntil": crate::rig::now().to_iso(), "recurrenceInterval": "PT1H",
    });
    let patch = json!({ "schedule": hourly });
    rig.patch("/jobschedules/s", &patch).send().await.expect(200);
}

/// The pool of a job once a schedule has made it.
async fn pool_of(rig: &Rig, job: &str) -> String {
    let made = |it: &Reply| it.status == 200;
    path(&rig.until(&format!("/jobs/{job}"), made).await.body)
}

#[tokio::test]
async fn jobs_of_a_schedule_share_its_pool() {
    let rig = Rig::start().await;
    schedule(&rig, "jobschedule").await;
    let first = pool_of(&rig, "s:job-1").await;
    go_on(&rig).await;
    assert_eq!(pool_of(&rig, "s:job-2").await, first);
    assert_eq!(rig.get(&first).send().await.expect(200).body["state"], "active");
    assert_eq!(rig.get("/pools").send().await.expect(200).ids().len(), 1);
    rig.post("/jobschedules/s/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobschedules/s", "completed").await;
    goes(&rig, &first, Vec::new()).await;
}

#[tokio::test]
async fn jobs_of_a_schedule_have_pools_of_their_own() {
    let rig = Rig::start().await;
    schedule(&rig, "job").await;
    let first = pool_of(&rig, "s:job-1").await;
    go_on(&rig).await;
    goes(&rig, &first, Vec::new()).await;
    let second = pool_of(&rig, "s:job-2").await;
    assert_ne!(second, first);
    rig.delete("/jobschedules/s").send().await.expect(202);
    rig.until("/jobschedules/s", |it| it.status == 404).await;
    goes(&rig, &second, Vec::new()).await;
}

#[tokio::test]
async fn a_shared_pool_that_is_gone_is_made_again() {
    let rig = Rig::start().await;
    schedule(&rig, "jobschedule").await;
    let first = pool_of(&rig, "s:job-1").await;
    rig.delete(&first).send().await.expect(202);
    goes(&rig, &first, Vec::new()).await;
    go_on(&rig).await;
    let second = pool_of(&rig, "s:job-2").await;
    assert_ne!(second, first);
    rig.delete("/jobschedules/s").send().await.expect(202);
    rig.until("/jobschedules/s", |it| it.status == 404).await;
    goes(&rig, &second, Vec::new()).await;
}
