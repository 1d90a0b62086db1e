//! Statistics of tasks and jobs, and of all jobs there ever were.

use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use kiln_wire::node::Outcome;
use serde_json::{Value, json};

use crate::rig::{Agent, Rig};

const OLD: &str = "2016-07-01.3.1";
const GIB: u64 = 1024 * 1024 * 1024;

/// What a run of so many seconds took.
fn took(seconds: i64) -> Option<Usage> {
    Some(Usage {
        user_cpu: Span::seconds(seconds * 2),
        kernel_cpu: Span::seconds(1),
        wall_clock: Span::seconds(seconds),
        read_ops: 3,
        write_ops: 4,
        read_bytes: GIB,
        write_bytes: GIB / 2,
        peak_memory_bytes: GIB,
    })
}

/// Runs the next task for so many seconds.
async fn run(agent: &mut Agent, seconds: i64, exit_code: i32) {
    let run = agent.run().await;
    agent.end_after(&run.attempt, Outcome::Exited { exit_code }, took(seconds)).await;
}

async fn stats(rig: &Rig, path: &str) -> Value {
    rig.get(path).query("$expand", "stats").send().await.expect(200).body["stats"].clone()
}

#[tokio::test]
async fn a_task_shows_what_its_runs_took() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    assert_eq!(stats(&rig, "/jobs/j/tasks/t").await, Value::Null, "nothing ran yet");
    run(&mut agents[0], 10, 1).await;
    run(&mut agents[0], 5, 0).await;
    let mut shown = stats(&rig, "/jobs/j/tasks/t").await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(task["stats"], Value::Null, "only when expanded");
    assert_eq!(shown["startTime"], task["creationTime"]);
    let waited = shown["waitTime"].take();
    let waited = Span::parse(waited.as_str().expect("a time")).expect("a time");
    assert!(waited > Span::ZERO && waited < Span::seconds(20), "{waited}");
    assert!(shown["lastUpdateTime"].take().is_string());
    assert_eq!(
        shown,
        json!({
            "url": format!("{}/jobs/j/tasks/t/stats", rig.url()),
            "startTime": task["creationTime"],
            "lastUpdateTime": null,
            "userCPUTime": "PT30S",
            "kernelCPUTime": "PT2S",
            "wallClockTime": "PT15S",
            "readIOps": "6",
            "writeIOps": "8",
            "readIOGiB": 2.0,
            "writeIOGiB": 1.0,
            "waitTime": null,
        })
    );
    let listed = rig.get("/jobs/j/tasks").query("$expand", "stats").send().await.expect(200);
    assert_eq!(listed.body["value"][0]["stats"]["wallClockTime"], "PT15S");
    let selected = rig.get("/jobs/j/tasks").query("$expand", "stats").query("$select", "id");
    let selected = selected.send().await.expect(200).body;
    assert_eq!(selected["value"], json!([{ "id": "t" }]), "as recorded: selected away");
}

#[tokio::test]
async fn statistics_of_a_job_add_up() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    assert_eq!(stats(&rig, "/jobs/j").await, Value::Null);
    for id in ["a", "b"] {
        rig.task("j", id, json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    }
    run(&mut agents[0], 1, 0).await;
    run(&mut agents[0], 2, 7).await;
    run(&mut agents[0], 4, 7).await;
    // A task that is removed stays in the sums.
    rig.delete("/jobs/j/tasks/a").send().await.expect(200);
    let shown = stats(&rig, "/jobs/j").await;
    for (name, expected) in [
        ("userCPUTime", json!("PT14S")),
        ("wallClockTime", json!("PT7S")),
        ("readIOps", json!("9")),
        ("readIOGiB", json!(3.0)),
        ("numSucceededTasks", json!("1")),
        ("numFailedTasks", json!("1")),
        ("numTaskRetries", json!("1")),
    ] {
        assert_eq!(shown[name], expected, "{name}");
    }
    let listed = rig.get("/jobs").query("$expand", "stats").send().await.expect(200);
    assert_eq!(listed.body["value"][0]["stats"], shown);
}

#[tokio::test]
async fn statistics_of_a_job_schedule_keep_jobs_that_are_gone() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let schedule = json!({
        "id": "s", "schedule": {}, "jobSpecification": { "poolInfo": { "poolId": "p" } },
    });
    rig.post("/jobschedules", &schedule).send().await.expect(201);
    rig.until("/jobs/s:job-1", |reply| reply.status == 200).await;
    assert_eq!(stats(&rig, "/jobschedules/s").await, Value::Null, "nothing ran yet");
    rig.task("s:job-1", "t", json!({})).await;
    run(&mut agents[0], 6, 0).await;
    let shown = stats(&rig, "/jobschedules/s").await;
    assert_eq!(shown["url"], format!("{}/jobschedules/s/stats", rig.url()));
    let numbers = (&shown["wallClockTime"], &shown["numSucceededTasks"]);
    assert_eq!(numbers, (&json!("PT6S"), &json!("1")));
    let listed = rig.get("/jobschedules").query("$expand", "stats").send().await.expect(200);
    assert_eq!(listed.body["value"][0]["stats"], shown);
    let plain = rig.get("/jobschedules/s").send().await.expect(200).body;
    assert_eq!(plain["stats"], Value::Null, "only when expanded");
    rig.delete("/jobs/s:job-1").send().await.expect(202);
    rig.until("/jobs/s:job-1", |reply| reply.status == 404).await;
    assert_eq!(stats(&rig, "/jobschedules/s").await, shown);
}

#[tokio::test]
async fn a_run_that_was_stopped_is_counted_once() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let run = agent.run().await;
    rig.post("/jobs/j/tasks/t/terminate", &json!({})).send().await.expect(204);
    let before = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    for _ in 0..2 {
        agent.end_after(&run.attempt, Outcome::Stopped, took(3)).await;
    }
    assert_eq!(stats(&rig, "/jobs/j/tasks/t").await["wallClockTime"], "PT3S");
    let job = stats(&rig, "/jobs/j").await;
    assert_eq!((&job["wallClockTime"], &job["numFailedTasks"]), (&json!("PT3S"), &json!("1")));
    let after = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(before, after, "the task itself is as it was");
}

#[tokio::test]
async fn lifetime_statistics_outlive_jobs_and_servers() {
    let mut rig = Rig::start().await;
    let whole = |rig: &Rig| rig.get("/lifetimejobstats").version(OLD);
    let fresh = whole(&rig).send().await.expect(200).body;
    // As recorded of an account in which nothing ran yet.
    assert_eq!(fresh["startTime"], fresh["lastUpdateTime"]);
    let base = rig.url();
    assert_eq!(fresh["url"], format!("{base}/lifetimejobstats"));
    assert_eq!(fresh["odata.metadata"], format!("{base}/$metadata#jobstats/@Element"));
    let mut agents = rig.pool("p", 1, json!({})).await;
    for id in ["one", "two"] {
        rig.job(id, "p").await;
        rig.task(id, "t", json!({})).await;
        run(&mut agents[0], 8, 0).await;
    }
    rig.delete("/jobs/one").send().await.expect(202);
    rig.until("/jobs/one", |reply| reply.status == 404).await;
    rig.stop_server().await;
    rig.start_server().await;
    let after = whole(&rig).send().await.expect(200).body;
    assert_eq!(after["startTime"], fresh["startTime"]);
    let numbers = ["wallClockTime", "numSucceededTasks", "numFailedTasks", "readIOps"];
    let numbers: Vec<_> = numbers.iter().map(|name| &after[name]).collect();
    assert_eq!(numbers, ["PT16S", "2", "0", "6"]);
    let names = |it: &Value| it.as_object().expect("members").keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&fresh).join(" "),
        "kernelCPUTime lastUpdateTime numFailedTasks numSucceededTasks numTaskRetries \
         odata.metadata readIOGiB readIOps startTime url userCPUTime waitTime wallClockTime \
         writeIOGiB writeIOps"
    );
    // Gone since 2023-05-01.17.0.
    let newest = rig.get("/lifetimejobstats").send().await;
    assert_eq!(newest.status, 400);
}
