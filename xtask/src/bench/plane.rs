//! `cargo xtask bench plane`: the control plane by itself, with simulated nodes.
//!
//! The program in `benches/plane` measures; this builds and starts it, and puts what it found
//! into the page.

use std::fs;
use std::path::Path;

use super::{page, tell};
use crate::program;

/// Measures, shows the tables and writes them to `docs/performance.md`; whether all targets are
/// met. A small run, or one of some cases, is for trying: it writes nothing.
pub(crate) fn run(root: &Path, words: &[String]) -> bool {
    tell(measure(root, words))
}

fn measure(root: &Path, words: &[String]) -> Result<Vec<String>, String> {
    program::run(program::cargo(root).args(["build", "--release", "-p", "plane"]))?;
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    let table = folder.join("plane.md");
    drop(fs::remove_file(&table));
    let mut plane = program::command(root.join("target/release/plane"), root);
    plane.arg(format!("--table={}", table.display())).args(words);
    let done = program::run(&mut plane);
    // It writes its tables whether their targets are met or not.
    let Ok(text) = fs::read_to_string(&table) else { return done.map(|()| Vec::new()) };
    if words.is_empty() {
        let about = format!("Version: kiln {}.", env!("CARGO_PKG_VERSION"));
        page::write(root, "plane", text.trim_end(), &about)?;
    }
    let is_missed = |line: &&str| line.contains("(missed)");
    Ok(text.lines().filter(is_missed).map(ToOwned::to_owned).collect())
}
