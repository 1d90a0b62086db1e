//! What is measured.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::agents::HOLD;
use crate::client::Client;
use crate::operations;
use crate::process::Plane;
use crate::table::{Table, Wanted};
use crate::tasks::{self, Counts, New};
use crate::{clock, say};

/// The names of the cases.
pub(crate) const NAMES: [&str; 5] = ["start", "add", "flow", "scale", "growth"];

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Nodes of the large pool.
    n_nodes: usize,
    /// Agents that are linked at once in the end.
    n_agents: usize,
    /// Tasks that are added where nothing runs.
    n_added: usize,
    /// Tasks that go all the way.
    n_flow: usize,
    /// Tasks of the large job.
    n_large: usize,
    /// Those of them that end; the others wait or run on.
    n_ended: usize,
    /// Tasks with which the cost of one is measured.
    n_probe: usize,
    /// Jobs, and pools, among which it is measured.
    n_jobs: usize,
    n_pools: usize,
}

pub(crate) const WHOLE: Extent = Extent {
    n_nodes: 1000,
    n_agents: 2000,
    n_added: 200_000,
    n_flow: 200_000,
    n_large: 1_000_000,
    n_ended: 100_000,
    n_probe: 20_000,
    n_jobs: 1000,
    n_pools: 100,
};
pub(crate) const SMALL: Extent = Extent {
    n_nodes: 100,
    n_agents: 200,
    n_added: 20_000,
    n_flow: 20_000,
    n_large: 50_000,
    n_ended: 10_000,
    n_probe: 5000,
    n_jobs: 50,
    n_pools: 10,
};

/// Slots of each node.
const N_SLOTS: usize = 4;
/// Connections that add tasks.
const N_CONNECTIONS: usize = 8;
/// Starts of which the middle one counts.
const N_STARTS: usize = 3;
/// Single tasks that are added, and flushes that are measured beside them.
const N_SINGLE: usize = 100;
/// Tasks of the small job in which operations are measured, and those of them that end.
const N_SMALL: usize = 1000;
const N_SMALL_ENDED: usize = 100;
/// Nodes of the small pool.
const N_FEW_NODES: usize = 10;
/// The command of tasks that end at once.
const END: &str = "end";
/// What may be lost of the speed of growing, and of the cost of a task, however much there is.
const GROWTH_MAX: f64 = 2.0;

/// What is wanted of all.
const READY_MS_MAX: f64 = 200.0;
const ADDED_PER_SECOND_MIN: f64 = 25_000.0;
const SINGLE_MS_MAX: f64 = 2.0;
const FLOW_PER_SECOND_MIN: f64 = 20_000.0;
const MEMORY_MIB_MAX: f64 = 500.0;
const READY_AGAIN_MS_MAX: f64 = 5000.0;

/// Measures the cases of these names; all of them if none is named.
pub(crate) async fn run(folder: &Path, extent: Extent, names: &[&str]) -> Result<Table, String> {
    let mut table = Table::default();
    for name in NAMES.into_iter().filter(|name| names.is_empty() || names.contains(name)) {
        say(&format!("==> {name}"));
        let folder = folder.join(name);
        match name {
            "start" => start(folder, &mut table).await?,
            "add" => add(folder, extent, &mut table).await?,
            "flow" => flow(folder, extent, &mut table).await?,
            "scale" => scale(folder, extent, &mut table).await?,
            _ => growth(folder, extent, &mut table).await?,
        }
    }
    Ok(table)
}

async fn start(folder: PathBuf, table: &mut Table) -> Result<(), String> {
    let mut all = Vec::new();
    for _ in 0..N_STARTS {
        all.push(Plane::start(folder.clone()).await?.ready_ms);
    }
    let ready_ms = clock::median(&mut all);
    table.add("start of an empty server to ready, ms", Wanted::Below(READY_MS_MAX), ready_ms);
    Ok(())
}

async fn add(folder: PathBuf, extent: Extent, table: &mut Table) -> Result<(), String> {
    let plane = Plane::start(folder).await?;
    let mut client = Client::connect(&plane.url).await?;
    tasks::pool(&mut client, "none", 0, N_SLOTS).await?;
    let jobs = ["added".to_owned()];
    tasks::job(&mut client, "added", "none").await?;
    let n_tasks = extent.n_added;
    let new = New { jobs: &jobs, first: 0, n_tasks, command: END, n_connections: N_CONNECTIONS };
    let (per_second, cpu_us) = timed(&plane, n_tasks, tasks::add(&plane.url, new)).await?;
    table.add("tasks added a second", Wanted::AtLeast(ADDED_PER_SECOND_MIN), per_second);
    table.add("µs of the server's processors for an added task", Wanted::Anything, cpu_us);
    let mut answers = Vec::new();
    for number in n_tasks..n_tasks + N_SINGLE {
        let begun_at = clock::now();
        operations::add_one(&mut client, "added", number).await?;
        answers.push(clock::milliseconds(begun_at.elapsed()));
    }
    let flush_ms = flush_ms(plane.folder())?;
    let answer_ms = clock::median(&mut answers);
    table.add("flush of this disk, ms", Wanted::Anything, flush_ms);
    let wanted = Wanted::Below(SINGLE_MS_MAX + flush_ms);
    table.add("answer to a single add, flush included, ms", wanted, answer_ms);
    table.add("99 % of the answers, ms", Wanted::Anything, clock::quantile(&mut answers, 0.99));
    Ok(())
}

/// How long it takes to bring a small write to the disk.
fn flush_ms(folder: &Path) -> Result<f64, String> {
    let measure = || {
        let mut file = std::fs::File::create(folder.join("flushed"))?;
        let mut all = Vec::new();
        for _ in 0..N_SINGLE {
            let begun_at = clock::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            all.push(clock::milliseconds(begun_at.elapsed()));
        }
        Ok(clock::median(&mut all))
    };
    measure().map_err(|cause: std::io::Error| format!("{}: {cause}", folder.display()))
}

/// How many a second `work` does, and the server's processor time for each.
async fn timed(
    plane: &Plane,
    n_done: usize,
    work: impl Future<Output = Result<(), String>>,
) -> Result<(f64, f64), String> {
    let (begun_at, cpu_us) = (clock::now(), plane.server.cpu_us());
    work.await?;
    let n_done = n_done as f64;
    let per_second = n_done / begun_at.elapsed().as_secs_f64();
    Ok((per_second, (plane.server.cpu_us() - cpu_us) / n_done))
}

async fn flow(folder: PathBuf, extent: Extent, table: &mut Table) -> Result<(), String> {
    let plane = Plane::start(folder).await?;
    let mut client = Client::connect(&plane.url).await?;
    tasks::pool(&mut client, "many", extent.n_nodes, N_SLOTS).await?;
    through(&plane, &mut client, &["warm".to_owned()], &["many"], extent.n_probe).await?;
    let n_tasks = extent.n_flow;
    let players_us = plane.players_cpu_us();
    let job = &["flow".to_owned()];
    let (per_second, cpu_us) = through(&plane, &mut client, job, &["many"], n_tasks).await?;
    let players_us = (plane.players_cpu_us() - players_us) / n_tasks as f64;
    let what = "tasks added, placed, reported and completed a second";
    table.add(what, Wanted::AtLeast(FLOW_PER_SECOND_MIN), per_second);
    table.add("µs of the server's processors for a whole task", Wanted::Anything, cpu_us);
    table.add("the same of the played agents", Wanted::Anything, players_us);
    Ok(())
}

/// Lets tasks come to new jobs of these pools and go all the way; how many a second, and the
/// processor time of the server for each.
async fn through(
    plane: &Plane,
    client: &mut Client,
    jobs: &[String],
    pools: &[&str],
    n_tasks: usize,
) -> Result<(f64, f64), String> {
    for (job, pool) in jobs.iter().zip(pools.iter().cycle()) {
        tasks::job(client, job, pool).await?;
    }
    let new = New { jobs, first: 0, n_tasks, command: END, n_connections: N_CONNECTIONS };
    timed(plane, n_tasks, async {
        tasks::add(&plane.url, new).await?;
        for job in jobs {
            let is_done = |it: Counts| it.active + it.running == 0;
            tasks::until(client, job, is_done).await?;
        }
        Ok(())
    })
    .await
}

async fn scale(folder: PathBuf, extent: Extent, table: &mut Table) -> Result<(), String> {
    let mut plane = Plane::start(folder).await?;
    let mut client = Client::connect(&plane.url).await?;
    tasks::pool(&mut client, "few", N_FEW_NODES, N_SLOTS).await?;
    fill(&plane, &mut client, "small", "few", (N_SMALL_ENDED, N_SMALL)).await?;
    let n_running = N_FEW_NODES * N_SLOTS;
    let running = move |it: Counts| it.running == n_running && it.completed == N_SMALL_ENDED;
    tasks::until(&mut client, "small", running).await?;
    let small = operations::all(&mut client, "small", N_SMALL).await?;

    tasks::pool(&mut client, "many", extent.n_nodes, N_SLOTS).await?;
    let Extent { n_large, n_ended, .. } = extent;
    // Nothing starts before all is there.
    tasks::job(&mut client, "large", "many").await?;
    let none = json!({ "disableTasks": "requeue" });
    tasks::act(&mut client, "large", "disable", &none).await?;
    let (first, last) = fill_large(&plane, extent).await?;
    let slower = Wanted::AtLeast(1.0 / GROWTH_MAX);
    table.add("tasks added a second to a new job", Wanted::Anything, first);
    table.add("the last of a large job beside the first, as a rate", slower, last / first);
    let draining = async {
        tasks::act(&mut client, "large", "enable", &json!({})).await?;
        tasks::until(&mut client, "large", |it| it.completed == n_ended).await
    };
    let (per_second, cpu_us) = timed(&plane, n_ended, draining).await?;
    table.add("tasks run a second while the others wait", Wanted::Anything, per_second);
    table.add("µs of the server's processors for each", Wanted::Anything, cpu_us);
    let n_running = extent.n_nodes * N_SLOTS;
    let whole = move |it: Counts| it.running == n_running && it.completed == n_ended;
    tasks::until(&mut client, "large", whole).await?;

    let large = operations::all(&mut client, "large", n_large).await?;
    table.n_tasks = (N_SMALL, n_large);
    for (small, large) in small.iter().zip(&large) {
        table.add_operation(small.name, small.median_ms, large.median_ms);
    }
    let most = plane.server.memory_mib("VmHWM");
    table.add("memory of the server at the most, MiB", Wanted::Below(MEMORY_MIB_MAX), most);

    let before = tasks::counts(&mut client, "large").await?;
    plane.restart().await?;
    let ready_ms = plane.ready_ms;
    table.add("restart to ready, ms", Wanted::Below(READY_AGAIN_MS_MAX), ready_ms);
    let mut client = Client::connect(&plane.url).await?;
    let counts = tasks::counts(&mut client, "large").await?;
    if counts != before {
        return Err(format!("the counts were {before:?}, and after the restart {counts:?}"));
    }
    // The agents are back: their nodes stop what ran and run something else.
    tasks::act(&mut client, "small", "terminate", &json!({})).await?;
    let (job, n_tasks) = (&["after".to_owned()], N_SMALL);
    through(&plane, &mut client, job, &["few"], n_tasks).await?;
    let most = plane.server.memory_mib("VmHWM");
    table.add("memory at the most since, MiB", Wanted::Below(MEMORY_MIB_MAX), most);
    let begun_at = clock::now();
    tasks::resize(&mut client, "many", extent.n_agents - N_FEW_NODES).await?;
    let seconds = begun_at.elapsed().as_secs_f64();
    let what = format!("{} agents linked at once, after so many seconds", extent.n_agents);
    table.add(what, Wanted::Anything, seconds);
    let most = plane.server.memory_mib("VmHWM");
    table.add("memory at the most with them, MiB", Wanted::Below(MEMORY_MIB_MAX), most);
    Ok(())
}

/// Adds a job whose first tasks end at once, and whose others run on.
async fn fill(
    plane: &Plane,
    client: &mut Client,
    job: &str,
    pool: &str,
    (n_ended, n_tasks): (usize, usize),
) -> Result<(), String> {
    tasks::job(client, job, pool).await?;
    let jobs = [job.to_owned()];
    let new =
        |first, n_tasks, command| New { jobs: &jobs, first, n_tasks, command, n_connections: 1 };
    tasks::add(&plane.url, new(0, n_ended, END)).await?;
    tasks::until(client, job, |it| it.completed == n_ended).await?;
    tasks::add(&plane.url, new(n_ended, n_tasks - n_ended, HOLD)).await
}

/// Adds the tasks of the large job; the rate of the first and of the last of them.
async fn fill_large(plane: &Plane, extent: Extent) -> Result<(f64, f64), String> {
    let Extent { n_large, n_ended, .. } = extent;
    let jobs = ["large".to_owned()];
    let mut rates = Vec::new();
    let mut first = 0;
    while first < n_large {
        let n_tasks = n_ended.min(n_large - first);
        let command = if first < n_ended { END } else { HOLD };
        let new = New { jobs: &jobs, first, n_tasks, command, n_connections: N_CONNECTIONS };
        let (per_second, cpu_us) = timed(plane, n_tasks, tasks::add(&plane.url, new)).await?;
        say(&format!("{first:>9} tasks: {per_second:>8.0} added a second, {cpu_us:.1} us each"));
        rates.push(per_second);
        first += n_tasks;
    }
    let (first, last) = (rates.first().copied(), rates.last().copied());
    Ok((first.unwrap_or(f64::NAN), last.unwrap_or(f64::NAN)))
}

async fn growth(folder: PathBuf, extent: Extent, table: &mut Table) -> Result<(), String> {
    let plane = Plane::start(folder).await?;
    let mut client = Client::connect(&plane.url).await?;
    let Extent { n_nodes, n_probe, n_jobs, n_pools, .. } = extent;
    tasks::pool(&mut client, "few", N_FEW_NODES, 8).await?;
    through(&plane, &mut client, &["warm".to_owned()], &["few"], n_probe).await?;
    let one = &["one".to_owned()];
    let (_, base_us) = through(&plane, &mut client, one, &["few"], n_probe).await?;
    let what = format!("µs of the server's processors for a task: 1 job, {N_FEW_NODES} nodes");
    table.add(what, Wanted::Anything, base_us);

    let names =
        |word: &str, n| -> Vec<String> { (0..n).map(|it| format!("{word}-{it}")).collect() };
    let bound = Wanted::Below(base_us * GROWTH_MAX);
    let (_, us) = through(&plane, &mut client, &names("job", n_jobs), &["few"], n_probe).await?;
    table.add(format!("among {n_jobs} jobs"), bound, us);
    for pool in names("pool", n_pools) {
        tasks::pool(&mut client, &pool, 1, 8).await?;
    }
    let pools = names("pool", n_pools);
    let pools: Vec<&str> = pools.iter().map(String::as_str).collect();
    let (_, us) = through(&plane, &mut client, &names("each", n_pools), &pools, n_probe).await?;
    table.add(format!("among {n_pools} pools"), bound, us);
    tasks::pool(&mut client, "many", n_nodes, N_SLOTS).await?;
    let (_, us) = through(&plane, &mut client, &["wide".to_owned()], &["many"], n_probe).await?;
    table.add(format!("among {n_nodes} nodes"), bound, us);
    clock::pause(Duration::from_secs(1)).await;
    Ok(())
}
