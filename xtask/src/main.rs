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
       cargo xtask bench blob [OPTION | PEER]...

test   runs every check: fmt, clippy, tidy, rust, doc, fuzz, clients
         --setup   first installs what the checks need from Debian's packages (as root)
         STEP      only this step; may be repeated
         FILTER    only the tests whose name contains it, in the rust and clients steps
tidy   checks the house rules a compiler cannot check
bench  measures the Blob endpoint beside its peers and writes docs/performance.md
         --small   a short run, for trying; it writes nothing
         --rounds=N, --listed=N, --listed-azurite=N
                   how often, and how many blobs are in the container that is listed
         PEER      only peers whose names contain it; it writes nothing";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let root = repository_root();
    match words.split_first() {
        Some((verb, rest)) if verb == "test" => match test::Request::parse(rest) {
            Ok(request) => test::run(&root, &request),
            Err(message) => usage(&message),
        },
        Some((verb, [])) if verb == "tidy" => {
            if tidy::run(&root) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Some((verb, [subject, rest @ ..])) if verb == "bench" && subject == "blob" => {
            if bench::run(&root, rest) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Some((verb, _)) => usage(&format!("`{verb}` is not a chore")),
        None => usage("which chore?"),
    }
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
