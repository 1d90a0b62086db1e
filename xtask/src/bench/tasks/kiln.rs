//! A Kiln with a node of this machine, and the tasks that it runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Setting, now, pause, process};
use crate::bench::batch::Batch;
use crate::program;

/// Tasks of one request, as many as the service takes.
const TASKS_PER_REQUEST: usize = 100;
/// Connections that add tasks.
const N_ADDING: usize = 4;
/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks at something that takes a while, and at something that is quick.
const LOOK_EACH: Duration = Duration::from_millis(20);
const LOOK_SOON: Duration = Duration::from_micros(500);

/// Microseconds of processor for each task, by who spent them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) server_us: f64,
    pub(super) agent_us: f64,
    pub(super) init_us: f64,
}

/// A Kiln that runs, until this is dropped.
pub(super) struct Kiln {
    pub(super) port: u16,
    /// From its start to the moment in which it was ready.
    pub(super) ready_in: Duration,
    child: Child,
    root: PathBuf,
}

impl Kiln {
    /// Starts it with its data in `folder` and waits until it is ready.
    pub(super) fn start(kiln: &Path, folder: &Path) -> Result<Self, String> {
        let ready = folder.join("ready.json");
        let mut command = program::command(kiln, folder);
        command
            .args(["up", "--batch-listen", "127.0.0.1:0", "--blob-listen", "127.0.0.1:0"])
            .args(["--log", "error", "--durability", "full", "--isolation", "namespaces"])
            .arg("--data")
            .arg(folder.join("kiln"))
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::null());
        let begun_at = now();
        let child = command.spawn().map_err(|cause| format!("did not start: {cause}"))?;
        let root = folder.to_owned();
        let mut kiln = Self { port: 0, ready_in: Duration::ZERO, child, root };
        let text = until(LOOK_SOON, || Ok(std::fs::read_to_string(&ready).ok()))?;
        kiln.ready_in = begun_at.elapsed();
        let endpoints: Value = serde_json::from_str(&text).map_err(|cause| cause.to_string())?;
        let port = endpoints.get("batchUrl").and_then(Value::as_str).and_then(|url| {
            url.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse().ok())
        });
        kiln.port = port.ok_or_else(|| format!("no endpoint in {text}"))?;
        Ok(kiln)
    }

    /// A connection.
    pub(super) fn connect(&self) -> Result<Batch, String> {
        Batch::connect(self.port)
    }

    /// Adds a pool and waits until its nodes are ready; how long that took.
    pub(super) fn add_pool(
        &self,
        id: &str,
        n_nodes: usize,
        n_slots: usize,
    ) -> Result<Duration, String> {
        let mut batch = self.connect()?;
        let begun_at = now();
        batch.post("/pools", &pool(id, n_nodes, n_slots))?;
        until(LOOK_EACH, || {
            let nodes = batch.get(&format!("/pools/{id}/nodes"))?;
            let nodes = nodes.get("value").and_then(Value::as_array);
            let states = nodes.into_iter().flatten().filter_map(|it| it.get("state"));
            Ok((states.filter(|it| *it == "idle").count() == n_nodes).then_some(()))
        })?;
        Ok(begun_at.elapsed())
    }

    /// Its processes: the server's, then those of its nodes.
    pub(super) fn processes(&self) -> Vec<u32> {
        process::tree(self.child.id())
    }
}

impl Drop for Kiln {
    fn drop(&mut self) {
        // Agents would go on without their server; the first processes of nodes end with them.
        let pids = self.processes().into_iter().map(|pid| pid.to_string());
        let mut kill = program::command("kill", &self.root);
        drop(program::run_quietly(kill.arg("-KILL").args(pids)));
        drop(self.child.wait());
    }
}

/// Runs the tasks on a fresh Kiln: tasks of a second, and what they took of the processors.
/// `watch` is told of its processes before.
pub(super) fn tasks(
    setting: &Setting<'_>,
    folder: &Path,
    watch: impl FnOnce(&[u32]) -> Result<(), String>,
) -> Result<(f64, Effort), String> {
    let n_tasks = setting.extent.n_tasks;
    let kiln = Kiln::start(&setting.kiln, folder)?;
    kiln.add_pool("bench", 1, setting.extent.n_slots)?;
    let mut batch = kiln.connect()?;
    batch.post("/jobs", &json!({ "id": "bench", "poolInfo": { "poolId": "bench" } }))?;
    let ids: Vec<String> = (0..n_tasks).map(|number| format!("t{number:05}")).collect();
    let bodies: Vec<String> = ids.chunks(TASKS_PER_REQUEST).map(collection).collect();
    let pids = kiln.processes();
    let [server, agent, init] = pids.as_slice() else {
        return Err(format!("a server, an agent and a first process, not {pids:?}"));
    };
    watch(&pids)?;
    let spent = || [server, agent, init].map(|pid| process::cpu_us(*pid));
    let before = spent();
    let begun_at = now();
    add(&kiln, &bodies)?;
    until(LOOK_EACH, || {
        let [completed, succeeded] = counts(&mut batch)?;
        if completed > succeeded {
            return Err(format!("{} tasks failed", completed - succeeded));
        }
        Ok((succeeded == n_tasks).then_some(()))
    })?;
    let rate = n_tasks as f64 / begun_at.elapsed().as_secs_f64();
    let after = spent();
    let mut each =
        before.iter().zip(after).map(|(before, after)| (after - before) / n_tasks as f64);
    let mut next = || each.next().unwrap_or_default();
    let effort = Effort { server_us: next(), agent_us: next(), init_us: next() };
    look_at(&mut batch, &ids)?;
    Ok((rate, effort))
}

/// Adds tasks over several connections.
fn add(kiln: &Kiln, bodies: &[String]) -> Result<(), String> {
    thread::scope(|scope| {
        let adding: Vec<_> = (0..N_ADDING)
            .map(|first| {
                scope.spawn(move || {
                    let mut batch = kiln.connect()?;
                    for body in bodies.iter().skip(first).step_by(N_ADDING) {
                        batch.post_bytes("/jobs/bench/addtaskcollection", body.as_bytes())?;
                    }
                    Ok(())
                })
            })
            .collect();
        adding.into_iter().try_for_each(|it| {
            it.join().unwrap_or_else(|_panic| Err("a thread that adds tasks panicked".to_owned()))
        })
    })
}

/// Whether the first and the last task have all that is theirs.
fn look_at(batch: &mut Batch, ids: &[String]) -> Result<(), String> {
    for id in ids.first().into_iter().chain(ids.last()) {
        let path = format!("/jobs/bench/tasks/{id}");
        let task = batch.get(&path)?;
        let info = task.get("executionInfo");
        let told = |name: &str| info.and_then(|it| it.get(name)).is_some();
        if !(told("exitCode") && told("startTime") && told("endTime")) {
            return Err(format!("a task without its end: {task}"));
        }
        for file in ["stdout.txt", "stderr.txt"] {
            batch.get_text(&format!("{path}/files/{file}"))?;
        }
    }
    Ok(())
}

/// Tasks that completed, and those that did so well.
fn counts(batch: &mut Batch) -> Result<[usize; 2], String> {
    let answer = batch.get("/jobs/bench/taskcounts")?;
    let counts = answer.get("taskCounts").ok_or_else(|| format!("no counts in {answer}"))?;
    let number = |name: &str| {
        let number = counts.get(name).and_then(Value::as_u64);
        number.and_then(|it| usize::try_from(it).ok()).unwrap_or(0)
    };
    Ok(["completed", "succeeded"].map(number))
}

fn collection(ids: &[String]) -> String {
    let tasks: Vec<Value> =
        ids.iter().map(|id| json!({ "id": id, "commandLine": "true" })).collect();
    json!({ "value": tasks }).to_string()
}

fn pool(id: &str, n_nodes: usize, n_slots: usize) -> Value {
    json!({
        "id": id,
        // As many processors as 256 slots want.
        "vmSize": "standard_d64_v3",
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical",
                "offer": "0001-com-ubuntu-server-jammy",
                "sku": "22_04-lts",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 22.04",
        },
        "targetDedicatedNodes": n_nodes,
        "taskSlotsPerNode": n_slots,
    })
}

/// Waits until a task has ended, and looks at it as soon as can be.
pub(super) fn wait_for(batch: &mut Batch, path: &str) -> Result<(), String> {
    until(LOOK_SOON, || {
        let task = batch.get(path)?;
        Ok((task.get("state").is_some_and(|it| it == "completed")).then_some(()))
    })
}

/// Looks again and again until there is something.
pub(super) fn until<T>(
    each: Duration,
    mut look: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let begun_at = now();
    while begun_at.elapsed() < PATIENCE {
        if let Some(found) = look()? {
            return Ok(found);
        }
        pause(each);
    }
    Err(format!("it did not happen in {} seconds", PATIENCE.as_secs()))
}
