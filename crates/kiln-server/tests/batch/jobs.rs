//! Jobs: add, terminate, delete, and their own limits.

use kiln_wire::node::{Outcome, ToAgent};
use serde_json::json;

use crate::rig::Rig;

#[tokio::test]
async fn a_terminated_job_ends_what_runs_and_keeps_what_waits() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    for id in ["runs", "waits"] {
        rig.task("j", id, json!({})).await;
    }
    let run = agent.run().await;
    let body = json!({ "terminateReason": "enough" });
    let ended = rig.post("/jobs/j/terminate", &body).send().await.expect(202);
    assert!(ended.header("dataserviceid").is_some_and(|it| it.ends_with("/jobs/j/terminate")));
    assert_eq!(agent.stop().await, run.attempt);
    agent.end(&run.attempt, Outcome::Stopped).await;
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "enough");
    assert!(job["executionInfo"]["endTime"].is_string());
    assert_eq!(job["previousState"], "terminating");
    let runs = rig.get("/jobs/j/tasks/runs").send().await.expect(200).body;
    assert_eq!(runs["state"], "completed");
    assert_eq!(runs["executionInfo"]["failureInfo"]["code"], "TaskEnded");
    let waits = rig.get("/jobs/j/tasks/waits").send().await.expect(200).body;
    assert_eq!(waits["state"], "active");
    let late = json!({ "id": "late", "commandLine": "true" });
    rig.post("/jobs/j/tasks", &late).send().await.refuses(409, "JobCompleted");
    rig.post("/jobs/j/terminate", &json!({})).send().await.refuses(409, "JobCompleted");
    // The place is free for other jobs, and the waiting task does not take it.
    rig.job("k", "p").await;
    rig.task("k", "other", json!({})).await;
    assert_eq!(agent.run().await.job_id, "k");
}

#[tokio::test]
async fn a_job_ends_for_the_users_reason_unless_told() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "UserTerminate");
    rig.job("k", "p").await;
    let bare = rig.post("/jobs/k/terminate", &json!({})).text(String::new());
    bare.send().await.expect(202);
}

#[tokio::test]
async fn a_large_job_is_deleted_with_all_it_has() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.tasks("j", 1_200).await;
    let run = agent.run().await;
    let deleted = rig.delete("/jobs/j").send().await.expect(202);
    assert_eq!(deleted.header("etag"), None);
    assert_eq!(agent.stop().await, run.attempt);
    let removed = agent.expect("an order to remove files", |message| {
        if let ToAgent::RemoveDirectory { path } = message { Some(path.clone()) } else { None }
    });
    assert_eq!(removed.await, "workitems/j");
    rig.until("/jobs/j", |it| it.status == 404).await.refuses(404, "JobNotFound");
    rig.get("/jobs/j/tasks/t00001").send().await.refuses(404, "JobNotFound");
    agent.end(&run.attempt, Outcome::Stopped).await;
    rig.job("J", "p").await;
    let counts = rig.get("/jobs/J/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["active"], 0);
    rig.task("J", "t", json!({})).await;
    assert_eq!(agent.run().await.job_id, "J");
}

#[tokio::test]
async fn a_job_keeps_its_own_limit_and_its_priority() {
    let mut rig = Rig::start().await;
    let limited = json!({
        "id": "limited", "poolInfo": { "poolId": "p" }, "maxParallelTasks": 1, "priority": 5,
        "constraints": { "maxTaskRetryCount": 4 },
        "commonEnvironmentSettings": [{ "name": "A", "value": "1" }],
    });
    rig.post("/jobs", &limited).send().await.expect(201);
    rig.job("other", "p").await;
    for id in ["a", "b"] {
        rig.task("other", id, json!({})).await;
        rig.task("limited", id, json!({})).await;
    }
    let task = rig.get("/jobs/limited/tasks/a").send().await.expect(200).body;
    assert_eq!(task["constraints"]["maxTaskRetryCount"], 4);
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let agent = &mut agents[0];
    let (first, second) = (agent.run().await, agent.run().await);
    assert_eq!((first.job_id.as_str(), first.attempt.task_id.as_str()), ("limited", "a"));
    assert_eq!((second.job_id.as_str(), second.attempt.task_id.as_str()), ("other", "a"));
    assert_eq!(first.job_environment[0].name, "A");
    agent.end(&first.attempt, Outcome::Exited { exit_code: 0 }).await;
    assert_eq!(agent.run().await.job_id, "limited");
}

#[tokio::test]
async fn a_job_may_come_before_its_pool() {
    let mut rig = Rig::start().await;
    rig.job("j", "Later").await;
    rig.task("j", "t", json!({})).await;
    let mut agents = rig.pool("later", 1, json!({})).await;
    agents[0].run_to(Outcome::Exited { exit_code: 0 }).await;
    rig.until_state("/jobs/j/tasks/t", "completed").await;
}

#[tokio::test]
async fn a_job_ends_when_its_time_is_over() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let job = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "constraints": { "maxWallClockTime": "PT0.3S" },
    });
    rig.post("/jobs", &job).send().await.expect(201);
    let task = json!({ "id": "t", "commandLine": "true" });
    rig.post("/jobs/j/tasks", &task).send().await;
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "MaxWallClockTimeExpiry");
    // After a restart as well.
    let job = json!({
        "id": "k", "poolInfo": { "poolId": "p" }, "constraints": { "maxWallClockTime": "PT1S" },
    });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.task("k", "t", json!({})).await;
    agents[0].unlink();
    rig.stop_server().await;
    rig.start_server().await;
    agents[0].relink().await;
    let run = agents[0].run().await;
    rig.until_state("/jobs/k", "completed").await;
    assert_eq!(agents[0].stop().await, run.attempt);
}

#[tokio::test]
async fn a_job_ends_with_its_last_task_when_it_is_to() {
    let mut rig = Rig::start().await;
    let job = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "onAllTasksComplete": "terminatejob",
    });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.tasks("j", 2).await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    agents[0].run_to(Outcome::Exited { exit_code: 1 }).await;
    let last = agents[0].run().await;
    assert_eq!(rig.get("/jobs/j").send().await.body["state"], "active");
    agents[0].end(&last.attempt, Outcome::Exited { exit_code: 0 }).await;
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "AllTasksCompleted");
}

#[tokio::test]
async fn an_account_has_only_so_many_active_jobs_and_schedules() {
    let mut rig = Rig::configured(|config| config.quotas.active_jobs_and_schedules = 3).await;
    let new = |id: &str| json!({ "id": id, "poolInfo": { "poolId": "p" } });
    let schedule = json!({
        "id": "s", "schedule": { "doNotRunUntil": "2099-01-01T00:00:00Z" },
        "jobSpecification": { "poolInfo": { "poolId": "p" } },
    });
    rig.post("/jobschedules", &schedule).send().await.expect(201);
    rig.job("a", "p").await;
    rig.job("b", "p").await;
    let quota = "ActiveJobAndScheduleQuotaReached";
    rig.post("/jobs", &new("c")).send().await.refuses(409, quota);
    let mut other = schedule.clone();
    other["id"] = json!("t");
    rig.post("/jobschedules", &other).send().await.refuses(409, quota);
    rig.post("/jobs", &new("a")).send().await.refuses(409, "JobExists");
    // What has completed or is gone makes room, before a restart and after it.
    rig.post("/jobs/a/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobs/a", "completed").await;
    rig.job("c", "p").await;
    rig.stop_server().await;
    rig.start_server().await;
    rig.post("/jobs", &new("d")).send().await.refuses(409, quota);
    rig.post("/jobschedules/s/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobschedules/s", "completed").await;
    rig.job("d", "p").await;
    rig.delete("/jobs/b").send().await.expect(202);
    rig.until("/jobs/b", |it| it.status == 404).await;
    rig.job("e", "p").await;
    rig.post("/jobs", &new("f")).send().await.refuses(409, quota);
}

#[tokio::test]
async fn jobs_that_may_not_be_added() {
    let rig = Rig::start().await;
    for (name, value) in [
        ("id", json!("a/b")),
        ("displayName", json!("x".repeat(1025))),
        ("priority", json!(-1001)),
        ("maxParallelTasks", json!(-2)),
        ("constraints.maxTaskRetryCount", json!(-2)),
        ("constraints.maxWallClockTime", json!("-PT1S")),
        ("onAllTasksComplete", json!("stop")),
        ("poolInfo", json!(null)),
        ("poolInfo.poolId", json!(null)),
    ] {
        let mut job = json!({
            "id": "j", "poolInfo": { "poolId": "p" }, "constraints": {},
        });
        let pointer = format!("/{}", name.replace('.', "/"));
        match job.pointer_mut(&pointer) {
            Some(member) => *member = value.clone(),
            None => match name.split_once('.') {
                Some((outer, inner)) => job[outer][inner] = value.clone(),
                None => job[name] = value.clone(),
            },
        }
        let refused = rig.post("/jobs", &job).send().await;
        assert_eq!(refused.status, 400, "{name}: {value} {}", refused.body);
        assert_eq!(refused.value("PropertyName"), name, "{value} {}", refused.body);
    }
    let longest = json!({
        "id": "j", "poolInfo": { "poolId": "p" }, "displayName": "\u{e4}".repeat(1024),
        "metadata": [{ "name": "", "value": "1" }],
    });
    rig.post("/jobs", &longest).send().await.refuses(400, "EmptyMetadataKey");
    let mut longest = longest;
    longest["metadata"] = json!([{ "name": "a", "value": "" }]);
    rig.post("/jobs", &longest).send().await.expect(201);
}
