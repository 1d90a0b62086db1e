//! Nodes that start, fail, are lost and come back, and their links.

use std::time::Duration;

use kiln_domain::batch::node::StartTaskRun;
use kiln_domain::batch::task::FailureInfo;
use kiln_domain::limits::AGENT_QUICK_ENDS_MAX;
use kiln_wire::node::{FromAgent, Outcome, Report};
use serde_json::json;

use crate::rig::{Rig, now};

#[tokio::test]
async fn a_lost_node_gives_its_tasks_back() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let mut agent = agents.remove(0);
    let first = agent.run().await;
    let node = format!("/pools/p/nodes/{}", agent.node_id());
    agent.die();
    let mut agent = rig.agent().await;
    let prepare = agent.prepare().await;
    assert_eq!(prepare.boot, 2);
    let waits = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(waits.body["state"], "active");
    assert_eq!(waits.body["executionInfo"]["requeueCount"], 0);
    assert_eq!(rig.get(&node).send().await.body["state"], "starting");
    agent.report(Report::Booted { boot: 2, at: now(), is_fresh: true }).await;
    let second = agent.run().await;
    assert_eq!((first.attempt.attempt, second.attempt.attempt), (1, 2));
    // What the lost agent may still have said says nothing about the second attempt.
    agent.end(&first.attempt, Outcome::Exited { exit_code: 9 }).await;
    let runs = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(runs.body["state"], "running");
    agent.end(&second.attempt, Outcome::Exited { exit_code: 0 }).await;
    let done = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(done.body["executionInfo"]["exitCode"], 0);
    assert_eq!(done.body["executionInfo"]["result"], "success");
    let node = rig.get(&node).send().await.expect(200);
    assert_eq!((&node.body["state"], &node.body["totalTasksRun"]), (&json!("idle"), &json!(1)));
}

#[tokio::test]
async fn a_broken_link_loses_nothing() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 2 })).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.task("j", "known", json!({})).await;
    let known = agent.run().await;
    agent.unlink();
    // Assigned while nobody listens, and one of them ended by a client.
    rig.task("j", "unheard", json!({})).await;
    rig.until_state("/jobs/j/tasks/unheard", "running").await;
    rig.post("/jobs/j/tasks/known/terminate", &json!({})).send().await.expect(204);
    agent.running = vec![known.attempt.clone()];
    agent.relink().await;
    assert_eq!(agent.stop().await, known.attempt);
    let unheard = agent.run().await;
    assert_eq!((unheard.attempt.task_id.as_str(), unheard.attempt.attempt), ("unheard", 1));
    agent.end(&known.attempt, Outcome::Stopped).await;
    agent.end(&unheard.attempt, Outcome::Exited { exit_code: 0 }).await;
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200);
    assert_eq!(counts.body["taskCounts"]["succeeded"], 1);
    assert_eq!(counts.body["taskCounts"]["failed"], 1);
}

#[tokio::test]
async fn a_silent_agent_is_lost() {
    let mut rig = Rig::start_with(Duration::from_millis(400)).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    agents[0].run().await;
    // Its process lives, but says nothing any more: the node starts anew.
    let mut agent = rig.agent().await;
    agent.boot().await;
    assert_eq!(agent.run().await.attempt.attempt, 2);
}

#[tokio::test]
async fn an_agent_that_does_not_link_again_is_lost() {
    let mut rig = Rig::start_with(Duration::from_millis(400)).await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    agents[0].unlink();
    assert_eq!(rig.agent().await.prepare().await.boot, 2);
}

#[tokio::test]
async fn an_agent_that_does_not_link_after_a_restart_is_ended() {
    let mut rig = Rig::start_with(Duration::from_millis(400)).await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.stop_server().await;
    agents[0].unlink();
    rig.start_server().await;
    assert_eq!(rig.agent().await.prepare().await.boot, 2);
}

#[tokio::test]
async fn an_agent_that_never_makes_itself_known_is_ended() {
    // Longer than an agent must live for its node to be worth another one.
    let within = Duration::from_millis(3200);
    let mut rig = Rig::configured(move |config| config.hello_deadline = within).await;
    rig.post("/pools", &crate::rig::pool_body("p", 1)).send().await.expect(201);
    rig.started().await;
    let mut agent = rig.agent().await;
    assert_eq!(agent.boot().await.boot, 1);
    rig.until_state(&format!("/pools/p/nodes/{}", agent.node_id()), "idle").await;
}

#[tokio::test]
async fn nobody_speaks_for_a_node_without_its_secret() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let hello = |secret: &str| {
        let agent = &agents[0];
        FromAgent::Hello(Box::new(kiln_wire::node::Hello {
            protocol: kiln_wire::node::PROTOCOL,
            node_id: agent.node_id().to_owned(),
            link_secret: secret.to_owned(),
            agent_version: "0".to_owned(),
            incarnation: "stranger".to_owned(),
            isolation: "plain".to_owned(),
            boot: 0,
            running: Vec::new(),
        }))
    };
    let socket = agents[0].config.link_socket.clone();
    for secret in ["", "wrong"] {
        use kiln_wire::node::frames::{FrameReader, FrameWriter};
        let stream = tokio::net::UnixStream::connect(&socket).await.expect("linked");
        let (reader, writer) = stream.into_split();
        let mut writer = FrameWriter::new(writer);
        writer.messages(&[hello(secret)]).expect("a message");
        writer.flush().await.expect("sent");
        let said = FrameReader::new(reader).next::<kiln_wire::node::ToAgent>().await;
        assert!(!matches!(said, Ok(Some(_))), "{said:?}");
    }
    // The agent itself is not disturbed.
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agents[0].run_to(Outcome::Exited { exit_code: 0 }).await;
    rig.until_state("/jobs/j/tasks/t", "completed").await;
}

#[tokio::test]
async fn agents_that_end_at_once_leave_an_unusable_node() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &crate::rig::pool_body("p", 1)).send().await.expect(201);
    let agent = rig.agent().await;
    let path = format!("/pools/p/nodes/{}", agent.node_id());
    agent.die();
    // One may have met an accident.
    for _ in 1..AGENT_QUICK_ENDS_MAX {
        rig.agent().await.die();
    }
    let node = rig.until_state(&path, "unusable").await;
    assert_eq!(node["errors"][0]["code"], "AgentFailed");
    // Nor is one that never says a word started again and again.
    rig.post("/pools", &crate::rig::pool_body("q", 1)).send().await.expect(201);
    for _ in 0..AGENT_QUICK_ENDS_MAX {
        std::fs::remove_file(rig.started().await).expect("the agent lived");
    }
    rig.until("/pools/q/nodes", |it| it.body["value"][0]["state"] == "unusable").await;
}

#[tokio::test]
async fn a_node_that_can_not_boot_is_unusable() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &crate::rig::pool_body("p", 1)).send().await.expect(201);
    let mut agent = rig.agent().await;
    let boot = agent.prepare().await.boot;
    let (message, code, details) = ("no room".to_owned(), None, Vec::new());
    agent.report(Report::BootFailed { boot, message, code, details }).await;
    let node = rig.get(&format!("/pools/p/nodes/{}", agent.node_id())).send().await.expect(200);
    assert_eq!(node.body["state"], "unusable");
    assert_eq!(node.body["errors"][0]["message"], "no room");
}

#[tokio::test]
async fn a_node_that_breaks_gives_its_tasks_back() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let run = agents[0].run().await;
    let (code, message) = (Some("DiskFull".to_owned()), "no room".to_owned());
    let report = Report::BootFailed { boot: 1, message, code, details: Vec::new() };
    agents[0].report(report).await;
    assert_eq!(agents[0].stop().await, run.attempt);
    let node = rig.get(&format!("/pools/p/nodes/{}", agents[0].node_id())).send().await.body;
    assert_eq!(
        (&node["state"], &node["errors"][0]["code"]),
        (&json!("unusable"), &json!("DiskFull"))
    );
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(
        (&task["state"], &task["executionInfo"]["requeueCount"]),
        (&json!("active"), &json!(0))
    );
}

#[tokio::test]
async fn tasks_wait_for_the_start_task() {
    let mut rig = Rig::start().await;
    let start_task = json!({ "commandLine": "setup", "waitForSuccess": true });
    let mut agents = rig.pool("p", 2, json!({ "startTask": start_task })).await;
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let ended = |failure: Option<FailureInfo>| StartTaskRun {
        is_running: false,
        started_at: now(),
        ended_at: Some(now()),
        exit_code: Some(i32::from(failure.is_some())),
        failure,
        retry_count: 0,
        last_retry_at: None,
        is_final: true,
        container: None,
    };
    let nodes = rig.get("/pools/p/nodes").query("$select", "id,state").send().await.expect(200);
    assert_eq!(nodes.body["value"][0]["state"], "waitingforstarttask");
    let info = ended(Some(FailureInfo::exit_code()));
    agents[0].report(Report::StartTask { boot: 1, info }).await;
    let path = format!("/pools/p/nodes/{}", agents[0].node_id());
    let failed = rig.get(&path).send().await.expect(200).body;
    assert_eq!(failed["state"], "starttaskfailed");
    assert_eq!(failed["startTaskInfo"]["exitCode"], 1);
    assert_eq!(failed["startTaskInfo"]["failureInfo"]["code"], "FailureExitCode");
    let waits = rig.get("/jobs/j/tasks/t").send().await.expect(200);
    assert_eq!(waits.body["state"], "active");
    agents[1].report(Report::StartTask { boot: 1, info: ended(None) }).await;
    agents[1].run_to(Outcome::Exited { exit_code: 0 }).await;
}
