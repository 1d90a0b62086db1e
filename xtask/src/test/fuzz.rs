//! The fuzzers, each for a bounded time.
//!
//! They are built by the stable compiler: what a fuzzer needs of it is coverage counters, which
//! are options of LLVM. What a run finds in addition stays below `target/`; inputs worth keeping
//! are those in `fuzz/corpus`.

use std::path::Path;

use crate::program;
use crate::report::{self, Outcome};

/// Seconds that each fuzzer runs.
const SECONDS_EACH: u32 = 10;
/// Bytes of one input at the most.
const INPUT_BYTES_MAX: u32 = 8192;
/// Counters at the edges of the code, and the table that names them.
const INSTRUMENTED: [&str; 5] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];

/// Builds the fuzzers and runs each on its corpus and on what grows from it.
pub(super) fn run(root: &Path) -> Outcome {
    let target = root.join("target/fuzz");
    let manifest = root.join("fuzz/Cargo.toml");
    let mut build = program::cargo(root);
    build
        .args(["build", "--release", "--bins", "--target", &host(root), "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        // With a target named, build scripts and macros are built without the counters.
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}"));
    if let Err(why) = program::run(&mut build) {
        return Outcome::Failed(why);
    }
    let corpora = match folders(&root.join("fuzz/corpus")) {
        Ok(corpora) => corpora,
        Err(why) => return Outcome::Failed(why),
    };
    let mut broken = Vec::new();
    for name in corpora {
        report::say(&format!("fuzz: {name}, {SECONDS_EACH} s"));
        if let Err(why) = run_one(root, &target, &name) {
            broken.push(format!("{name}: {why}"));
        }
    }
    if broken.is_empty() { Outcome::Passed } else { Outcome::Failed(broken.join("; ")) }
}

fn run_one(root: &Path, target: &Path, name: &str) -> Result<(), String> {
    let found = target.join("found").join(name);
    std::fs::create_dir_all(&found)
        .map_err(|cause| format!("cannot make {}: {cause}", found.display()))?;
    let binary = target.join(host(root)).join("release").join(name);
    let mut fuzzer = program::command(binary, root);
    fuzzer
        .arg(&found)
        .arg(root.join("fuzz/corpus").join(name))
        .arg(format!("-max_total_time={SECONDS_EACH}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-artifact_prefix={}/broken-", found.display()))
        .args(["-verbosity=0", "-timeout=5", "-rss_limit_mb=1024"]);
    let ran = program::run_quietly(&mut fuzzer).map(drop);
    ran.map_err(|why| format!("{why}; the input is in {}", found.display()))
}

/// The machine that is compiled for when nothing else is said.
fn host(root: &Path) -> String {
    let told = program::run_quietly(program::command("rustc", root).arg("-vV"));
    let text = told.unwrap_or_default();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or("x86_64-unknown-linux-gnu").to_owned()
}

/// Names of the folders in a folder, sorted.
fn folders(place: &Path) -> Result<Vec<String>, String> {
    let told = |cause| format!("cannot read {}: {cause}", place.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(place).map_err(told)? {
        names.push(entry.map_err(told)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
