//! `cargo xtask bench tasks`: thousands of tasks that do nothing, from a client to their ends.
//!
//! Whatever does not spend its time on the tasks themselves shows here. The bare loop, which
//! only makes directories, starts processes and waits, is what the machine allows; the peers
//! are started for their turn and end with it.

mod bare;
mod flame;
mod footprint;
mod kiln;
mod latency;
mod peer;
mod profile;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::footprint::Footprint;
use self::kiln::Effort;
use self::latency::Latency;
use self::peer::Kind;
use super::{clean, median, now, pause, process, quantile};
use crate::program;
use crate::report;

/// What is measured, and how much of it.
#[derive(Clone, Copy, Debug)]
struct Extent {
    n_rounds: usize,
    n_tasks: usize,
    /// The same for peers that take a second for a hundred.
    n_tasks_slow: usize,
    /// Task slots of the node.
    n_slots: usize,
    /// Tasks that have the pool for themselves.
    n_singles: usize,
    /// Nodes of a large pool.
    n_nodes: usize,
    /// How long a Kiln without work is watched.
    idle_for: Duration,
}

const WHOLE: Extent = Extent {
    n_rounds: 3,
    n_tasks: 10_000,
    n_tasks_slow: 1000,
    n_slots: 32,
    n_singles: 200,
    n_nodes: 100,
    idle_for: Duration::from_secs(10),
};
const SMALL: Extent = Extent {
    n_rounds: 1,
    n_tasks: 2000,
    n_tasks_slow: 100,
    n_slots: 32,
    n_singles: 20,
    n_nodes: 10,
    idle_for: Duration::from_secs(2),
};

/// All that was measured.
#[derive(Debug, Default)]
struct Results {
    /// Tasks of a second, for each round.
    rates: Vec<(Kind, f64)>,
    efforts: Vec<Effort>,
    /// Microseconds of processor that the bare loop takes for a task, but for the task's own.
    bare_us: Vec<f64>,
    latency: Option<Latency>,
    footprint: Option<Footprint>,
    versions: Vec<String>,
}

/// What the runners are given.
struct Setting<'a> {
    root: &'a Path,
    /// Where a run makes its files.
    data: PathBuf,
    /// The program.
    kiln: PathBuf,
    extent: Extent,
}

/// Measures, shows the tables and writes them to `docs/performance.md`; whether all targets are
/// met. A small run, or one of some peers only, is for trying: it writes nothing.
pub(crate) fn run(root: &Path, words: &[String]) -> bool {
    let is_small = words.iter().any(|word| word == "--small");
    let mut extent = if is_small { SMALL } else { WHOLE };
    let is_profile = words.iter().any(|word| word == "--profile");
    let others = super::others(words, &["--small", "--profile"], |name, number| {
        match name {
            "--rounds" => extent.n_rounds = number.max(1),
            "--slots" => extent.n_slots = number,
            "--tasks" => extent.n_tasks = number,
            _ => return false,
        }
        true
    });
    let wanted = match others {
        Ok(wanted) => wanted,
        Err(why) => return super::tell(Err(why)),
    };
    let data = root.join("target/bench/tasks").join(std::process::id().to_string());
    let outcome = super::kiln(root).and_then(|kiln| {
        spread(&data)?;
        let setting = Setting { root, data: data.clone(), kiln, extent };
        if is_profile {
            return profile::run(&setting, &data).map(|()| Vec::new());
        }
        let results = measure(&setting, &wanted)?;
        let table = table::Table::new(&results, extent);
        report::say(&table.text());
        if !is_small && wanted.is_empty() {
            table.write(root)?;
        }
        Ok(table.misses())
    });
    // What a run made is of no use to anybody.
    drop(std::fs::remove_dir_all(&data));
    super::tell(outcome)
}

/// Makes the folder anew, where files are made as fast as after no other run: an ext4 without a
/// journal passes over what was deleted minutes ago, so every run begins in another part of it.
fn spread(data: &Path) -> Result<(), String> {
    clean(data)?;
    let above = data.parent().unwrap_or(data);
    // Other file systems have no such attribute and need none.
    let _spread = program::works(program::command("chattr", above).arg("+T").arg(above));
    clean(data)
}

fn measure(setting: &Setting<'_>, wanted: &[String]) -> Result<Results, String> {
    let mut results = Results::default();
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|word| kind.name().contains(word.as_str())) {
            continue;
        }
        match peer::version(kind, setting) {
            Ok(version) => {
                results.versions.extend(version);
                kinds.push(kind);
            }
            Err(why) if kind.is_ours() => return Err(format!("{}: {why}", kind.name())),
            Err(why) => report::say(&format!("left out: {}: {why}", kind.name())),
        }
    }
    for round in 0..setting.extent.n_rounds {
        for kind in &kinds {
            let folder = setting.data.join(format!("{round}-{}", kind.folder()));
            clean(&folder)?;
            let failed = |why: String| format!("{}: {why}", kind.name());
            let (n_tasks, n_slow) = (setting.extent.n_tasks, setting.extent.n_tasks_slow);
            let rate = match kind {
                Kind::Bare => {
                    let own = std::process::id();
                    let before_us = process::cpu_us(own);
                    let rate = bare::rate(&folder, n_tasks);
                    results.bare_us.push((process::cpu_us(own) - before_us) / n_tasks as f64);
                    rate
                }
                Kind::Kiln => kiln::tasks(setting, &folder, |_| Ok(())).map(|(rate, effort)| {
                    results.efforts.push(effort);
                    rate
                }),
                Kind::HyperQueue => peer::hyperqueue(setting.root, &folder, n_tasks),
                Kind::Parallel => peer::parallel(&folder, n_slow),
                Kind::Slurm => peer::slurm(setting.root, &folder, n_slow),
            };
            let rate = rate.map_err(failed)?;
            report::say(&format!("{:<14} {rate:>8.0} tasks/s", kind.name()));
            results.rates.push((*kind, rate));
        }
    }
    if kinds.contains(&Kind::Kiln) && wanted.is_empty() {
        report::say("Kiln without work, then with single tasks");
        let folder = setting.data.join("idle");
        clean(&folder)?;
        let server = kiln::Kiln::start(&setting.kiln, &folder)?;
        results.footprint = Some(footprint::measure(&server, setting)?);
        results.latency = Some(latency::measure(&server, setting.extent.n_singles)?);
    }
    Ok(results)
}

/// The time on the machine's clock, which tasks tell as well.
#[expect(clippy::disallowed_methods, reason = "tasks tell the time of this clock")]
fn wall_ns() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |it| it.as_nanos() as f64)
}
