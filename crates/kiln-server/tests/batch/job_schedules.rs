//! Job schedules: their jobs, their ends, and what is refused.

use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_wire::api_version::ApiVersion;
use kiln_wire::node::{Outcome, ToAgent};
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, now, wait_a_little};

/// The time so many milliseconds from now.
fn from_now(milliseconds: i64) -> String {
    Timestamp(now().0 + milliseconds * 10_000).to_iso()
}

fn body(id: &str, schedule: &Value) -> Value {
    json!({
        "id": id, "schedule": schedule, "jobSpecification": { "poolInfo": { "poolId": "p" } },
    })
}

async fn add(rig: &Rig, id: &str, schedule: Value) {
    rig.post("/jobschedules", &body(id, &schedule)).send().await.expect(201);
}

/// The schedule once it has made this job.
async fn made(rig: &Rig, id: &str, job: &str) -> Value {
    let path = format!("/jobschedules/{id}");
    let has = |it: &Reply| it.body["executionInfo"]["recentJob"]["id"] == job;
    rig.until(&path, has).await.body
}

/// Lets an hourly schedule be due from now on, whatever it was before; gives that time.
async fn make_due(rig: &Rig, id: &str) -> Timestamp {
    let due = now();
    let schedule = json!({ "doNotRunUntil": due.to_iso(), "recurrenceInterval": "PT1H" });
    let patch = json!({ "schedule": schedule });
    rig.patch(&format!("/jobschedules/{id}"), &patch).send().await.expect(200);
    due
}

async fn end(rig: &Rig, job: &str) {
    rig.post(&format!("/jobs/{job}/terminate"), &json!({})).send().await.expect(202);
    rig.until_state(&format!("/jobs/{job}"), "completed").await;
}

#[tokio::test]
async fn a_schedule_without_interval_makes_one_job_and_ends_with_it() {
    let rig = Rig::start().await;
    add(&rig, "s", json!({})).await;
    let schedule = made(&rig, "s", "s:job-1").await;
    let info = &schedule["executionInfo"];
    assert_eq!(schedule["state"], "active");
    assert_eq!(info["recentJob"]["url"], format!("{}/jobs/s:job-1", rig.url()));
    assert_eq!((&info["nextRunTime"], &info["endTime"]), (&Value::Null, &Value::Null));
    let job = rig.get("/jobs/s:job-1").send().await.expect(200).body;
    assert_eq!((&job["id"], &job["state"]), (&json!("s:job-1"), &json!("active")));
    assert_eq!(job["onAllTasksComplete"], "noaction");
    end(&rig, "s:job-1").await;
    let schedule = rig.until_state("/jobschedules/s", "completed").await;
    assert_eq!(schedule["previousState"], "active");
    assert!(schedule["executionInfo"]["endTime"].is_string());
    assert_eq!(schedule["executionInfo"]["recentJob"]["id"], "s:job-1");
    assert_eq!(rig.get("/jobschedules/s/jobs").send().await.expect(200).ids(), ["s:job-1"]);
}

#[tokio::test]
async fn a_job_is_made_when_it_is_due() {
    let rig = Rig::start().await;
    let due = from_now(1_500);
    add(&rig, "s", json!({ "doNotRunUntil": due, "recurrenceInterval": "PT1H" })).await;
    let early = rig.get("/jobschedules/s").send().await.expect(200).body;
    assert_eq!(early["executionInfo"], json!({ "nextRunTime": due }));
    let schedule = made(&rig, "s", "s:job-1").await;
    let at = |value: &Value| Timestamp::parse_iso(value.as_str().expect("a time")).expect("a time");
    let job = rig.get("/jobs/s:job-1").send().await.expect(200).body;
    assert!(at(&job["creationTime"]) >= at(&json!(due)), "{job:#}");
    let next = at(&schedule["executionInfo"]["nextRunTime"]);
    assert_eq!(next, at(&json!(due)).plus(Span::minutes(60)));
    assert_eq!(schedule["eTag"], early["eTag"], "a job that is made changes no tag");
}

#[tokio::test]
async fn the_next_job_waits_for_the_end_of_the_last() {
    let rig = Rig::start().await;
    add(&rig, "s", json!({ "recurrenceInterval": "PT1H" })).await;
    let first = made(&rig, "s", "s:job-1").await;
    let created = first["creationTime"].as_str().and_then(Timestamp::parse_iso).expect("a time");
    let next = created.plus(Span::minutes(60)).to_iso();
    assert_eq!(first["executionInfo"]["nextRunTime"], next);
    // It is due while the first job runs, is told so, and comes when that one has ended.
    let due = make_due(&rig, "s").await;
    let overdue = rig.get("/jobschedules/s").send().await.expect(200).body;
    assert_eq!(overdue["executionInfo"]["recentJob"]["id"], "s:job-1");
    assert_eq!(overdue["executionInfo"]["nextRunTime"], due.to_iso());
    end(&rig, "s:job-1").await;
    let next = made(&rig, "s", "s:job-2").await;
    assert_eq!(next["executionInfo"]["nextRunTime"], due.plus(Span::minutes(60)).to_iso());
    assert_eq!(next["state"], "active");
    let active = rig.get("/jobschedules/s/jobs").query("$filter", "state eq 'active'");
    assert_eq!(active.send().await.expect(200).ids(), ["s:job-2"]);
}

#[tokio::test]
async fn a_due_time_whose_window_is_over_makes_no_job() {
    let rig = Rig::start().await;
    let past = from_now(-90_000);
    add(&rig, "once", json!({ "doNotRunUntil": past, "startWindow": "PT1M" })).await;
    let over = rig.until_state("/jobschedules/once", "completed").await;
    assert_eq!(over["executionInfo"].get("recentJob"), None);
    let hourly = json!({
        "doNotRunUntil": past, "startWindow": "PT1M", "recurrenceInterval": "PT1H",
    });
    add(&rig, "hourly", hourly).await;
    let waits = rig.get("/jobschedules/hourly").send().await.expect(200).body;
    assert_eq!(
        (&waits["state"], waits["executionInfo"].get("recentJob")),
        (&json!("active"), None)
    );
    let jobs = rig.get("/jobschedules/hourly/jobs").send().await.expect(200);
    assert!(jobs.ids().is_empty());
}

#[tokio::test]
async fn a_schedule_completes_once_its_end_has_come_and_no_job_runs() {
    let rig = Rig::start().await;
    for id in ["idle", "busy"] {
        let job = format!("{id}:job-1");
        let path = format!("/jobschedules/{id}");
        let ends = async |at: String| {
            let schedule = json!({ "recurrenceInterval": "PT1H", "doNotRunAfter": at });
            let patch = json!({ "schedule": schedule });
            rig.patch(&path, &patch).send().await.expect(200);
            rig.get(&path).send().await.expect(200).body["state"].clone()
        };
        add(&rig, id, json!({ "recurrenceInterval": "PT1H" })).await;
        made(&rig, id, &job).await;
        if id == "idle" {
            end(&rig, &job).await;
            assert_eq!(ends("2090-01-01".to_owned()).await, "active");
            ends(from_now(300)).await;
        } else {
            assert_eq!(ends(from_now(-1)).await, "active", "its job still runs");
            end(&rig, &job).await;
        }
        let schedule = rig.until_state(&path, "completed").await;
        assert_eq!(schedule["executionInfo"].get("nextRunTime"), None);
    }
}

#[tokio::test]
async fn a_disabled_schedule_makes_no_job_until_it_is_enabled() {
    let rig = Rig::start().await;
    add(&rig, "s", json!({ "doNotRunUntil": "2090-01-01" })).await;
    let post = |action: &str| rig.post(&format!("/jobschedules/s/{action}"), &json!({}));
    let tag = |reply: &Reply| reply.header("etag").map(str::to_owned);
    let disabled = post("disable").send().await.expect(204);
    post("disable").send().await.refuses(409, "JobScheduleDisabled");
    let shown = rig.get("/jobschedules/s").send().await.expect(200);
    assert_eq!((tag(&disabled), &shown.body["state"]), (tag(&shown), &json!("disabled")));
    let due = from_now(-1);
    let moved = json!({ "schedule": { "doNotRunUntil": due } });
    rig.patch("/jobschedules/s", &moved).send().await.expect(200);
    let info = rig.get("/jobschedules/s").send().await.expect(200).body["executionInfo"].take();
    assert_eq!(info, json!({ "nextRunTime": due }));
    // What it missed is still within its window, which has no end.
    let enabled = post("enable").send().await.expect(204);
    assert_ne!(tag(&enabled), tag(&disabled));
    made(&rig, "s", "s:job-1").await;
    let again = post("enable").send().await.expect(204);
    assert_eq!(tag(&again), tag(&enabled));
    // A job that runs goes on.
    post("disable").send().await.expect(204);
    assert_eq!(rig.get("/jobs/s:job-1").send().await.body["state"], "active");
    end(&rig, "s:job-1").await;
    assert_eq!(rig.get("/jobschedules/s").send().await.body["state"], "disabled");
    post("enable").send().await.expect(204);
    rig.until_state("/jobschedules/s", "completed").await;
}

#[tokio::test]
async fn a_terminated_schedule_ends_its_job() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    add(&rig, "s", json!({ "recurrenceInterval": "PT1H" })).await;
    made(&rig, "s", "s:job-1").await;
    rig.task("s:job-1", "t", json!({})).await;
    let run = agents[0].run().await;
    assert_eq!((run.job_id.as_str(), run.directory.as_str()), ("s:job-1", "workitems/s/job-1/t"));
    let terminate = rig.post("/jobschedules/s/terminate", &json!({}));
    let ended = terminate.send().await.expect(202);
    let url = ended.header("dataserviceid").expect("a URL");
    assert_eq!(url, format!("{}/jobschedules/s/terminate", rig.url()));
    assert_eq!(agents[0].stop().await, run.attempt);
    agents[0].end(&run.attempt, Outcome::Stopped).await;
    let job = rig.until_state("/jobs/s:job-1", "completed").await;
    assert_eq!(job["executionInfo"]["terminateReason"], "TerminateJobSchedule");
    let schedule = rig.until_state("/jobschedules/s", "completed").await;
    assert_eq!(schedule["previousState"], "terminating");
    for (ask, code) in [
        (rig.post("/jobschedules/s/terminate", &json!({})), "JobScheduleCompleted"),
        (rig.post("/jobschedules/s/disable", &json!({})), "JobScheduleCompleted"),
        (rig.post("/jobschedules/s/enable", &json!({})), "JobScheduleCompleted"),
        (rig.patch("/jobschedules/s", &json!({ "metadata": [] })), "JobScheduleCompleted"),
    ] {
        ask.send().await.refuses(409, code);
    }
    rig.delete("/jobschedules/s").send().await.expect(202);
    rig.until("/jobschedules/s", |it| it.status == 404).await;
}

#[tokio::test]
async fn a_deleted_schedule_takes_its_jobs_along() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    add(&rig, "s", json!({ "recurrenceInterval": "PT1H" })).await;
    made(&rig, "s", "s:job-1").await;
    rig.tasks("s:job-1", 700).await;
    agents[0].run().await;
    end(&rig, "s:job-1").await;
    agents[0].stop().await;
    make_due(&rig, "s").await;
    made(&rig, "s", "s:job-2").await;
    rig.task("s:job-2", "t", json!({})).await;
    let run = agents[0].run().await;
    let deleted = rig.delete("/jobschedules/s").send().await.expect(202);
    assert_eq!(deleted.header("etag"), None);
    assert_eq!(agents[0].stop().await, run.attempt);
    rig.until("/jobschedules/s", |it| it.status == 404).await.refuses(404, "JobScheduleNotFound");
    for job in ["s:job-1", "s:job-2"] {
        rig.get(&format!("/jobs/{job}")).send().await.refuses(404, "JobNotFound");
    }
    for directory in ["workitems/s/job-1", "workitems/s/job-2"] {
        let removed = |it: &ToAgent| {
            matches!(it, ToAgent::RemoveDirectory { path } if path == directory).then_some(())
        };
        agents[0].expect(directory, removed).await;
    }
    // One of the same name begins anew.
    add(&rig, "S", json!({})).await;
    made(&rig, "s", "S:job-1").await;
}

#[tokio::test]
async fn the_end_of_a_schedule_waits_for_the_release_of_nodes_unless_forced() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    for action in ["terminate", "delete"] {
        let mut schedule = body(action, &json!({}));
        schedule["jobSpecification"]["jobPreparationTask"] = json!({ "commandLine": "true" });
        schedule["jobSpecification"]["jobReleaseTask"] = json!({ "commandLine": "true" });
        rig.post("/jobschedules", &schedule).send().await.expect(201);
        let job = format!("{action}:job-1");
        made(&rig, action, &job).await;
        rig.task(&job, "t", json!({})).await;
        let exited = || Outcome::Exited { exit_code: 0 };
        let preparation = agent.run_to(exited()).await;
        assert_eq!(preparation.directory, format!("workitems/{action}/job-1/jobpreparation"));
        agent.run_to(exited()).await;
        let path = format!("/jobschedules/{action}");
        let ends = || match action {
            "delete" => rig.delete(&path),
            _ => rig.post(&format!("{path}/terminate"), &json!({})),
        };
        ends().send().await.expect(202);
        let release = agent.run().await;
        let waits = rig.get(&path).send().await.expect(200).body;
        let (state, code) = match action {
            "delete" => ("deleting", "JobScheduleBeingDeleted"),
            _ => ("terminating", "JobScheduleBeingTerminated"),
        };
        assert_eq!(waits["state"], state);
        ends().send().await.refuses(409, code);
        ends().query("force", "true").send().await.expect(202);
        assert_eq!(agent.stop().await, release.attempt);
        let is_over = |it: &Reply| it.status == 404 || it.body["state"] == "completed";
        rig.until(&path, is_over).await;
    }
}

#[tokio::test]
async fn a_schedule_that_is_moved_up_makes_its_job_at_once() {
    let rig = Rig::start().await;
    add(&rig, "s", json!({ "doNotRunUntil": "2090-01-01" })).await;
    rig.patch("/jobschedules/s", &json!({ "schedule": {} })).send().await.expect(200);
    made(&rig, "s", "s:job-1").await;
    // The only job it was to make; now it goes on.
    let hourly = json!({ "schedule": { "recurrenceInterval": "PT1H" } });
    rig.patch("/jobschedules/s", &hourly).send().await.expect(200);
    end(&rig, "s:job-1").await;
    let waits = rig.get("/jobschedules/s").send().await.expect(200).body;
    assert_eq!(waits["state"], "active");
    assert!(waits["executionInfo"]["nextRunTime"].is_string());
    // And now there is nothing left to do.
    rig.patch("/jobschedules/s", &json!({ "schedule": {} })).send().await.expect(200);
    rig.until_state("/jobschedules/s", "completed").await;
}

#[tokio::test]
async fn a_job_that_was_due_while_no_server_ran_is_made_at_the_start() {
    let mut rig = Rig::start().await;
    let due = from_now(1_500);
    add(&rig, "s", json!({ "doNotRunUntil": due })).await;
    add(&rig, "lost", json!({ "doNotRunUntil": from_now(-40_000), "startWindow": "PT1M" })).await;
    made(&rig, "lost", "lost:job-1").await;
    end(&rig, "lost:job-1").await;
    rig.until_state("/jobschedules/lost", "completed").await;
    add(&rig, "gone", json!({})).await;
    made(&rig, "gone", "gone:job-1").await;
    rig.stop_server().await;
    let due = Timestamp::parse_iso(&due).expect("a time");
    while now() < due {
        wait_a_little().await;
    }
    rig.start_server().await;
    made(&rig, "s", "s:job-1").await;
    end(&rig, "gone:job-1").await;
    rig.until_state("/jobschedules/gone", "completed").await;
    let jobs = rig.get("/jobs").send().await.expect(200);
    assert_eq!(jobs.ids(), ["gone:job-1", "lost:job-1", "s:job-1"]);
}

#[tokio::test]
async fn jobs_of_schedules_are_found_however_their_colon_is_written() {
    let rig = Rig::start().await;
    add(&rig, "s", json!({})).await;
    made(&rig, "s", "s:job-1").await;
    for path in ["/jobs/s:job-1", "/jobs/s%3Ajob-1", "/jobs/s%3ajob-1", "/jobs/S:JOB-1"] {
        let job = rig.get(path).send().await.expect(200).body;
        assert_eq!(job["url"], format!("{}/jobs/s:job-1", rig.url()), "{path}");
    }
    let task = json!({ "id": "t", "commandLine": "true" });
    rig.post("/jobs/s%3Ajob-1/tasks", &task).send().await.expect(201);
    rig.get("/jobs/s:job-1/tasks/t").send().await.expect(200);
    // Clients cannot make one.
    let job = json!({ "id": "s:job-2", "poolInfo": { "poolId": "p" } });
    rig.post("/jobs", &job).send().await.refuses(400, "InvalidPropertyValue");
}

#[tokio::test]
async fn jobs_and_schedules_share_their_names() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    add(&rig, "s", json!({})).await;
    let schedule = |id: &str| rig.post("/jobschedules", &body(id, &json!({})));
    schedule("J").send().await.refuses(409, "JobWithSameIdExists");
    schedule("S").send().await.refuses(409, "JobScheduleExists");
    let job = json!({ "id": "S", "poolInfo": { "poolId": "p" } });
    rig.post("/jobs", &job).send().await.refuses(409, "JobScheduleWithSameIdExists");
    for path in ["/jobschedules/j", "/jobschedules/j/jobs"] {
        rig.get(path).send().await.refuses(404, "JobScheduleNotFound");
    }
    rig.head("/jobschedules/j").send().await.expect(404);
    rig.head("/jobschedules/s").send().await.expect(200);
}

#[tokio::test]
async fn schedules_that_break_a_rule() {
    let rig = Rig::start().await;
    for (name, value, property) in [
        ("id", json!("s:t"), "id"),
        ("schedule", json!({ "recurrenceInterval": "PT59S" }), "schedule.recurrenceInterval"),
        ("schedule", json!({ "startWindow": "PT0S" }), "schedule.startWindow"),
        ("schedule", json!({ "doNotRunUntil": "soon" }), "schedule.doNotRunUntil"),
        ("schedule", json!(null), "schedule"),
        ("jobSpecification", json!({}), "jobSpecification.poolInfo"),
        (
            "jobSpecification",
            json!({ "poolInfo": { "poolId": "p" }, "priority": 1_001 }),
            "jobSpecification.priority",
        ),
        (
            "jobSpecification",
            json!({ "poolInfo": { "poolId": "p" }, "id": "j" }),
            "jobSpecification.id",
        ),
    ] {
        let mut schedule = body("s", &json!({}));
        schedule[name] = value.clone();
        let refused = rig.post("/jobschedules", &schedule).send().await;
        assert_eq!(refused.status, 400, "{name}: {value} {}", refused.body);
        assert_eq!(refused.value("PropertyName"), property, "{value} {}", refused.body);
    }
    add(&rig, "s", json!({})).await;
    let patch = json!({ "schedule": { "startWindow": "PT30S" } });
    let refused = rig.patch("/jobschedules/s", &patch).send().await;
    refused.refuses(400, "InvalidPropertyValue");
    let incomplete = rig.put("/jobschedules/s", &json!({ "schedule": {} })).send().await;
    let incomplete = incomplete.refuses(400, "MissingRequiredProperty");
    assert_eq!(incomplete.value("PropertyName"), "jobSpecification");
}

#[tokio::test]
async fn changes_reach_only_the_jobs_to_come() {
    let rig = Rig::start().await;
    let schedule = json!({ "recurrenceInterval": "PT1H" });
    let mut whole = body("s", &schedule);
    whole["displayName"] = json!("shown");
    whole["metadata"] = json!([{ "name": "a", "value": "1" }]);
    rig.post("/jobschedules", &whole).send().await.expect(201);
    let before = made(&rig, "s", "s:job-1").await;
    let changed = json!({ "jobSpecification": {
        "priority": 7, "displayName": "second", "poolInfo": { "poolId": "q" },
        "metadata": [{ "name": "b", "value": "2" }],
    } });
    let patched = rig.patch("/jobschedules/s", &changed).send().await.expect(200);
    let shown = rig.get("/jobschedules/s").send().await.expect(200);
    assert_eq!(patched.header("etag"), shown.header("etag"));
    assert_ne!(shown.body["eTag"], before["eTag"]);
    let url = format!("{}/jobschedules/s", rig.url());
    assert_eq!(patched.header("dataserviceid"), Some(url.as_str()));
    // The given member is replaced as a whole, the others stay.
    assert_eq!(shown.body["jobSpecification"]["priority"], 7);
    assert_eq!(shown.body["schedule"], schedule);
    assert_eq!(shown.body["metadata"], whole["metadata"]);
    assert_eq!(rig.get("/jobs/s:job-1").send().await.expect(200).body["priority"], 0);
    end(&rig, "s:job-1").await;
    make_due(&rig, "s").await;
    made(&rig, "s", "s:job-2").await;
    let second = rig.get("/jobs/s:job-2").send().await.expect(200).body;
    assert_eq!((&second["priority"], &second["displayName"]), (&json!(7), &json!("second")));
    assert_eq!(second["executionInfo"]["poolId"], "q");
    assert_eq!(second["metadata"], changed["jobSpecification"]["metadata"]);

    let put = json!({ "schedule": {}, "jobSpecification": { "poolInfo": { "poolId": "p" } } });
    rig.put("/jobschedules/s", &put).send().await.expect(200);
    let shown = rig.get("/jobschedules/s").send().await.expect(200).body;
    assert_eq!(shown["schedule"], json!({}));
    assert_eq!(shown["jobSpecification"]["priority"], 0);
    assert_eq!(shown.get("metadata"), None);
    assert_eq!(shown["displayName"], "shown", "it cannot be changed");
}

#[tokio::test]
async fn schedules_are_listed_chosen_and_guarded_by_conditions() {
    let rig = Rig::start().await;
    for (id, until) in [("a", "2090-01-01T00:00:00Z"), ("b", "2095-01-01T00:00:00Z")] {
        add(&rig, id, json!({ "doNotRunUntil": until, "doNotRunAfter": "2099-01-01" })).await;
    }
    rig.post("/jobschedules/b/disable", &json!({})).send().await.expect(204);
    for (filter, expected) in [
        ("state eq 'disabled'", vec!["b"]),
        ("state ne 'completed' and startswith(id,'a')", vec!["a"]),
        ("schedule/doNotRunUntil lt DateTime'2092-01-01T00:00:00Z'", vec!["a"]),
        ("schedule/doNotRunAfter gt DateTime'2092-01-01T00:00:00Z'", vec!["a", "b"]),
    ] {
        let found = rig.get("/jobschedules").query("$filter", filter).send().await.expect(200);
        assert_eq!(found.ids(), expected, "{filter}");
    }
    let page = rig.get("/jobschedules").query("maxresults", "1").send().await.expect(200);
    let next = rig.get(page.body["odata.nextLink"].as_str().expect("a link")).send().await;
    assert_eq!((page.ids(), next.expect(200).ids()), (vec!["a"], vec!["b"]));
    let chosen =
        rig.get("/jobschedules/a").query("$select", "id,schedule").query("$expand", "stats");
    let chosen = chosen.send().await.expect(200).body;
    assert_eq!(chosen.as_object().expect("members").len(), 3, "{chosen}");
    let tag = rig.get("/jobschedules/a").send().await.header("etag").expect("a tag").to_owned();
    let asked = |tag: &str| rig.post("/jobschedules/a/disable", &json!({})).header("if-match", tag);
    asked("0x8D0").send().await.refuses(412, "ConditionNotMet");
    asked(&tag).send().await.expect(204);
    rig.get("/jobschedules/a").header("if-none-match", &tag).send().await.expect(200);
    rig.head("/jobschedules/a").header("if-match", &tag).send().await.expect(412);
    let kept = rig.delete("/jobschedules/a").header("if-match", &tag).send().await;
    kept.refuses(412, "ConditionNotMet");
}

#[tokio::test]
async fn a_schedule_goes_round_in_every_version() {
    let rig = Rig::start().await;
    for (number, version) in ApiVersion::all().enumerate() {
        let (id, version) = (format!("s{number}"), version.as_str());
        let mut body = body(&id, &json!({ "doNotRunUntil": "2090-01-01T00:00:00Z" }));
        let nodes = if number < 2 { "targetDedicated" } else { "targetDedicatedNodes" };
        let mut pool = crate::rig::pool_body("", 0);
        let members = pool.as_object_mut().expect("members");
        members.retain(|name, _| !["id", "targetDedicatedNodes"].contains(&name.as_str()));
        members.insert(nodes.to_owned(), json!(3));
        body["jobSpecification"]["poolInfo"] = json!({ "autoPoolSpecification": {
            "poolLifetimeOption": "jobSchedule", "pool": pool,
        } });
        rig.post("/jobschedules", &body).version(version).send().await.expect(201);
        let path = format!("/jobschedules/{id}");
        let shown = rig.get(&path).version(version).send().await.expect(200).body;
        let pool = &shown["jobSpecification"]["poolInfo"]["autoPoolSpecification"]["pool"];
        assert_eq!(pool[nodes], 3, "{version}");
        let slots = if number < 11 { "maxTasksPerNode" } else { "taskSlotsPerNode" };
        assert_eq!(pool[slots], 1, "{version}");
        // What was shown may be sent back, and changes nothing.
        rig.put(&path, &shown).version(version).send().await.expect(200);
        let again = rig.get(&path).version(version).send().await.expect(200).body;
        assert_eq!(again["jobSpecification"], shown["jobSpecification"], "{version}");
        let listed = rig.get("/jobschedules").version(version).send().await.expect(200);
        assert_eq!(listed.ids().len(), number + 1);
        rig.patch(&path, &json!({ "metadata": [] })).version(version).send().await.expect(200);
    }
}
