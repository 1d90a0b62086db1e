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

/// The words that are not options. `set` takes options with numbers, by their names, and says
/// whether it knows them; `switches` are those without.
fn others(
    words: &[String],
    switches: &[&str],
    mut set: impl FnMut(&str, usize) -> bool,
) -> Result<Vec<String>, String> {
    let mut others = Vec::new();
    for word in words.iter().filter(|word| !switches.contains(&word.as_str())) {
        if !word.starts_with("--") {
            others.push(word.clone());
            continue;
        }
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        if !number.parse().is_ok_and(|number| set(name, number)) {
            return Err(format!("`{word}` is not an option of bench"));
        }
    }
    Ok(others)
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

/// The middle of some values, the higher one where there are two; there is at least one.
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

#[cfg(test)]
mod tests {
    use super::others;

    #[test]
    fn options_are_told_from_peers() {
        let check = |words: &[&str], expected: Result<&str, &str>| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let mut n_rounds = 0;
            let others = others(&words, &["--small"], |name, number| {
                n_rounds = number;
                name == "--rounds"
            });
            let told = others.map(|others| format!("{} {n_rounds}", others.join(" ")));
            assert_eq!(told.as_deref().map_err(String::as_str), expected);
        };
        check(&["kiln", "--rounds=3", "--small", "slurm"], Ok("kiln slurm 3"));
        check(&["--round=3"], Err("`--round=3` is not an option of bench"));
        check(&["--rounds=x"], Err("`--rounds=x` is not an option of bench"));
        check(&["--large"], Err("`--large` is not an option of bench"));
    }
}
