//! Runs schedules by their seeds, on as many threads as there are processors.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use kiln_sim::{Options, Outcome, RunError};

/// States that no schedule reaches, with the reason.
const UNREACHED: [&str; 1] = [
    // No operation of Kiln upgrades the system of a node.
    "node UpgradingOs",
];

/// Runs the server and its agents under a false clock, with faults by seed.
#[derive(Debug, Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Schedules, each with the next seed.
    #[arg(long, default_value_t = 1)]
    schedules: u64,
    /// Further schedules, with seeds of their own.
    #[arg(long, default_value_t = 0)]
    fresh: u64,
    /// The first of those seeds; by default one that was never used.
    #[arg(long)]
    fresh_from: Option<u64>,
    /// Show all that happens.
    #[arg(long)]
    trace: bool,
    /// Fail unless every state of tasks, jobs, pools and nodes was reached.
    #[arg(long)]
    all_states: bool,
    /// Where the runs keep their state, by default in memory.
    #[arg(long)]
    place: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let place = args.place.clone().unwrap_or_else(in_memory);
    // Far from the seeds that people type.
    let never_used = || u64::from(u32::from_le_bytes(kiln_clock::random())) << 20;
    let fresh_from = args.fresh_from.unwrap_or_else(never_used);
    let known = (0..args.schedules).map(|number| args.seed.wrapping_add(number));
    let fresh = (0..args.fresh).map(|number| fresh_from.wrapping_add(number));
    let seeds: Vec<u64> = known.chain(fresh).collect();
    if args.fresh > 0 {
        say(&format!("fresh seeds from {fresh_from}"));
    }
    let ended = run_all(&seeds, &args, &place);
    let is_good = tell(&ended, &args);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A place in memory, where there is one.
fn in_memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn run_all(seeds: &[u64], args: &Args, place: &Path) -> Vec<Result<Outcome, RunError>> {
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let options = Options { seed: *seed, keeps_text: args.trace, lie: None };
                    let outcome = kiln_sim::run(options, place);
                    if let Ok(outcome) = &outcome {
                        show(outcome);
                    }
                    ended.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Says what came of all runs; whether all is well.
fn tell(ended: &[Result<Outcome, RunError>], args: &Args) -> bool {
    let mut reached = BTreeSet::new();
    let (mut n_commits, mut length, mut is_good) = (0, Duration::ZERO, true);
    for outcome in ended {
        match outcome {
            Ok(outcome) => {
                reached.extend(outcome.reached.iter().cloned());
                n_commits += outcome.n_commits;
                length += outcome.length;
                is_good &= outcome.broken.is_none();
            }
            Err(cause) => {
                say(&format!("{cause}"));
                is_good = false;
            }
        }
    }
    let hours = length.as_secs() / 3600;
    say(&format!("{} schedules, {n_commits} commits, {hours} hours", ended.len()));
    let all = kiln_sim::all_states();
    let missing = all.into_iter().filter(|it| !reached.contains(it));
    let missing: Vec<_> = missing.filter(|it| !UNREACHED.contains(&it.as_str())).collect();
    if args.all_states && !missing.is_empty() {
        say(&format!("states that were not reached: {}", missing.join(", ")));
        is_good = false;
    }
    is_good
}

fn show(outcome: &Outcome) {
    for line in &outcome.lines {
        say(line);
    }
    if let Some(broken) = &outcome.broken {
        let seed = outcome.seed;
        say(&format!("seed {seed} is broken: {broken}"));
        say(&format!("again: cargo run -p kiln-sim -- --seed {seed} --trace"));
    }
}

fn say(line: &str) {
    // Without a reader there is nobody to tell.
    let _written = writeln!(std::io::stdout().lock(), "{line}");
}
