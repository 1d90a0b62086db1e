//! Pools, jobs and tasks, as clients make and watch them.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::clock;

/// Tasks of one request.
const COLLECTION: usize = 100;
/// Time between two looks at what is awaited.
const LOOK_EACH: Duration = Duration::from_millis(20);
/// Time after which something that must happen is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many tasks of a job are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) active: usize,
    pub(crate) running: usize,
    pub(crate) completed: usize,
}

/// Adds a pool, and waits until all its nodes are ready.
pub(crate) async fn pool(
    client: &mut Client,
    id: &str,
    n_nodes: usize,
    n_slots: usize,
) -> Result<(), String> {
    let body = json!({
        "id": id,
        "vmSize": "STANDARD_D2_V3",
        "targetDedicatedNodes": n_nodes,
        "taskSlotsPerNode": n_slots,
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "canonical", "offer": "0001-com-ubuntu-server-focal", "sku": "20_04-lts"
            },
            "nodeAgentSKUId": "batch.node.ubuntu 20.04",
        },
    });
    client.ask(("POST", "/pools"), &[], Some(&body), 201).await?;
    ready(client, id, n_nodes).await
}

/// Gives a pool another size, and waits until all its nodes are ready.
pub(crate) async fn resize(client: &mut Client, id: &str, n_nodes: usize) -> Result<(), String> {
    let body = json!({ "targetDedicatedNodes": n_nodes });
    client.ask(("POST", &format!("/pools/{id}/resize")), &[], Some(&body), 202).await?;
    ready(client, id, n_nodes).await
}

async fn ready(client: &mut Client, id: &str, n_nodes: usize) -> Result<(), String> {
    let begun_at = clock::now();
    while begun_at.elapsed() < PATIENCE {
        let counts = client.get("/nodecounts").await?;
        let pools = counts.get("value").and_then(Value::as_array).into_iter().flatten();
        let of = |name: &'static str| {
            let pool = pools.clone().find(|it| it.get("poolId") == Some(&id.into()));
            pool.and_then(|it| it.pointer(&format!("/dedicated/{name}"))?.as_u64()).unwrap_or(0)
        };
        let n_ready = of("idle") + of("running");
        if usize::try_from(n_ready).is_ok_and(|it| it == n_nodes) && of("total") == n_ready {
            return Ok(());
        }
        clock::pause(LOOK_EACH).await;
    }
    Err(format!("the nodes of {id} are not ready"))
}

/// Adds a job.
pub(crate) async fn job(client: &mut Client, id: &str, pool: &str) -> Result<(), String> {
    let body = json!({ "id": id, "poolInfo": { "poolId": pool } });
    client.ask(("POST", "/jobs"), &[], Some(&body), 201).await.map(drop)
}

/// Disables or enables a job.
pub(crate) async fn act(
    client: &mut Client,
    job: &str,
    verb: &str,
    body: &Value,
) -> Result<(), String> {
    let path = format!("/jobs/{job}/{verb}");
    client.ask(("POST", &path), &[], Some(body), 202).await.map(drop)
}

pub(crate) async fn counts(client: &mut Client, job: &str) -> Result<Counts, String> {
    let body = client.get(&format!("/jobs/{job}/taskcounts")).await?;
    let counts = body.get("taskCounts").cloned().unwrap_or_default();
    serde_json::from_value(counts).map_err(|cause| format!("the counts of {job}: {cause}"))
}

/// Waits until the counts of a job are as wanted.
pub(crate) async fn until(
    client: &mut Client,
    job: &str,
    is_wanted: impl Fn(Counts) -> bool,
) -> Result<(), String> {
    let begun_at = clock::now();
    let mut last = Counts::default();
    while begun_at.elapsed() < PATIENCE {
        last = counts(client, job).await?;
        if is_wanted(last) {
            return Ok(());
        }
        clock::pause(LOOK_EACH).await;
    }
    Err(format!("the counts of {job} stay {last:?}"))
}

/// Tasks that are to be added to jobs: those of a range of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New<'n> {
    /// The jobs, which take turns.
    pub(crate) jobs: &'n [String],
    pub(crate) first: usize,
    pub(crate) n_tasks: usize,
    pub(crate) command: &'n str,
    pub(crate) n_connections: usize,
}

/// Adds them; each connection sends its next request when the one before is answered.
pub(crate) async fn add(url: &str, new: New<'_>) -> Result<(), String> {
    let mut connections = JoinSet::new();
    for number in 0..new.n_connections {
        let mut client = Client::connect(url).await?;
        let (jobs, command) = (new.jobs.to_vec(), new.command.to_owned());
        let New { first, n_tasks, n_connections, .. } = new;
        connections.spawn(async move {
            let mut collection = number;
            while collection * COLLECTION < n_tasks {
                let from = collection * COLLECTION;
                let numbers = first + from..first + n_tasks.min(from + COLLECTION);
                let job = jobs.get(collection % jobs.len()).cloned().unwrap_or_default();
                add_some(&mut client, &job, numbers, &command).await?;
                collection += n_connections;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = connections.join_next().await {
        done.map_err(|cause| cause.to_string())??;
    }
    Ok(())
}

/// The body of a task; ids sort as they were added.
pub(crate) fn task(number: usize, command: &str) -> String {
    format!(
        r#"{{"id":"task-{number:07}","commandLine":"{command}","environmentSettings":[{{"name":"NUMBER","value":"{number}"}}]}}"#
    )
}

#[derive(Deserialize)]
struct Added<'a> {
    #[serde(borrow)]
    value: Vec<AddedTask<'a>>,
}

#[derive(Deserialize)]
struct AddedTask<'a> {
    status: &'a str,
}

async fn add_some(
    client: &mut Client,
    job: &str,
    numbers: std::ops::Range<usize>,
    command: &str,
) -> Result<(), String> {
    let n_tasks = numbers.len();
    let mut body = String::from(r#"{"value":["#);
    for (at, number) in numbers.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(body, "{comma}{}", task(number, command)).map_err(|cause| cause.to_string())?;
    }
    body.push_str("]}");
    let path = format!("/jobs/{job}/addtaskcollection");
    let (status, bytes) = client.send("POST", &path, &[], Some(Bytes::from(body))).await?;
    let text = String::from_utf8_lossy(&bytes);
    if status != 200 {
        return Err(format!("POST {path}: status {status}: {text}"));
    }
    let added: Added<'_> =
        serde_json::from_str(&text).map_err(|cause| format!("POST {path}: {cause}"))?;
    let n_added = added.value.iter().filter(|it| it.status == "success").count();
    if n_added == n_tasks { Ok(()) } else { Err(format!("POST {path}: {n_added} of {n_tasks}")) }
}
