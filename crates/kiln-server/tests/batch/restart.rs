//! A server that ends and starts again on what it left.

use kiln_wire::node::{FromAgent, Outcome, Report};
use serde_json::json;

use crate::rig::{Rig, now};

#[tokio::test]
async fn nothing_is_lost_between_two_servers() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({ "taskSlotsPerNode": 3 })).await;
    let mut agent = agents.remove(0);
    rig.job("j", "p").await;
    rig.tasks("j", 5).await;
    let (first, second, third) = (agent.run().await, agent.run().await, agent.run().await);
    agent.end(&first.attempt, Outcome::Exited { exit_code: 0 }).await;
    let fourth = agent.run().await;
    let before = rig.get("/jobs/j/tasks/t00000").send().await.expect(200).body;
    rig.stop_server().await;
    agent.unlink();

    rig.start_server().await;
    // Ended meanwhile, twice told, and told again together with what was told before.
    agent.running = vec![third.attempt.clone(), fourth.attempt.clone()];
    agent.relink().await;
    let ended = |number, attempt: &kiln_wire::node::AttemptId, exit_code| FromAgent::Report {
        number,
        report: Box::new(Report::Ended {
            attempt: attempt.clone(),
            at: now(),
            outcome: Outcome::Exited { exit_code },
            usage: None,
            container: None,
        }),
    };
    let number = agent.number;
    let reports = [
        ended(number, &first.attempt, 0),
        ended(number + 1, &second.attempt, 1),
        ended(number + 1, &second.attempt, 1),
    ];
    agent.say(&reports).await;
    agent.acknowledged(number + 1).await;
    agent.number = number + 1;
    let after = rig.get("/jobs/j/tasks/t00000").send().await.expect(200).body;
    assert_eq!(after["executionInfo"], before["executionInfo"]);
    assert_eq!(after["eTag"], before["eTag"]);
    // The repeated orders are about attempts that the agent has; then comes the last task.
    let mut orders: Vec<_> = Vec::new();
    while !orders.iter().any(|it: &String| it.starts_with("t00004")) {
        let run = agent.run().await;
        orders.push(format!("{} {}", run.attempt.task_id, run.attempt.attempt));
    }
    assert!(orders.iter().all(|it| it.ends_with(" 1")), "{orders:?}");
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    let expected =
        json!({ "active": 0, "running": 3, "completed": 2, "succeeded": 1, "failed": 1 });
    assert_eq!(counts["taskCounts"], expected);
    let node = rig.get(&format!("/pools/p/nodes/{}", agent.node_id())).send().await.body;
    assert_eq!((&node["runningTasksCount"], &node["totalTasksRun"]), (&json!(3), &json!(2)));
    assert_eq!(agent.boot, 1);
    agent.end(&third.attempt, Outcome::Exited { exit_code: 0 }).await;
    // New tasks come after those there were.
    rig.task("j", "new", json!({})).await;
    assert_eq!(agent.run().await.attempt.task_id, "new");
}

#[tokio::test]
async fn an_agent_that_died_meanwhile_is_started_again() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let mut agent = agents.remove(0);
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agent.run().await;
    rig.stop_server().await;
    agent.die();
    rig.start_server().await;
    let mut agent = rig.agent().await;
    assert_eq!(agent.boot().await.boot, 2);
    assert_eq!(agent.run().await.attempt.attempt, 2);
}

#[tokio::test]
async fn what_was_being_deleted_is_deleted() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    rig.job("j", "p").await;
    rig.tasks("j", 3).await;
    agents[0].run().await;
    let deleting = rig.delete("/pools/p").send();
    let seen = rig.until_state("/pools/p", "deleting");
    let (deleted, _) = tokio::join!(deleting, seen);
    deleted.expect(202);
    rig.stop_server().await;
    rig.start_server().await;
    // The agent of a node that leaves is not waited for.
    rig.until("/pools/p", |it| it.status == 404).await;
    assert!(!agents[0].lives());
    let counts = rig.get("/jobs/j/taskcounts").send().await.expect(200).body;
    assert_eq!(counts["taskCounts"]["active"], 3);
}
