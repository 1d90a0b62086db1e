//! `cargo xtask bench SUBJECT`: Kiln beside its peers, in one run on one machine.
//!
//! Each subject is a folder with its cases, peers and table; what they share is here. Traffic
//! goes to loopback only.

pub(crate) mod blob;
pub(crate) mod plane;
pub(crate) mod tasks;

mod batch;
mod client;
mod page;
mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::program;

/// The `kiln` that `KILN_BINARY` names, else one that is built as it is shipped.
fn kiln(root: &Path) -> Result<PathBuf, String> {
    if let Some(kiln) = std::env::var_os("KILN_BINARY") {
        return Ok(kiln.into());
    }
    program::run(program::cargo(root).args(["build", "--release", "-p", "kiln-cli"]))?;
    Ok(root.join("target/release/kiln"))
}

/// An empty folder for what a run makes.
fn clean(data: &Path) -> Result<(), String> {
    drop(std::fs::remove_dir_all(data));
    std::fs::create_dir_all(data).map_err(|cause| format!("no {}: {cause}", data.display()))
}

/// Tells what a run came to; whether all targets are met.
fn tell(outcome: Result<Vec<String>, String>) -> bool {
    match outcome {
        Ok(misses) if misses.is_empty() => true,
        Ok(misses) => {
            crate::report::say(&format!("missed: {}", misses.join("; ")));
            false
        }
        Err(why) => {
            crate::report::say(&format!("xtask: {why}"));
            false
        }
    }
}

/// The middle of some values; there is at least one.
fn median(values: &mut [f64]) -> f64 {
    quantile(values, 50)
}

/// The value below which so many hundredths of some values lie; there is at least one.
fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * percent / 100).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "other programs take their time")]
fn pause(length: Duration) {
    std::thread::sleep(length);
}
