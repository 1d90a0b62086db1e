//! Development chores: `cargo xtask test`, `cargo xtask tidy` and `cargo xtask bench`.
//!
//! `test` is all a contributor and CI run; `tidy` holds the house rules a compiler cannot
//! check and is one step of `test`.

mod bench;
mod program;
mod report;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [--setup] [STEP | FILTER]...
       cargo xtask tidy
       cargo xtask bench blob [OPTION | PEER | CASE]...
       cargo xtask bench tasks [OPTION | PEER]...
       cargo xtask bench plane [--small] [CASE]...

test   runs every check: fmt, clippy, tidy, rust, doc, fuzz, clients
         --setup   first installs what the checks need from Debian's packages (as root)
         STEP      only this step; may be repeated
         FILTER    only the tests whose name contains it, in the rust and clients steps
tidy   checks the house rules a compiler cannot check
bench  measures the Blob endpoint, or tasks that do nothing, beside peers and writes
       docs/performance.md
         --small   a short run, for trying; it writes nothing
         --rounds=N
                   how often
         --listed=N, --listed-azurite=N
                   how many blobs are in the container that is listed
         --tasks=N, --slots=N
                   how many tasks, on a node with how many slots
         --profile draws docs/tasks.svg and tells where a task's time goes, with `perf`
         PEER      only peers whose names contain it; it writes nothing
         CASE      only cases whose names contain it; it writes nothing
       or the control plane by itself, with simulated nodes
         CASE      only this: start, add, flow, scale, growth; it writes nothing";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let root = repository_root();
    match words.split_first() {
        Some((verb, rest)) if verb == "test" => match test::Request::parse(rest) {
            Ok(request) => test::run(&root, &request),
            Err(message) => usage(&message),
        },
        Some((verb, [])) if verb == "tidy" => passed(tidy::run(&root)),
        Some((verb, [subject, rest @ ..])) if verb == "bench" && subject == "blob" => {
            passed(bench::blob::run(&root, rest))
        }
        Some((verb, [subject, rest @ ..])) if verb == "bench" && subject == "tasks" => {
            passed(bench::tasks::run(&root, rest))
        }
        Some((verb, [subject, rest @ ..])) if verb == "bench" && subject == "plane" => {
            passed(bench::plane::run(&root, rest))
        }
        Some((verb, _)) => usage(&format!("`{verb}` is not a chore")),
        None => usage("which chore?"),
    }
}

fn passed(all: bool) -> ExitCode {
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(message: &str) -> ExitCode {
    report::say(&format!("xtask: {message}\n\n{USAGE}"));
    ExitCode::from(2)
}

/// The folder that holds the workspace's manifest.
fn repository_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
