//! Jobs that prepare their nodes and release them at their ends.

use kiln_wire::node::{AttemptKind, Outcome, Report, Run};
use serde_json::{Value, json};

use crate::rig::{Agent, Rig, now};

const EXITED_0: Outcome = Outcome::Exited { exit_code: 0 };
const EXITED_1: Outcome = Outcome::Exited { exit_code: 1 };
const STATUS: &str = "/jobs/j/jobpreparationandreleasetaskstatus";

/// Adds the job `j` with both tasks, changed by `preparation`.
async fn job(rig: &Rig, preparation: Value) {
    let mut body = json!({
        "id": "j",
        "poolInfo": { "poolId": "p" },
        "commonEnvironmentSettings": [{ "name": "A", "value": "b" }],
        "jobPreparationTask": { "commandLine": "prepare" },
        "jobReleaseTask": { "commandLine": "release" },
    });
    for (name, value) in preparation.as_object().expect("members") {
        body["jobPreparationTask"][name] = value.clone();
    }
    rig.post("/jobs", &body).send().await.expect(201);
}

fn kinds(run: &Run) -> (AttemptKind, &str, u32) {
    (run.attempt.kind, &run.task.command_line, run.attempt.attempt)
}

async fn state_of(rig: &Rig, task: &str) -> String {
    let task = rig.get(&format!("/jobs/j/tasks/{task}")).send().await.expect(200).body;
    task["state"].as_str().expect("a state").to_owned()
}

/// Prepares the node and lets a task of the job end there.
async fn run_a_task(rig: &Rig, agent: &mut Agent, id: &str) {
    rig.task("j", id, json!({})).await;
    assert_eq!(agent.run_to(EXITED_0).await.attempt.kind, AttemptKind::Preparation);
    assert_eq!(agent.run_to(EXITED_0).await.attempt.task_id, id);
}

#[tokio::test]
async fn a_node_is_prepared_before_the_first_task_only() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 4 })).await;
    let agent = &mut agents[0];
    job(&rig, json!({})).await;
    let none = rig.get(STATUS).send().await.expect(200).body;
    assert_eq!(none["value"], json!([]));
    rig.task("j", "a", json!({})).await;
    rig.task("j", "b", json!({})).await;
    let preparation = agent.run().await;
    assert_eq!(kinds(&preparation), (AttemptKind::Preparation, "prepare", 1));
    assert_eq!(preparation.directory, "workitems/j/job-1/jobpreparation");
    assert_eq!(preparation.preparation_directory, None);
    assert_eq!(preparation.job_environment[0].name, "A");
    rig.until_state("/jobs/j/tasks/b", "preparing").await;
    let a = rig.get("/jobs/j/tasks/a").send().await.expect(200).body;
    assert_eq!(
        (&a["state"], &a["nodeInfo"]["nodeId"]),
        (&json!("preparing"), &json!(agent.node_id()))
    );
    assert_eq!(a["executionInfo"].get("startTime"), None);
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["running"], 2);
    agent.end(&preparation.attempt, EXITED_0).await;
    let mut ran = Vec::new();
    for _ in 0..2 {
        let run = agent.run_to(EXITED_0).await;
        assert_eq!(run.preparation_directory.as_deref(), Some("workitems/j/job-1/jobpreparation"));
        assert_eq!((run.attempt.kind, run.attempt.attempt), (AttemptKind::Task, 1));
        ran.push(run.attempt.task_id);
    }
    ran.sort();
    assert_eq!(ran, ["a", "b"]);
    let a = rig.get("/jobs/j/tasks/a").send().await.expect(200).body;
    assert_eq!((&a["state"], &a["previousState"]), (&json!("completed"), &json!("running")));
    assert!(a["executionInfo"]["startTime"].is_string());
    rig.task("j", "c", json!({})).await;
    assert_eq!(agent.run_to(EXITED_0).await.attempt.task_id, "c");
    let status = rig.get(STATUS).send().await.expect(200).body;
    let metadata = format!("{}/$metadata#jobpreparationandreleasetaskstatuslist", rig.url());
    assert_eq!(status["odata.metadata"], metadata);
    let item = &status["value"][0];
    assert_eq!((&item["poolId"], &item["nodeId"]), (&json!("p"), &json!(agent.node_id())));
    let info = &item["jobPreparationTaskExecutionInfo"];
    assert_eq!((&info["state"], &info["result"]), (&json!("completed"), &json!("success")));
    assert_eq!((&info["exitCode"], &info["retryCount"]), (&json!(0), &json!(0)));
    assert_eq!(info["taskRootDirectory"], "workitems/j/job-1/jobpreparation");
    let url = format!(
        "{}/files/workitems/j/job-1/jobpreparation",
        item["nodeUrl"].as_str().expect("a URL")
    );
    assert_eq!(info["taskRootDirectoryUrl"], url);
    assert_eq!(item.get("jobReleaseTaskExecutionInfo"), None);
}

#[tokio::test]
async fn a_job_shows_the_defaults_of_its_preparation_and_release() {
    let rig = Rig::start().await;
    job(&rig, json!({})).await;
    let job = rig.get("/jobs/j").send().await.expect(200).body;
    let user = json!({ "autoUser": { "scope": "pool", "elevationLevel": "nonadmin" } });
    let preparation = json!({
        "id": "jobpreparation",
        "commandLine": "prepare",
        "constraints": {
            "maxWallClockTime": "P10675199DT2H48M5.4775807S",
            "retentionTime": "P7D",
            "maxTaskRetryCount": 0,
        },
        "waitForSuccess": true,
        "rerunOnNodeRebootAfterSuccess": true,
        "userIdentity": user,
    });
    assert_eq!(job["jobPreparationTask"], preparation);
    let release = json!({
        "id": "jobrelease",
        "commandLine": "release",
        "maxWallClockTime": "PT15M",
        "retentionTime": "P7D",
        "userIdentity": user,
    });
    assert_eq!(job["jobReleaseTask"], release);
}

#[tokio::test]
async fn a_failed_preparation_is_retried_then_its_task_goes_elsewhere() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let mut first = agents.remove(0);
    job(&rig, json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    rig.task("j", "a", json!({})).await;
    assert_eq!(kinds(&first.run_to(EXITED_1).await), (AttemptKind::Preparation, "prepare", 1));
    assert_eq!(state_of(&rig, "a").await, "preparing");
    assert_eq!(kinds(&first.run_to(EXITED_1).await), (AttemptKind::Preparation, "prepare", 2));
    let a = rig.until_state("/jobs/j/tasks/a", "active").await;
    assert_eq!(a["executionInfo"], json!({ "retryCount": 0, "requeueCount": 0 }));
    let status = rig.get(STATUS).send().await.expect(200).body;
    let info = &status["value"][0]["jobPreparationTaskExecutionInfo"];
    assert_eq!((&info["state"], &info["result"]), (&json!("completed"), &json!("failure")));
    assert_eq!((&info["exitCode"], &info["retryCount"]), (&json!(1), &json!(1)));
    assert_eq!(info["failureInfo"]["code"], "FailureExitCode");
    assert!(info["lastRetryTime"].is_string());
    // Other jobs still use the node.
    rig.job("k", "p").await;
    rig.task("k", "other", json!({})).await;
    assert_eq!(first.run_to(EXITED_0).await.job_id, "k");
    let node = rig.get(&format!("/pools/p/nodes/{}", first.node_id())).send().await.body;
    assert_eq!(node["runningTasksCount"], 0);
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 2 })).send().await.expect(202);
    let mut second = rig.ready(1).await.remove(0);
    run_waiting(&mut second, "a").await;
}

/// Takes the preparation of a node for a task that already waits, then the task.
async fn run_waiting(agent: &mut Agent, task: &str) {
    assert_eq!(agent.run_to(EXITED_0).await.attempt.kind, AttemptKind::Preparation);
    assert_eq!(agent.run_to(EXITED_0).await.attempt.task_id, task);
}

#[tokio::test]
async fn tasks_run_beside_a_preparation_that_nobody_waits_for() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    job(&rig, json!({ "waitForSuccess": false })).await;
    rig.task("j", "a", json!({})).await;
    let (preparation, task) = (agent.run().await, agent.run().await);
    assert_eq!(preparation.attempt.kind, AttemptKind::Preparation);
    assert_eq!(task.attempt.task_id, "a");
    agent.end(&preparation.attempt, EXITED_1).await;
    agent.end(&task.attempt, EXITED_0).await;
    rig.task("j", "b", json!({})).await;
    assert_eq!(agent.run_to(EXITED_0).await.attempt.task_id, "b");
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    assert_eq!(agent.run_to(EXITED_0).await.attempt.kind, AttemptKind::Release);
    rig.until_state("/jobs/j", "completed").await;
}

#[tokio::test]
async fn a_job_is_completed_once_its_nodes_are_released() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 2, json!({})).await;
    job(&rig, json!({})).await;
    rig.task("j", "a", json!({})).await;
    rig.task("j", "b", json!({})).await;
    for agent in &mut agents {
        let preparation = agent.run().await;
        agent.end(&preparation.attempt, EXITED_0).await;
        agent.run().await;
    }
    let body = json!({ "terminateReason": "enough" });
    rig.post("/jobs/j/terminate", &body).send().await.expect(202);
    for (agent, outcome) in agents.iter_mut().zip([EXITED_1, EXITED_0]) {
        agent.stop().await;
        assert_eq!(rig.get("/jobs/j").send().await.body["state"], "terminating");
        let release = agent.run().await;
        assert_eq!(kinds(&release), (AttemptKind::Release, "release", 2));
        assert_eq!(release.directory, "workitems/j/job-1/jobrelease");
        let limit = release.task.constraints.max_wall_clock_time.expect("a limit");
        assert_eq!(limit.to_string(), "PT15M");
        assert!(release.preparation_directory.is_some());
        agent.end(&release.attempt, outcome).await;
    }
    let job = rig.until_state("/jobs/j", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "enough");
    let failed =
        rig.get(STATUS).query("$filter", "jobReleaseTaskExecutionInfo/result eq 'failure'");
    let failed = failed.send().await.expect(200).body;
    let item = &failed["value"][0];
    assert_eq!(
        (failed["value"].as_array().map(Vec::len), &item["nodeId"]),
        (Some(1), &json!(agents[0].node_id()))
    );
    let info = &item["jobReleaseTaskExecutionInfo"];
    assert_eq!((&info["state"], &info["exitCode"]), (&json!("completed"), &json!(1)));
    assert_eq!(info["taskRootDirectory"], "workitems/j/job-1/jobrelease");
    assert_eq!(info.get("retryCount"), None);
    assert_eq!(item["jobPreparationTaskExecutionInfo"]["result"], "success");
}

#[tokio::test]
async fn a_deleted_job_is_released_before_it_is_gone() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    job(&rig, json!({})).await;
    run_a_task(&rig, agent, "a").await;
    let deleting = rig.delete("/jobs/j").send();
    let releasing = async {
        let release = agent.run().await;
        assert_eq!(release.attempt.kind, AttemptKind::Release);
        assert_eq!(rig.get("/jobs/j").send().await.body["state"], "deleting");
        agent.end(&release.attempt, EXITED_0).await;
    };
    let (deleted, ()) = tokio::join!(deleting, releasing);
    deleted.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
}

#[tokio::test]
async fn a_completed_job_is_not_released_again() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    job(&rig, json!({})).await;
    run_a_task(&rig, agent, "a").await;
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    assert_eq!(agent.run_to(EXITED_0).await.attempt.kind, AttemptKind::Release);
    rig.until_state("/jobs/j", "completed").await;
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
    rig.job("k", "p").await;
    rig.task("k", "next", json!({})).await;
    assert_eq!(agent.run().await.job_id, "k");
}

#[tokio::test]
async fn a_forced_end_waits_for_no_release() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    job(&rig, json!({})).await;
    run_a_task(&rig, agent, "a").await;
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    let release = agent.run().await;
    let forced = rig.post("/jobs/j/terminate", &json!({})).query("force", "true");
    forced.send().await.expect(202);
    assert_eq!(agent.stop().await, release.attempt);
    rig.until_state("/jobs/j", "completed").await;
    let info = rig.get(STATUS).send().await.expect(200).body["value"][0].clone();
    assert_eq!(info["jobReleaseTaskExecutionInfo"]["failureInfo"]["code"], "TaskEnded");
}

#[tokio::test]
async fn an_end_during_the_preparation_stops_it() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    job(&rig, json!({})).await;
    rig.task("j", "a", json!({})).await;
    let preparation = agent.run().await;
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    while agent.stop().await != preparation.attempt {}
    rig.until_state("/jobs/j", "completed").await;
    let item = rig.get(STATUS).send().await.expect(200).body["value"][0].clone();
    assert_eq!(item["jobPreparationTaskExecutionInfo"]["failureInfo"]["code"], "TaskEnded");
    assert_eq!(item.get("jobReleaseTaskExecutionInfo"), None);
}

#[tokio::test]
async fn a_reboot_prepares_again_unless_told_otherwise() {
    for (reruns, expected) in [(true, AttemptKind::Preparation), (false, AttemptKind::Task)] {
        let mut rig = Rig::start().await;
        let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
        job(&rig, json!({ "rerunOnNodeRebootAfterSuccess": reruns })).await;
        run_a_task(&rig, &mut agent, "a").await;
        agent.die();
        let mut agent = rig.agent().await;
        agent.boot().await;
        rig.task("j", "b", json!({})).await;
        assert_eq!(agent.run().await.attempt.kind, expected);
    }
}

#[tokio::test]
async fn a_task_whose_node_is_prepared_again_has_not_started() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    job(&rig, json!({})).await;
    rig.task("j", "a", json!({})).await;
    let start = |task: &Value| task["executionInfo"]["startTime"].clone();
    assert_eq!(agent.run_to(EXITED_0).await.attempt.kind, AttemptKind::Preparation);
    assert_eq!(agent.run().await.attempt.task_id, "a");
    let first = start(&rig.until_state("/jobs/j/tasks/a", "running").await);
    assert!(first.is_string());
    agent.die();
    let mut agent = rig.agent().await;
    agent.boot().await;
    let preparation = agent.run().await;
    assert_eq!(preparation.attempt.kind, AttemptKind::Preparation);
    assert_eq!(start(&rig.until_state("/jobs/j/tasks/a", "preparing").await), Value::Null);
    agent.end(&preparation.attempt, EXITED_0).await;
    let second = start(&rig.until_state("/jobs/j/tasks/a", "running").await);
    assert!(second.as_str() > first.as_str(), "{first} {second}");
}

#[tokio::test]
async fn a_reimage_prepares_again_and_opens_a_node_that_failed() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    job(&rig, json!({ "rerunOnNodeRebootAfterSuccess": false })).await;
    rig.task("j", "a", json!({})).await;
    assert_eq!(agent.run_to(EXITED_1).await.attempt.kind, AttemptKind::Preparation);
    agent.die();
    let mut agent = rig.agent().await;
    agent.boot().await;
    rig.job("k", "p").await;
    rig.task("k", "other", json!({})).await;
    assert_eq!(agent.run_to(EXITED_0).await.job_id, "k", "a reboot opens nothing");
    agent.die();
    let mut agent = rig.agent().await;
    let boot = agent.prepare().await.boot;
    agent.report(Report::Booted { boot, at: now(), is_fresh: true }).await;
    run_waiting(&mut agent, "a").await;
}

#[tokio::test]
async fn a_release_that_a_reboot_interrupts_runs_again() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    job(&rig, json!({})).await;
    run_a_task(&rig, &mut agent, "a").await;
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    let first = agent.run().await;
    agent.die();
    let mut agent = rig.agent().await;
    agent.boot().await;
    let second = agent.run().await;
    assert_eq!(second.attempt.kind, AttemptKind::Release);
    assert!(second.attempt.attempt > first.attempt.attempt);
    agent.end(&first.attempt, EXITED_0).await;
    assert_eq!(rig.get("/jobs/j").send().await.body["state"], "terminating");
    agent.end(&second.attempt, EXITED_0).await;
    rig.until_state("/jobs/j", "completed").await;
}

#[tokio::test]
async fn nodes_that_are_gone_are_not_waited_for() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 2, json!({})).await;
    job(&rig, json!({})).await;
    rig.task("j", "a", json!({})).await;
    rig.task("j", "b", json!({})).await;
    for agent in &mut agents {
        for _ in 0..2 {
            agent.run_to(EXITED_0).await;
        }
    }
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    for agent in &mut agents {
        assert_eq!(agent.run().await.attempt.kind, AttemptKind::Release);
    }
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 0 })).send().await.expect(202);
    for agent in agents {
        agent.leave().await;
    }
    rig.until_state("/jobs/j", "completed").await;
    let status = rig.get(STATUS).send().await.expect(200).body;
    assert_eq!(status["value"].as_array().map(Vec::len), Some(2), "they are remembered");
}

#[tokio::test]
async fn a_server_that_comes_back_goes_on_where_it_was() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    job(&rig, json!({})).await;
    rig.task("j", "a", json!({})).await;
    let preparation = agent.run().await;
    agent.running = vec![preparation.attempt.clone()];
    restart(&mut rig, &mut agent).await;
    // The order is repeated, under the same number.
    assert_eq!(agent.run().await.attempt, preparation.attempt);
    assert_eq!(state_of(&rig, "a").await, "preparing");
    agent.end(&preparation.attempt, EXITED_0).await;
    let task = agent.run().await;
    assert_eq!(task.attempt.task_id, "a");
    agent.running.clear();
    agent.end(&task.attempt, EXITED_0).await;
    rig.post("/jobs/j/terminate", &json!({})).send().await.expect(202);
    let release = agent.run().await;
    restart(&mut rig, &mut agent).await;
    assert_eq!(agent.run().await.attempt, release.attempt);
    agent.end(&release.attempt, EXITED_0).await;
    rig.until_state("/jobs/j", "completed").await;
    agent.running = vec![release.attempt.clone()];
    restart(&mut rig, &mut agent).await;
    assert_eq!(agent.stop().await, release.attempt, "it is over");
}

async fn restart(rig: &mut Rig, agent: &mut Agent) {
    rig.stop_server().await;
    agent.unlink();
    rig.start_server().await;
    agent.relink().await;
}

#[tokio::test]
async fn a_node_that_failed_stays_closed_after_a_restart() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    job(&rig, json!({})).await;
    rig.task("j", "a", json!({})).await;
    agent.run_to(EXITED_1).await;
    restart(&mut rig, &mut agent).await;
    rig.task("j", "b", json!({})).await;
    rig.job("k", "p").await;
    rig.task("k", "other", json!({})).await;
    assert_eq!(agent.run_to(EXITED_0).await.job_id, "k");
    assert_eq!(
        (state_of(&rig, "a").await, state_of(&rig, "b").await),
        ("active".to_owned(), "active".to_owned())
    );
}

#[tokio::test]
async fn no_task_is_named_like_the_preparation_or_release() {
    let rig = Rig::start().await;
    job(&rig, json!({ "id": "Prep" })).await;
    let add = |id: &str| rig.post("/jobs/j/tasks", &json!({ "id": id, "commandLine": "true" }));
    add("prep").send().await.refuses(409, "TaskIdSameAsJobPreparationTask");
    add("JobRelease").send().await.refuses(409, "TaskIdSameAsJobReleaseTask");
    add("jobpreparation").send().await.expect(201);
    let body = json!({ "id": "k", "poolInfo": { "poolId": "p" },
                       "jobReleaseTask": { "commandLine": "release" } });
    rig.post("/jobs", &body).send().await.refuses(400, "InvalidPropertyValue");
    let mut body = json!({ "id": "k", "poolInfo": { "poolId": "p" },
                           "jobPreparationTask": { "commandLine": "prepare" },
                           "jobReleaseTask": { "commandLine": "release", "maxWallClockTime": "PT16M" } });
    rig.post("/jobs", &body).send().await.refuses(400, "InvalidPropertyValue");
    body["jobReleaseTask"]["maxWallClockTime"] = json!("PT1M");
    rig.post("/jobs", &body).send().await.expect(201);
}

#[tokio::test]
async fn a_job_without_preparation_has_no_status_of_it() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    let refused = rig.get(STATUS).send().await;
    refused.refuses(409, "JobPreparationTaskOrReleaseTaskNotSpecified");
}

#[tokio::test]
async fn the_status_is_there_in_every_version() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 3, json!({})).await;
    job(&rig, json!({})).await;
    for id in ["a", "b", "c"] {
        rig.task("j", id, json!({})).await;
    }
    for agent in &mut agents {
        agent.run_to(EXITED_1).await;
    }
    for version in ["2016-07-01.3.1", "2019-08-01.10.0", "2025-06-01"] {
        let page =
            rig.get(STATUS).version(version).query("maxresults", "2").send().await.expect(200);
        let items = page.body["value"].as_array().expect("items").clone();
        let next = page.body["odata.nextLink"].as_str().expect("more").to_owned();
        let rest = rig.get(&next).version(version).send().await.expect(200).body;
        let all: Vec<_> = items.iter().chain(rest["value"].as_array().expect("items")).collect();
        let mut nodes: Vec<_> = agents.iter().map(|agent| json!(agent.node_id())).collect();
        nodes.sort_by_key(Value::to_string);
        assert_eq!(all.iter().map(|it| it["nodeId"].clone()).collect::<Vec<_>>(), nodes);
        let info = &all[0]["jobPreparationTaskExecutionInfo"];
        let is_old = version == "2016-07-01.3.1";
        assert_eq!(info.get("failureInfo").is_none(), is_old, "{version}: {info}");
        assert_eq!(info.get("result").is_none(), is_old);
        assert_eq!(info["exitCode"], 1);
    }
    let selected = rig.get(STATUS).query("$select", "nodeId").send().await.expect(200).body;
    assert_eq!(selected["value"][0].as_object().map(serde_json::Map::len), Some(1));
}

#[tokio::test]
async fn a_node_that_waits_for_its_tasks_goes_on_with_their_preparation() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let mut agent = agents.remove(0);
    job(&rig, json!({})).await;
    rig.task("j", "t", json!({})).await;
    let preparation = agent.run().await;
    let node = format!("/pools/p/nodes/{}", agent.node_id());
    let option = json!({ "nodeDeallocateOption": "taskcompletion" });
    rig.post(&format!("{node}/deallocate"), &option).send().await.expect(202);
    agent.end(&preparation.attempt, EXITED_0).await;
    assert_eq!(agent.run_to(EXITED_0).await.attempt.task_id, "t");
    agent.leave().await;
    rig.until_state(&node, "deallocated").await;
    assert_eq!(state_of(&rig, "t").await, "completed");
}
