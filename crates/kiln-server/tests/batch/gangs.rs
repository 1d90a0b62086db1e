//! Tasks that run on several nodes at once.

use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::{AttemptKind, Outcome, Report, Run, ToAgent};
use serde_json::{Value, json};

use crate::rig::{Agent, Rig, now};

const EXITED_0: Outcome = Outcome::Exited { exit_code: 0 };
const EXITED_1: Outcome = Outcome::Exited { exit_code: 1 };
const TASK: &str = "/jobs/j/tasks/t";
const SUBTASKS: &str = "/jobs/j/tasks/t/subtasksinfo";

/// A pool of connected nodes and a job that runs there.
async fn connected(rig: &mut Rig, nodes: usize) -> Vec<Agent> {
    let agents = rig.pool("p", nodes, json!({ "enableInterNodeCommunication": true })).await;
    rig.job("j", "p").await;
    agents
}

/// Adds the task `t` with so many instances.
async fn gang(rig: &Rig, instances: usize, more: Value) {
    let mut body = json!({
        "commandLine": "main",
        "resourceFiles": [{ "httpUrl": "http://x/own", "filePath": "own" }],
        "multiInstanceSettings": {
            "numberOfInstances": instances,
            "coordinationCommandLine": "coordinate",
            "commonResourceFiles": [{ "httpUrl": "http://x/common", "filePath": "common" }],
        },
    });
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    rig.task("j", "t", body).await;
}

/// Takes the coordination commands of two nodes, and puts the primary first.
async fn begin(agents: &mut [Agent]) -> [Run; 2] {
    let (first, second) = (agents[0].run().await, agents[1].run().await);
    if number(&first) == 0 {
        return [first, second];
    }
    agents.swap(0, 1);
    [second, first]
}

fn number(run: &Run) -> u32 {
    match run.attempt.kind {
        AttemptKind::Subtask { number } => number,
        AttemptKind::Task | AttemptKind::Preparation | AttemptKind::Release => {
            unreachable!("no coordination command: {run:?}")
        }
    }
}

async fn coordinated(agent: &mut Agent, run: &Run) {
    agent.report(Report::Coordinated { attempt: run.attempt.clone(), at: now() }).await;
}

async fn states(rig: &Rig) -> Value {
    let list = rig.get(SUBTASKS).send().await.expect(200).body;
    let subtasks = list["value"].as_array().expect("subtasks").iter();
    subtasks.map(|it| it["state"].clone()).collect()
}

async fn running_tasks(rig: &Rig, agents: &[Agent]) -> Vec<Value> {
    let mut counts = Vec::new();
    for agent in agents {
        let node = rig.get(&format!("/pools/p/nodes/{}", agent.node_id())).send().await.expect(200);
        counts.push(node.body["runningTasksCount"].clone());
    }
    counts
}

#[tokio::test]
async fn the_main_command_runs_once_all_nodes_have_coordinated() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({})).await;
    let [primary, other] = begin(&mut agents).await;
    for (run, number, directory) in [(&primary, 0, ""), (&other, 1, "/1")] {
        assert_eq!(run.task.command_line, "coordinate");
        assert_eq!(run.directory, format!("workitems/j/job-1/t{directory}"));
        let instance = run.instance.as_ref().expect("an instance");
        assert_eq!(instance.number, number);
        assert_eq!(instance.shared_directory, "workitems/j/job-1/t");
        assert_eq!(instance.common_resource_files.len(), 1);
        assert_eq!(run.task.resource_files.len(), usize::from(number == 0), "the primary's own");
        assert_eq!(instance.addresses.len(), 2);
        assert_ne!(instance.addresses[0], instance.addresses[1]);
    }
    assert_eq!(rig.get(TASK).send().await.body["state"], "running");
    assert_eq!(running_tasks(&rig, &agents).await, [1, 1]);
    coordinated(&mut agents[0], &primary).await;
    coordinated(&mut agents[1], &other).await;
    let main = agents[0].run().await;
    assert_eq!((main.attempt.kind, main.task.command_line.as_str()), (AttemptKind::Task, "main"));
    assert_eq!(main.directory, "workitems/j/job-1/t");
    assert_eq!(main.task.resource_files, [], "they are there already");
    assert_eq!(states(&rig).await, json!(["running"]));
    agents[0].end(&main.attempt, EXITED_0).await;
    assert_eq!(agents[0].stop().await, primary.attempt);
    assert_eq!(agents[1].stop().await, other.attempt);
    agents[1].end(&other.attempt, Outcome::Stopped).await;
    let task = rig.get(TASK).send().await.expect(200).body;
    assert_eq!(
        (&task["state"], &task["executionInfo"]["exitCode"]),
        (&json!("completed"), &json!(0))
    );
    assert_eq!(task["nodeInfo"]["nodeId"], agents[0].node_id());
    assert_eq!(running_tasks(&rig, &agents).await, [0, 0]);
    let list = rig.get(SUBTASKS).send().await.expect(200).body;
    assert_eq!(list["odata.metadata"], format!("{}/$metadata#subtaskinfo", rig.url()));
    let subtask = &list["value"][0];
    assert_eq!((&subtask["id"], &subtask["exitCode"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&subtask["state"], &subtask["previousState"]),
        (&json!("completed"), &json!("running"))
    );
    assert_eq!(subtask["result"], "success");
    assert_eq!(subtask["nodeInfo"]["nodeId"], agents[1].node_id());
    assert_eq!(subtask["nodeInfo"]["taskRootDirectory"], "workitems/j/job-1/t/1");
    assert!(subtask["startTime"].is_string() && subtask["endTime"].is_string());
    rig.delete(TASK).send().await.expect(200);
    for agent in &mut agents {
        let removed = agent.expect("an order to remove files", |message| {
            if let ToAgent::RemoveDirectory { path } = message { Some(path.clone()) } else { None }
        });
        assert_eq!(removed.await, "workitems/j/job-1/t");
    }
}

#[tokio::test]
async fn a_failed_coordination_command_fails_the_task_after_its_retries() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({ "constraints": { "maxTaskRetryCount": 1 } })).await;
    for attempt in [1, 2] {
        let [primary, other] = begin(&mut agents).await;
        assert_eq!(primary.attempt.attempt, attempt);
        coordinated(&mut agents[0], &primary).await;
        agents[1].end(&other.attempt, EXITED_1).await;
        assert_eq!(agents[0].stop().await, primary.attempt);
        // What it says of its own end comes late.
        agents[0].end(&primary.attempt, Outcome::Stopped).await;
    }
    let task = rig.get(TASK).send().await.expect(200).body;
    let info = &task["executionInfo"];
    assert_eq!((&task["state"], &info["retryCount"]), (&json!("completed"), &json!(1)));
    assert_eq!(
        (&info["exitCode"], &info["failureInfo"]["code"]),
        (&json!(1), &json!("FailureExitCode"))
    );
    let subtask = rig.get(SUBTASKS).send().await.expect(200).body["value"][0].clone();
    assert_eq!((&subtask["exitCode"], &subtask["result"]), (&json!(1), &json!("failure")));
    assert_eq!(running_tasks(&rig, &agents).await, [0, 0]);
}

#[tokio::test]
async fn common_files_that_can_not_be_had_end_the_task_at_once() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({ "constraints": { "maxTaskRetryCount": 5 } })).await;
    let [_, other] = begin(&mut agents).await;
    let failure = FailureInfo::user_error("BlobNotFound", "");
    agents[1].end(&other.attempt, Outcome::NotStarted { failure }).await;
    let task = rig.get(TASK).send().await.expect(200).body;
    assert_eq!(task["executionInfo"]["failureInfo"]["code"], "BlobNotFound");
}

#[tokio::test]
async fn a_lost_node_restarts_the_whole_task() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({})).await;
    let [primary, other] = begin(&mut agents).await;
    coordinated(&mut agents[0], &primary).await;
    coordinated(&mut agents[1], &other).await;
    let main = agents[0].run().await;
    agents.remove(1).die();
    let stopped = [agents[0].stop().await, agents[0].stop().await];
    assert!(stopped.contains(&main.attempt) && stopped.contains(&primary.attempt), "{stopped:?}");
    let task = rig.until_state(TASK, "active").await;
    assert_eq!(
        (&task["executionInfo"]["requeueCount"], &task["executionInfo"]["retryCount"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(states(&rig).await, json!([]));
    let mut again = rig.agent().await;
    again.boot().await;
    agents.push(again);
    let [primary, other] = begin(&mut agents).await;
    assert_eq!((primary.attempt.attempt, other.attempt.attempt), (2, 2));
}

#[tokio::test]
async fn a_node_that_leaves_takes_the_whole_task_along() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({})).await;
    let [_, other] = begin(&mut agents).await;
    let body = json!({ "nodeList": [agents[0].node_id()], "nodeDeallocationOption": "requeue" });
    rig.post("/pools/p/removenodes", &body).send().await.expect(202);
    agents.remove(0).leave().await;
    assert_eq!(agents[0].stop().await, other.attempt);
    let task = rig.until_state(TASK, "active").await;
    assert_eq!(task["executionInfo"]["requeueCount"], 1);
    assert_eq!(running_tasks(&rig, &agents).await, [0]);
    rig.until(&format!("/pools/p/nodes/{}", agents[0].node_id()), |it| it.body["state"] == "idle")
        .await;
    // Nodes that leave together free it once.
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 2 })).send().await.expect(202);
    agents.extend(rig.ready(1).await);
    begin(&mut agents).await;
    let ids: Vec<_> = agents.iter().map(Agent::node_id).collect();
    let body = json!({ "nodeList": ids, "nodeDeallocationOption": "requeue" });
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    rig.post("/pools/p/removenodes", &body).send().await.expect(202);
    for agent in agents {
        agent.leave().await;
    }
    let task = rig.until_state(TASK, "active").await;
    assert_eq!(task["executionInfo"]["requeueCount"], 2);
}

#[tokio::test]
async fn a_terminated_task_ends_on_all_its_nodes() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({})).await;
    let [primary, other] = begin(&mut agents).await;
    coordinated(&mut agents[0], &primary).await;
    rig.post(&format!("{TASK}/terminate"), &json!({})).send().await.expect(204);
    assert_eq!(agents[0].stop().await, primary.attempt);
    assert_eq!(agents[1].stop().await, other.attempt);
    assert_eq!(running_tasks(&rig, &agents).await, [0, 0]);
    let subtask = rig.get(SUBTASKS).send().await.expect(200).body["value"][0].clone();
    assert_eq!(subtask["failureInfo"]["code"], "TaskEnded");
    // The nodes are free for others.
    rig.task("j", "next", json!({})).await;
    rig.until_state("/jobs/j/tasks/next", "running").await;
}

#[tokio::test]
async fn a_multi_instance_task_waits_for_a_pool_that_connects_its_nodes() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 2, json!({})).await;
    rig.job("j", "p").await;
    gang(&rig, 2, json!({})).await;
    rig.task("j", "other", json!({})).await;
    let first = rig.until_state("/jobs/j/tasks/other", "running").await;
    assert!(first["nodeInfo"].is_object());
    assert_eq!(rig.get(TASK).send().await.body["state"], "active");
    assert_eq!(states(&rig).await, json!([]));
    agents.clear();
}

#[tokio::test]
async fn all_instances_start_together_or_none() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    rig.task("j", "first", json!({})).await;
    let busy = rig.until_state("/jobs/j/tasks/first", "running").await;
    gang(&rig, 2, json!({})).await;
    let is_busy = |agent: &Agent| busy["nodeInfo"]["nodeId"] == agent.node_id();
    let at = agents.iter().position(is_busy).expect("a node");
    let run = agents[at].run().await;
    assert_eq!(rig.get(TASK).send().await.body["state"], "active");
    agents[at].end(&run.attempt, EXITED_0).await;
    begin(&mut agents).await;
}

#[tokio::test]
async fn instances_wait_until_all_their_nodes_are_prepared() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 2, json!({ "enableInterNodeCommunication": true })).await;
    let body = json!({ "id": "j", "poolInfo": { "poolId": "p" },
                       "jobPreparationTask": { "commandLine": "prepare" } });
    rig.post("/jobs", &body).send().await.expect(201);
    gang(&rig, 2, json!({})).await;
    let mut preparations = Vec::new();
    for agent in &mut agents {
        preparations.push(agent.run().await);
    }
    assert!(preparations.iter().all(|it| it.attempt.kind == AttemptKind::Preparation));
    assert_eq!(rig.get(TASK).send().await.body["state"], "preparing");
    agents[0].end(&preparations[0].attempt, EXITED_0).await;
    let first = agents[0].run().await;
    assert_eq!(first.task.command_line, "coordinate");
    assert_eq!(rig.get(TASK).send().await.body["state"], "preparing");
    // A node that can not be prepared sends all instances back.
    agents[1].end(&preparations[1].attempt, EXITED_1).await;
    assert_eq!(agents[0].stop().await, first.attempt);
    assert_eq!(rig.get(TASK).send().await.body["state"], "active");
    assert_eq!(running_tasks(&rig, &agents).await, [0, 0]);
    rig.post("/pools/p/resize", &json!({ "targetDedicatedNodes": 3 })).send().await.expect(202);
    let mut third = rig.ready(1).await.remove(0);
    assert_eq!(third.run_to(EXITED_0).await.attempt.kind, AttemptKind::Preparation);
    let (again, last) = (agents[0].run().await, third.run().await);
    assert_eq!((again.attempt.attempt, last.attempt.attempt), (2, 2));
    assert_eq!(rig.get(TASK).send().await.body["state"], "running");
}

#[tokio::test]
async fn instances_outlive_the_server() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({})).await;
    let [primary, other] = begin(&mut agents).await;
    coordinated(&mut agents[0], &primary).await;
    agents[0].running = vec![primary.attempt.clone()];
    agents[1].running = vec![other.attempt.clone()];
    restart(&mut rig, &mut agents).await;
    // Orders are repeated, under the same numbers.
    assert_eq!(agents[0].run().await.attempt, primary.attempt);
    assert_eq!(agents[1].run().await.attempt, other.attempt);
    coordinated(&mut agents[1], &other).await;
    let main = agents[0].run().await;
    assert_eq!(main.attempt.kind, AttemptKind::Task);
    restart(&mut rig, &mut agents).await;
    let repeated = [agents[0].run().await.attempt, agents[0].run().await.attempt];
    assert!(repeated.contains(&main.attempt) && repeated.contains(&primary.attempt));
    agents[0].end(&main.attempt, EXITED_0).await;
    assert_eq!(agents[1].stop().await, other.attempt);
    restart(&mut rig, &mut agents).await;
    // It ended while the server was away, and must not go on.
    assert_eq!(agents[1].stop().await, other.attempt);
    assert_eq!(rig.get(TASK).send().await.body["state"], "completed");
}

async fn restart(rig: &mut Rig, agents: &mut [Agent]) {
    rig.stop_server().await;
    for agent in &mut *agents {
        agent.unlink();
    }
    rig.start_server().await;
    for agent in agents {
        agent.relink().await;
    }
}

#[tokio::test]
async fn what_a_multi_instance_task_may_ask_for() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 1).await;
    let add = |settings: Value, slots: u32| {
        let body = json!({ "id": "t", "commandLine": "main", "requiredSlots": slots,
                           "multiInstanceSettings": settings });
        rig.post("/jobs/j/tasks", &body)
    };
    let of =
        |instances: i32| json!({ "numberOfInstances": instances, "coordinationCommandLine": "c" });
    add(of(2), 2).send().await.refuses(400, "InvalidPropertyValue");
    add(of(0), 1).send().await.refuses(400, "InvalidPropertyValue");
    add(of(101), 1).send().await.refuses(400, "InvalidPropertyValue");
    add(json!({ "numberOfInstances": 1 }), 1).send().await.refuses(400, "MissingRequiredProperty");
    // One instance coordinates too.
    add(json!({ "coordinationCommandLine": "c" }), 1).send().await.expect(201);
    let shown = rig.get(TASK).send().await.expect(200).body;
    assert_eq!(shown["multiInstanceSettings"]["numberOfInstances"], 1);
    let only = agents[0].run().await;
    assert_eq!((number(&only), only.task.command_line.as_str()), (0, "c"));
    coordinated(&mut agents[0], &only).await;
    assert_eq!(agents[0].run_to(EXITED_0).await.task.command_line, "main");
    assert_eq!(states(&rig).await, json!([]), "the primary is no subtask");
    // Old clients need not say how instances coordinate.
    let old = json!({ "id": "old", "commandLine": "main",
                      "multiInstanceSettings": { "numberOfInstances": 1 } });
    let added = rig.post("/jobs/j/tasks", &old).version("2016-07-01.3.1").send().await;
    added.expect(201);
    assert_eq!(agents[0].run().await.task.command_line, "true");
}

#[tokio::test]
async fn subtasks_are_listed_in_every_version() {
    let mut rig = Rig::start().await;
    let mut agents = connected(&mut rig, 2).await;
    gang(&rig, 2, json!({})).await;
    let [_, other] = begin(&mut agents).await;
    agents[1].end(&other.attempt, EXITED_1).await;
    for version in ["2016-07-01.3.1", "2019-08-01.10.0", "2025-06-01"] {
        let list = rig.get(SUBTASKS).version(version).send().await.expect(200).body;
        let subtask = &list["value"][0];
        let is_old = version == "2016-07-01.3.1";
        assert_eq!(
            (subtask.get("failureInfo").is_none(), &subtask["exitCode"]),
            (is_old, &json!(1))
        );
        assert_eq!(list.get("odata.nextLink"), None);
    }
    rig.get("/jobs/j/tasks/none/subtasksinfo").send().await.refuses(404, "TaskNotFound");
}
