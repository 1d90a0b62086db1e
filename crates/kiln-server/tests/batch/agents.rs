//! Agents of another release, and agents that were given up and come back.

use std::time::Duration;

use kiln_wire::node::{FromAgent, Outcome, PROTOCOL_OLDEST, Report, ToAgent};
use serde_json::json;

use crate::rig::{Rig, now};

const DONE: Outcome = Outcome::Exited { exit_code: 0 };

#[tokio::test]
async fn a_newer_server_goes_on_with_an_agent_of_the_release_before() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let run = agent.run().await;
    rig.stop_server().await;
    agent.unlink();
    rig.start_server().await;
    agent.protocol = PROTOCOL_OLDEST;
    agent.running = vec![run.attempt.clone()];
    let welcome = agent.try_relink().await;
    assert!(
        matches!(welcome, Some(ToAgent::Welcome { protocol: PROTOCOL_OLDEST, .. })),
        "{welcome:?}"
    );
    agent.end(&run.attempt, DONE).await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!((&task["state"], agent.boot), (&json!("completed"), 1));
}

#[tokio::test]
async fn an_agent_that_is_too_old_is_told_so_and_replaced() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agent.run().await;
    rig.stop_server().await;
    agent.unlink();
    rig.start_server().await;
    agent.protocol = PROTOCOL_OLDEST - 1;
    let refused = agent.try_relink().await;
    let Some(ToAgent::Refused { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("version 0 of the messages"), "{reason}");
    let mut next = rig.agent().await;
    assert_eq!(next.boot().await.boot, 2);
    assert_eq!(next.run().await.attempt.attempt, 2);
    assert_eq!(next.node_id(), agent.node_id());
}

#[tokio::test]
async fn a_stranger_can_not_have_an_agent_replaced() {
    let mut rig = Rig::start().await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    let secret = std::mem::replace(&mut agent.config.link_secret, "guessed".to_owned());
    agent.protocol = PROTOCOL_OLDEST - 1;
    assert!(agent.try_relink().await.is_none());
    agent.config.link_secret = secret;
    agent.protocol = PROTOCOL_OLDEST;
    agent.relink().await;
}

/// What happens to an agent that stands still for too long, and to what it says afterwards.
#[tokio::test]
async fn a_lost_agent_that_comes_back_is_not_heard() {
    let mut rig = Rig::start_with(Duration::from_millis(1500)).await;
    let mut lost = rig.pool("p", 1, json!({})).await.remove(0);
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    let first = lost.run().await;
    // Silent from here on: its process is killed, and another one takes its node.
    let mut agent = rig.agent().await;
    let signs_of_life = FromAgent::Heartbeat { measured: None };
    agent.boot().await;
    let second = agent.run().await;
    assert_eq!((first.attempt.attempt, second.attempt.attempt), (1, 2));
    assert!(lost.try_relink().await.is_none(), "it proves nothing any more");
    agent.say(std::slice::from_ref(&signs_of_life)).await;
    // Nor would a report about its run be taken from anyone else.
    let (attempt, outcome) = (first.attempt, Outcome::Exited { exit_code: 9 });
    agent.report(Report::Ended { attempt, at: now(), outcome, usage: None, container: None }).await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(task["state"], "running");
    agent.end(&second.attempt, DONE).await;
    let task = rig.get("/jobs/j/tasks/t").send().await.expect(200).body;
    assert_eq!(
        (&task["state"], &task["executionInfo"]["exitCode"]),
        (&json!("completed"), &json!(0))
    );
    assert_eq!(task["executionInfo"]["requeueCount"], 0);
}
