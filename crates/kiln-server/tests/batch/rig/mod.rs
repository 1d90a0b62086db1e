//! A server on a data directory of its own, asked over HTTP, with agents played by the test.

mod agent;
mod ask;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_server::Running;
use kiln_server::config::Config;
use kiln_wire::api_version::ApiVersion;
use serde_json::{Value, json};

pub(crate) use agent::Agent;
pub(crate) use ask::{Ask, Reply, blob};

/// Time after which something that must happen is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks for something that nobody announces to a client.
const LOOK_EACH: Duration = Duration::from_millis(5);

/// A server with its data directory.
pub(crate) struct Rig {
    server: Option<Running>,
    data: tempfile::TempDir,
    configure: Box<dyn Fn(&mut Config) + Send>,
    /// Lives of agents that a test already plays.
    taken: Vec<PathBuf>,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    /// A server that gives up on agents that are silent for so long.
    pub(crate) async fn start_with(heartbeat_deadline: Duration) -> Self {
        Self::configured(move |config| config.heartbeat_deadline = heartbeat_deadline).await
    }

    /// A server with settings that `configure` changes.
    pub(crate) async fn configured(configure: impl Fn(&mut Config) + Send + 'static) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let configure = Box::new(configure);
        let mut rig = Self { server: None, data, configure, taken: Vec::new() };
        rig.start_server().await;
        rig
    }

    /// Starts a server on what an earlier one left.
    pub(crate) async fn start_server(&mut self) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/batch/agent.sh");
        let free = "127.0.0.1:0".parse().expect("an address");
        let mut config = Config {
            batch_listen: free,
            blob_listen: free,
            ..Config::new(self.data.path().to_owned(), program)
        };
        (self.configure)(&mut config);
        self.server = Some(kiln_server::start(config).await.expect("the server starts"));
    }

    /// Stops the server; agents live on.
    pub(crate) async fn stop_server(&mut self) {
        self.server.take().expect("a server runs").stop().await;
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn url(&self) -> &str {
        self.server.as_ref().expect("a server runs").batch_url()
    }

    pub(crate) fn get(&self, path: &str) -> Ask {
        Ask::new(self.url(), "GET", path)
    }

    pub(crate) fn head(&self, path: &str) -> Ask {
        Ask::new(self.url(), "HEAD", path)
    }

    pub(crate) fn delete(&self, path: &str) -> Ask {
        Ask::new(self.url(), "DELETE", path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Ask {
        Ask::new(self.url(), "POST", path).json(body)
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Ask {
        Ask::new(self.url(), "PATCH", path).json(body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Ask {
        Ask::new(self.url(), "PUT", path).json(body)
    }

    /// Asks for `path` until `holds` is true of the answer: states that follow from what nodes
    /// do are not announced to clients.
    pub(crate) async fn until(&self, path: &str, holds: impl Fn(&Reply) -> bool) -> Reply {
        self.until_in(ApiVersion::NEWEST.as_str(), path, holds).await
    }

    /// The same in this api-version.
    pub(crate) async fn until_in(
        &self,
        version: &str,
        path: &str,
        holds: impl Fn(&Reply) -> bool,
    ) -> Reply {
        let mut last = None;
        let looking = async {
            loop {
                let reply = self.get(path).version(version).send().await;
                if holds(&reply) {
                    return reply;
                }
                last = Some(reply);
                wait_a_little().await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_elapsed| unreachable!("{path} stays {last:#?}"))
    }

    /// Asks until the member `state` is `state`.
    pub(crate) async fn until_state(&self, path: &str, state: &str) -> Value {
        self.until(path, |reply| reply.body["state"] == state).await.body
    }

    /// Plays the next agent that the server starts.
    pub(crate) async fn agent(&mut self) -> Agent {
        Agent::link(self.started().await).await
    }

    /// The next agent that the server starts: the file by which it lives.
    pub(crate) async fn started(&mut self) -> PathBuf {
        let nodes = self.data.path().join("nodes");
        let taken = &mut self.taken;
        let looking = async {
            loop {
                if let Some(life) = lives(&nodes).into_iter().find(|it| !taken.contains(it)) {
                    taken.push(life.clone());
                    return life;
                }
                wait_a_little().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("an agent is started")
    }

    /// Adds a pool of `nodes` nodes and plays their agents until they are ready.
    pub(crate) async fn pool(&mut self, id: &str, nodes: usize, more: Value) -> Vec<Agent> {
        let mut body = pool_body(id, nodes);
        for (name, value) in more.as_object().expect("members") {
            body[name] = value.clone();
        }
        self.post("/pools", &body).send().await.expect(201);
        self.ready(nodes).await
    }

    /// Plays the next agents until their nodes are ready.
    pub(crate) async fn ready(&mut self, nodes: usize) -> Vec<Agent> {
        let mut agents = Vec::new();
        for _ in 0..nodes {
            let mut agent = self.agent().await;
            agent.boot().await;
            agents.push(agent);
        }
        agents
    }

    /// Adds a job.
    pub(crate) async fn job(&self, id: &str, pool: &str) {
        let body = json!({ "id": id, "poolInfo": { "poolId": pool } });
        self.post("/jobs", &body).send().await.expect(201);
    }

    /// Adds a task.
    pub(crate) async fn task(&self, job: &str, id: &str, more: Value) {
        let mut body = json!({ "id": id, "commandLine": "true" });
        for (name, value) in more.as_object().expect("members") {
            body[name] = value.clone();
        }
        self.post(&format!("/jobs/{job}/tasks"), &body).send().await.expect(201);
    }

    /// Adds tasks with ids from `t00000` on.
    pub(crate) async fn tasks(&self, job: &str, count: usize) {
        let ids: Vec<usize> = (0..count).collect();
        for hundred in ids.chunks(100) {
            let tasks: Vec<Value> = hundred
                .iter()
                .map(|n| json!({ "id": format!("t{n:05}"), "commandLine": "true" }))
                .collect();
            let body = json!({ "value": tasks });
            self.post(&format!("/jobs/{job}/addtaskcollection"), &body).send().await.expect(200);
        }
    }
}

/// A pool as the newest api-version adds it.
pub(crate) fn pool_body(id: &str, nodes: usize) -> Value {
    json!({
        "id": id,
        "vmSize": "standard_d1_v2",
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical",
                "offer": "0001-com-ubuntu-server-jammy",
                "sku": "22_04-lts",
            },
            "nodeAgentSKUId": "batch.node.ubuntu 22.04",
        },
        "targetDedicatedNodes": nodes,
    })
}

/// The files that living agents keep, in a lasting order.
fn lives(nodes: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut lives: Vec<_> = entries(nodes)
        .flat_map(|node| entries(&node.path()).map(|it| it.path()).collect::<Vec<_>>())
        .filter(|path| {
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            name.starts_with("life.") && !name.ends_with(".new")
        })
        .collect();
    lives.sort();
    lives
}

#[expect(clippy::disallowed_methods, reason = "the one pause of all waiting in these tests")]
pub(crate) async fn wait_a_little() {
    tokio::time::sleep(LOOK_EACH).await;
}

#[expect(clippy::disallowed_methods, reason = "requests are signed with the time they are sent")]
pub(crate) fn now() -> kiln_domain::time::Timestamp {
    kiln_domain::time::Timestamp::from_system(std::time::SystemTime::now())
}
