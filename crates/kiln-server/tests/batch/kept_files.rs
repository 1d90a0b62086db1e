//! Files of tasks whose nodes are gone.

use std::path::{Path, PathBuf};

use kiln_server::config::KeptFilesConfig;
use kiln_wire::node::{FileAnswer, FileRefusal, FromAgent, Outcome, ToAgent};
use serde_json::json;

use crate::rig::{Agent, Rig};

const DONE: Outcome = Outcome::Exited { exit_code: 0 };
const FILES: &str = "/jobs/j/tasks/t/files";

/// Writes what a task would have left on its node.
fn leave_files(agent: &Agent, task: &str, n_bytes: usize) {
    let directory = agent.directory().join("tasks/workitems/j/job-1").join(task);
    std::fs::create_dir_all(directory.join("wd")).expect("made");
    std::fs::write(directory.join("stdout.txt"), "hello\n").expect("written");
    std::fs::write(directory.join("wd/result"), vec![b'x'; n_bytes]).expect("written");
    let out = directory.join("wd/out");
    std::os::unix::fs::symlink("/etc/hostname", out).expect("linked");
}

/// Directories of tasks that are kept.
fn kept(rig: &Rig) -> Vec<PathBuf> {
    let below = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut kept: Vec<_> = below(rig.data().join("kept"))
        .flat_map(|node| below(node.path().join("workitems/j/job-1")))
        .map(|task| task.path())
        .collect();
    kept.sort();
    kept
}

fn names(kept: &[PathBuf]) -> Vec<&str> {
    kept.iter().filter_map(|it| it.file_name()?.to_str()).collect()
}

/// Waits until exactly these tasks' files are kept, and nothing else is looked through.
async fn until_kept(rig: &Rig, expected: &[&str]) {
    rig.until("/jobs/j", |_| names(&kept(rig)) == expected).await;
}

/// A task that completed on the only node of a pool, with files there.
async fn ended_task(rig: &mut Rig, more: serde_json::Value) -> Agent {
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    rig.job("j", "p").await;
    rig.task("j", "t", more).await;
    agent.run_to(DONE).await;
    leave_files(&agent, "t", 10);
    agent
}

async fn delete_pool(rig: &Rig, agent: Agent) {
    rig.delete("/pools/p").send().await.expect(202);
    agent.leave().await;
    rig.until("/pools/p", |it| it.status == 404).await;
}

#[tokio::test]
async fn files_of_a_task_outlive_its_pool() {
    let mut rig = Rig::start().await;
    let agent = ended_task(&mut rig, json!({})).await;
    let node = agent.directory();
    delete_pool(&rig, agent).await;
    let list = rig.get(FILES).query("recursive", "true").send().await.expect(200).body;
    let found: Vec<_> = list["value"].as_array().expect("a list").iter().collect();
    let found: Vec<_> = found.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(found, ["stdout.txt", "wd", "wd/out", "wd/result"]);
    let whole = rig.get(&format!("{FILES}/stdout.txt")).send().await.expect(200);
    assert_eq!(&whole.bytes[..], b"hello\n");
    let part = rig.get(&format!("{FILES}/stdout.txt")).header("ocp-range", "bytes=1-3");
    assert_eq!(&part.send().await.expect(200).bytes[..], b"ell");
    let beyond = rig.get(&format!("{FILES}/stdout.txt")).header("ocp-range", "bytes=6-");
    beyond.send().await.refuses(416, "InvalidRange");
    let head = rig.head(&format!("{FILES}/wd/result")).send().await.expect(200);
    assert_eq!(head.header("content-length"), Some("10"));
    for other in ["none", "wd/out", "wd/out/more"] {
        rig.get(&format!("{FILES}/{other}")).send().await.refuses(404, "FileNotFound");
    }
    rig.delete(&format!("{FILES}/wd/result")).send().await.expect(200);
    rig.head(&format!("{FILES}/wd/result")).send().await.expect(404);
    assert!(!node.exists(), "the rest of the node is gone");
    // They are still there for the next server, and go with the task.
    rig.stop_server().await;
    rig.start_server().await;
    rig.get(&format!("{FILES}/stdout.txt")).send().await.expect(200);
    rig.delete("/jobs/j/tasks/t").send().await.expect(200);
    until_kept(&rig, &[]).await;
    rig.until("/jobs/j", |_| is_empty(&rig.data().join("kept"))).await;
}

fn is_empty(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

#[tokio::test]
async fn files_are_kept_from_a_node_whose_agent_died_while_it_left() {
    let mut rig = Rig::start().await;
    let mut agent = ended_task(&mut rig, json!({})).await;
    rig.task("j", "again", json!({})).await;
    agent.run().await;
    leave_files(&agent, "again", 10);
    rig.delete("/pools/p").send().await.expect(202);
    agent.die();
    rig.until("/pools/p", |it| it.status == 404).await;
    // What ran there runs again elsewhere, and needs nothing of it.
    until_kept(&rig, &["t"]).await;
    rig.get(&format!("{FILES}/stdout.txt")).send().await.expect(200);
    // Another task of the name has no files yet.
    rig.get("/jobs/j/tasks/again/files").send().await.expect(409);
}

#[tokio::test]
async fn files_of_a_job_go_with_it() {
    let mut rig = Rig::start().await;
    let agent = ended_task(&mut rig, json!({})).await;
    delete_pool(&rig, agent).await;
    until_kept(&rig, &["t"]).await;
    rig.delete("/jobs/j").send().await.expect(202);
    rig.until("/jobs/j", |it| it.status == 404).await;
    until_kept(&rig, &[]).await;
}

#[tokio::test]
async fn a_reimaged_node_keeps_the_files_of_its_tasks_elsewhere() {
    let mut rig = Rig::start().await;
    let agent = ended_task(&mut rig, json!({})).await;
    let node = format!("/pools/p/nodes/{}", agent.node_id());
    rig.post(&format!("{node}/reimage"), &json!({})).send().await.expect(202);
    agent.leave().await;
    let mut agent = rig.ready(1).await.remove(0);
    assert!(!agent.directory().join("tasks/workitems").exists());
    // The new agent is asked first, and knows nothing of it.
    let path = format!("{FILES}/stdout.txt");
    let asked = rig.get(&path).send();
    let answered = async {
        let stream = agent.expect("a question", stream_of);
        let (stream, answer) = (stream.await, Err(FileRefusal::NotFound));
        agent.say(&[FromAgent::Files { stream, answer }]).await;
    };
    let (reply, ()) = tokio::join!(asked, answered);
    assert_eq!(&reply.expect(200).bytes[..], b"hello\n");
    // A node that has them answers itself.
    let asked = rig.get(FILES).send();
    let answered = async {
        let stream = agent.expect("a question", stream_of);
        let (stream, answer) = (stream.await, Ok(FileAnswer::List { files: Vec::new() }));
        agent.say(&[FromAgent::Files { stream, answer }]).await;
    };
    let (reply, ()) = tokio::join!(asked, answered);
    assert_eq!(reply.expect(200).body["value"], json!([]));
}

#[tokio::test]
async fn kept_files_go_when_their_time_is_over() {
    let mut rig = Rig::start().await;
    let short = json!({ "constraints": { "retentionTime": "PT8S" } });
    let agent = ended_task(&mut rig, short).await;
    delete_pool(&rig, agent).await;
    rig.get(FILES).send().await.expect(200);
    rig.until(FILES, |it| it.status == 409).await.refuses(409, "TaskFilesCleanedup");
    until_kept(&rig, &[]).await;
}

#[tokio::test]
async fn the_oldest_kept_files_make_room() {
    let limits = KeptFilesConfig { bytes_max: 300_000, task_bytes_max: 200_000 };
    let mut rig = Rig::configured(move |config| config.kept_files = limits).await;
    let mut agent = rig.pool("p", 1, json!({})).await.remove(0);
    rig.job("j", "p").await;
    for (task, n_bytes) in [("old", 150_000), ("large", 400_000), ("new", 150_000)] {
        rig.task("j", task, json!({})).await;
        agent.run_to(DONE).await;
        leave_files(&agent, task, n_bytes);
    }
    delete_pool(&rig, agent).await;
    until_kept(&rig, &["large", "new"]).await;
    // What was too large for one task has kept what it printed.
    rig.get("/jobs/j/tasks/large/files/stdout.txt").send().await.expect(200);
    rig.head("/jobs/j/tasks/large/files/wd/result").send().await.expect(404);
    rig.head("/jobs/j/tasks/new/files/wd/result").send().await.expect(200);
    rig.get("/jobs/j/tasks/old/files").send().await.refuses(409, "TaskFilesUnavailable");
}

#[tokio::test]
async fn nothing_is_kept_where_there_is_no_room_for_it() {
    let limits = KeptFilesConfig { bytes_max: 0, ..KeptFilesConfig::default() };
    let mut rig = Rig::configured(move |config| config.kept_files = limits).await;
    let agent = ended_task(&mut rig, json!({})).await;
    delete_pool(&rig, agent).await;
    rig.get(FILES).send().await.refuses(409, "TaskFilesUnavailable");
    assert!(is_empty(&rig.data().join("kept")));
}

/// As a server leaves it that was killed at one moment or another of a node's end.
#[tokio::test]
async fn a_server_goes_on_where_the_last_one_was_killed() {
    let mut rig = Rig::start().await;
    let agent = ended_task(&mut rig, json!({})).await;
    rig.delete("/pools/p").send().await.expect(202);
    rig.until_state("/pools/p", "deleting").await;
    rig.stop_server().await;
    // Nobody saw the agent end; what nobody named any more lies about.
    agent.die();
    std::fs::create_dir_all(rig.data().join("kept/4000/workitems/j/job-1/t")).expect("made");
    std::fs::create_dir_all(rig.data().join("trash/7/deep")).expect("made");
    rig.start_server().await;
    rig.until("/pools/p", |it| it.status == 404).await;
    rig.get(&format!("{FILES}/stdout.txt")).send().await.expect(200);
    until_kept(&rig, &["t"]).await;
    rig.until("/jobs/j", |_| is_empty(&rig.data().join("trash"))).await;
}

fn stream_of(message: &ToAgent) -> Option<u64> {
    if let ToAgent::Files { stream, .. } = message { Some(*stream) } else { None }
}
