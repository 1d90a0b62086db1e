//! Brings resources into states that show what there is to show.

use std::cell::Cell;
use std::time::Duration;

use kiln_domain::batch::container::ContainerInfo;
use kiln_domain::batch::failure::{FailureInfo, NameValue};
use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_wire::batch::Shape;
use kiln_wire::node::{
    AttemptKind, FileAnswer, FileInfo, FromAgent, Outcome, Report, StartTaskInfo, ToAgent,
};
use serde_json::{Value, json};

use super::Shown;
use crate::rig::{Agent, Ask, Reply, Rig, now, pool_body};
use kiln_server::config::{Config, Quotas};

const CERTIFICATE: &str = include_str!("../../../../../tests/clients/certificate.txt");
const CERTIFICATE_THUMBPRINT: &str = "85204e789da2426299b3c4ed1f65e296381cb1f1";
const EXITED_0: Outcome = Outcome::Exited { exit_code: 0 };

/// Tells all of it.
pub(super) async fn tell(shown: &mut Shown) {
    let quotas = Quotas { dedicated_cores: 5, ..Quotas::default() };
    let counted_each = Duration::from_millis(10);
    let configure = move |config: &mut Config| {
        config.quotas = quotas;
        config.usage_period = counted_each;
    };
    let mut rig = Rig::configured(configure).await;
    account(&rig, shown).await;
    let mut agents = nodes(&mut rig).await;
    gang(&mut rig, shown).await;
    certificates(&mut rig, shown).await;
    failing_pools(&mut rig, shown).await;
    tasks(&rig, &mut agents[0], shown).await;
    files(&rig, &mut agents[0], shown).await;
    pools(&rig, &agents[0], shown).await;
    jobs(&rig, &mut agents[0], shown).await;
    schedules(&rig, &mut agents[0], shown).await;
}

fn stats(rig: &Rig, path: &str) -> Ask {
    rig.get(path).query("$expand", "stats")
}

async fn account(rig: &Rig, shown: &mut Shown) {
    shown.list(rig, Shape::SupportedImage, "/supportedimages").await;
    shown.list(rig, Shape::NodeAgentSku, "/nodeagentskus").await;
    rig.put("/kiln/applications/app", &json!({ "displayName": "App" })).send().await.expect(200);
    shown.one(Shape::Application, || rig.get("/applications/app")).await;
}

fn failure() -> FailureInfo {
    FailureInfo::user_error("BlobNotFound", "no").with_detail("a", "b")
}

/// A pool of one node, whose start task failed once and was repeated.
async fn nodes(rig: &mut Rig) -> Vec<Agent> {
    let start_task = json!({ "commandLine": "true", "maxTaskRetryCount": 1 });
    let mut agents = rig.pool("p", 1, json!({ "startTask": start_task })).await;
    agents[0].container = Some(container());
    let info = start_task_info();
    agents[0].report(Report::StartTask { boot: 1, info }).await;
    agents
}

fn start_task_info() -> StartTaskInfo {
    StartTaskInfo {
        is_running: false,
        started_at: now(),
        ended_at: Some(now()),
        exit_code: Some(0),
        failure: None,
        retry_count: 1,
        last_retry_at: Some(now()),
        is_final: true,
        container: Some(container()),
    }
}

fn container() -> ContainerInfo {
    let [container_id, state, error] = ["c0ffee", "exited", "no"].map(str::to_owned);
    ContainerInfo { container_id, state, error }
}

fn usage() -> Option<Usage> {
    let second = Span::seconds(1);
    Some(Usage {
        user_cpu: second,
        kernel_cpu: second,
        wall_clock: second,
        read_ops: 1,
        write_ops: 1,
        read_bytes: 1,
        write_bytes: 1,
        peak_memory_bytes: 1,
    })
}

/// A task that failed, was repeated and taken away, then could not be started.
async fn tasks(rig: &Rig, agent: &mut Agent, shown: &mut Shown) {
    rig.job("j", "p").await;
    rig.task("j", "t", json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    let first = agent.run().await;
    agent.end_after(&first.attempt, Outcome::Exited { exit_code: 1 }, usage()).await;
    agent.run().await;
    let requeue = json!({ "disableTasks": "requeue" });
    rig.post("/jobs/j/disable", &requeue).send().await.expect(202);
    agent.stop().await;
    rig.until_state("/jobs/j", "disabled").await;
    rig.post("/jobs/j/enable", &json!({})).send().await.expect(202);
    agent.run_to(Outcome::NotStarted { failure: failure() }).await;
    rig.until_state("/jobs/j/tasks/t", "completed").await;
    shown.one(Shape::Task, || stats(rig, "/jobs/j/tasks/t")).await;
    rig.task("j", "ok", json!({})).await;
    agent.run_to(EXITED_0).await;
    shown.one(Shape::Task, || rig.get("/jobs/j/tasks/ok")).await;
    shown.one(Shape::Job, || stats(rig, "/jobs/j")).await;
    shown.one(Shape::TaskCounts, || rig.get("/jobs/j/taskcounts")).await;
    let count = Cell::new(0);
    let collection = || {
        count.set(count.get() + 1);
        let new = json!({ "id": format!("u{}", count.get()), "commandLine": "true" });
        let wrong =
            json!({ "id": "w", "commandLine": "true", "constraints": { "maxTaskRetryCount": -9 } });
        let tasks = json!({ "value": [new, wrong] });
        Ask::new(rig.url(), "POST", "/jobs/j/addtaskcollection").json(&tasks)
    };
    rig.post("/jobs/j/disable", &requeue).send().await.expect(202);
    shown.one(Shape::TaskAddCollectionResult, collection).await;
}

/// A file and a directory of a task.
async fn files(rig: &Rig, agent: &mut Agent, shown: &mut Shown) {
    let file = |name: &str, is_directory| FileInfo {
        name: name.to_owned(),
        is_directory,
        length_bytes: 5,
        modified_at: Timestamp(0),
        mode: 0o100_644,
    };
    let answering = async {
        loop {
            let stream = agent
                .expect("a question about files", |message| {
                    if let ToAgent::Files { stream, .. } = message { Some(*stream) } else { None }
                })
                .await;
            let files = vec![file("stdout.txt", false), file("wd", true)];
            let answer = Ok(FileAnswer::List { files });
            agent.say(&[FromAgent::Files { stream, answer }]).await;
        }
    };
    tokio::select! {
        () = shown.list(rig, Shape::NodeFile, "/jobs/j/tasks/ok/files") => {}
        () = answering => {}
    }
}

async fn pools(rig: &Rig, agent: &Agent, shown: &mut Shown) {
    let node = format!("/pools/p/nodes/{}", agent.node_id());
    shown.one(Shape::Pool, || stats(rig, "/pools/p")).await;
    shown.one(Shape::Node, || rig.get(&node)).await;
    shown.list(rig, Shape::PoolNodeCounts, "/nodecounts").await;
    shown.one(Shape::JobStatistics, || rig.get("/lifetimejobstats")).await;
    shown.one(Shape::PoolStatistics, || rig.get("/lifetimepoolstats")).await;
    let metrics = "/poolusagemetrics?startTime=2016-01-01T00:00:00Z";
    shown.list(rig, Shape::PoolUsageMetrics, metrics).await;
    let login = format!("{node}/remoteloginsettings");
    shown.one(Shape::NodeRemoteLogin, || rig.get(&login)).await;
}

/// A job that prepared and released its node, and one whose pool could not be made.
async fn jobs(rig: &Rig, agent: &mut Agent, shown: &mut Shown) {
    let body = json!({
        "id": "prepared",
        "poolInfo": { "poolId": "p" },
        "jobPreparationTask": { "commandLine": "true", "constraints": { "maxTaskRetryCount": 1 } },
        "jobReleaseTask": { "commandLine": "true" },
    });
    rig.post("/jobs", &body).send().await.expect(201);
    rig.task("prepared", "t", json!({})).await;
    agent.run_to(Outcome::Exited { exit_code: 1 }).await;
    agent.run_to(EXITED_0).await;
    agent.run_to(EXITED_0).await;
    rig.until_state("/jobs/prepared/tasks/t", "completed").await;
    let reason = json!({ "terminateReason": "enough" });
    rig.post("/jobs/prepared/terminate", &reason).send().await.expect(202);
    agent.run_to(Outcome::NotStarted { failure: failure() }).await;
    rig.until_state("/jobs/prepared", "completed").await;
    let status = "/jobs/prepared/jobpreparationandreleasetaskstatus";
    shown.list(rig, Shape::JobPreparationAndReleaseStatus, status).await;
    failing_preparation(rig, agent, shown).await;
    shown.one(Shape::Job, || rig.get("/jobs/prepared")).await;
    let packages = json!([{ "applicationId": "nothing" }]);
    let mut pool = pool_body("", 0);
    pool.as_object_mut().expect("members").remove("id");
    pool["applicationPackageReferences"] = packages;
    let auto = json!({ "poolLifetimeOption": "job", "pool": pool });
    let job = json!({ "id": "poolless", "poolInfo": { "autoPoolSpecification": auto } });
    rig.post("/jobs", &job).send().await.expect(201);
    rig.until_state("/jobs/poolless", "completed").await;
    shown.one(Shape::Job, || rig.get("/jobs/poolless")).await;
}

/// A pool that is larger than allowed and whose node can not be made ready, and one whose formula
/// can not be computed.
async fn failing_pools(rig: &mut Rig, shown: &mut Shown) {
    rig.post("/pools", &pool_body("large", 9)).send().await.expect(201);
    let mut agent = rig.agent().await;
    let boot = agent.prepare().await.boot;
    let (message, code) = ("no room".to_owned(), Some("DiskFull".to_owned()));
    let details = vec![NameValue { name: "a".to_owned(), value: "b".to_owned() }];
    agent.report(Report::BootFailed { boot, message, code, details }).await;
    rig.until("/pools/large", |it| it.body["resizeErrors"].is_array()).await;
    shown.one(Shape::Pool, || rig.get("/pools/large")).await;
    shown.list(rig, Shape::Node, "/pools/large/nodes").await;

    let mut body = pool_body("scaled", 0);
    body.as_object_mut().expect("members").remove("targetDedicatedNodes");
    body["enableAutoScale"] = json!(true);
    body["autoScaleFormula"] = json!("$TargetDedicatedNodes = $ActiveTasks.GetSample(9, 100);");
    rig.post("/pools", &body).send().await.expect(201);
    rig.until("/pools/scaled", |it| it.body["autoScaleRun"].is_object()).await;
    shown.one(Shape::Pool, || rig.get("/pools/scaled")).await;
    let formula = json!({ "autoScaleFormula": "$TargetDedicatedNodes = $unknown;" });
    let evaluate = "/pools/scaled/evaluateautoscale";
    shown.one(Shape::AutoScaleRun, || rig.post(evaluate, &formula)).await;
}

/// A certificate that a pool needs, so that it can not be deleted.
async fn certificates(rig: &mut Rig, shown: &mut Shown) {
    let version = "2019-08-01.10.0";
    let data: String = CERTIFICATE.split_whitespace().collect();
    let thumbprint = CERTIFICATE_THUMBPRINT;
    let body = json!({
        "thumbprint": thumbprint, "thumbprintAlgorithm": "sha1", "data": data,
        "certificateFormat": "cer",
    });
    rig.post("/certificates", &body).version(version).send().await.expect(201);
    let mut pool = pool_body("certified", 1);
    let reference = json!({ "thumbprint": thumbprint, "thumbprintAlgorithm": "sha1" });
    pool["certificateReferences"] = json!([reference]);
    rig.post("/pools", &pool).version(version).send().await.expect(201);
    let path = format!("/certificates(thumbprintAlgorithm=sha1,thumbprint={thumbprint})");
    rig.delete(&path).version(version).send().await.expect(202);
    let failed = |it: &Reply| it.body["value"][0]["state"] == "deletefailed";
    rig.until_in(version, "/certificates", failed).await;
    shown.one(Shape::Certificate, || rig.get(&path)).await;
    rig.ready(1).await;
    shown.list(rig, Shape::Node, "/pools/certified/nodes").await;
}

/// A node that is released after all, and one that could not be prepared.
async fn failing_preparation(rig: &Rig, agent: &mut Agent, shown: &mut Shown) {
    for (id, end) in [("good", EXITED_0), ("bad", Outcome::NotStarted { failure: failure() })] {
        let body = json!({
            "id": id,
            "poolInfo": { "poolId": "p" },
            "jobPreparationTask": { "commandLine": "true", "waitForSuccess": false },
            "jobReleaseTask": { "commandLine": "true" },
        });
        rig.post("/jobs", &body).send().await.expect(201);
        rig.task(id, "t", json!({})).await;
        for _ in 0..2 {
            let run = agent.run().await;
            let is_task = run.attempt.kind == AttemptKind::Task;
            agent.end(&run.attempt, if is_task { EXITED_0 } else { end.clone() }).await;
        }
        rig.until_state(&format!("/jobs/{id}/tasks/t"), "completed").await;
        rig.post(&format!("/jobs/{id}/terminate"), &json!({})).send().await.expect(202);
        agent.run_to(EXITED_0).await;
        rig.until_state(&format!("/jobs/{id}"), "completed").await;
        let status = format!("/jobs/{id}/jobpreparationandreleasetaskstatus");
        shown.list(rig, Shape::JobPreparationAndReleaseStatus, &status).await;
    }
}

/// A task of two nodes, of which one fails; their start tasks did as well, at first.
async fn gang(rig: &mut Rig, shown: &mut Shown) {
    let start_task = json!({ "commandLine": "true", "waitForSuccess": false });
    let mut more = json!({ "enableInterNodeCommunication": true, "startTask": start_task });
    more["virtualMachineConfiguration"] = pool_body("", 0)["virtualMachineConfiguration"].clone();
    let extension = json!({ "name": "e", "publisher": "p", "type": "t" });
    more["virtualMachineConfiguration"]["extensions"] = json!([extension]);
    let mut agents = rig.pool("g", 2, more).await;
    for agent in &mut agents {
        agent.container = Some(container());
        let info = StartTaskInfo { failure: Some(failure()), ..start_task_info() };
        agent.report(Report::StartTask { boot: 1, info }).await;
    }
    rig.job("g", "g").await;
    let settings = json!({ "numberOfInstances": 2, "coordinationCommandLine": "true" });
    let ends = [Outcome::Exited { exit_code: 1 }, Outcome::NotStarted { failure: failure() }];
    for (id, end) in ["t", "u"].into_iter().zip(ends) {
        rig.task("g", id, json!({ "multiInstanceSettings": settings })).await;
        let runs = [agents[0].run().await, agents[1].run().await];
        let is_primary = runs[0].attempt.kind == AttemptKind::Subtask { number: 0 };
        let (primary, other) = if is_primary { (0, 1) } else { (1, 0) };
        agents[other].end(&runs[other].attempt, end).await;
        let stopped = agents[primary].stop().await;
        agents[primary].end(&stopped, Outcome::Stopped).await;
        let path = format!("/jobs/g/tasks/{id}/subtasksinfo");
        rig.until(&path, |it: &Reply| it.body["value"][0]["state"] == "completed").await;
        shown.list(rig, Shape::Subtask, &path).await;
    }
    let extensions = format!("/pools/g/nodes/{}/extensions", agents[0].node_id());
    shown.list(rig, Shape::NodeExtension, &extensions).await;
    shown.list(rig, Shape::Node, "/pools/g/nodes").await;
}

/// A schedule that made a job and has come to its end.
async fn schedules(rig: &Rig, agent: &mut Agent, shown: &mut Shown) {
    let every = |schedule: Value| {
        json!({
            "id": "s",
            "schedule": schedule,
            "jobSpecification": { "poolInfo": { "poolId": "p" } },
        })
    };
    let hourly = every(json!({ "recurrenceInterval": "PT1H" }));
    rig.post("/jobschedules", &hourly).send().await.expect(201);
    rig.until("/jobschedules/s", |it| it.body["executionInfo"]["recentJob"].is_object()).await;
    rig.task("s:job-1", "t", json!({})).await;
    let run = agent.run().await;
    agent.end_after(&run.attempt, EXITED_0, usage()).await;
    shown.one(Shape::JobSchedule, || stats(rig, "/jobschedules/s")).await;
    rig.post("/jobschedules/s/terminate", &json!({})).send().await.expect(202);
    rig.until_state("/jobschedules/s", "completed").await;
    shown.one(Shape::JobSchedule, || rig.get("/jobschedules/s")).await;
}
