//! `cargo xtask test`: every check there is, in one command.
//!
//! A request names steps and filters; each step is a small function that ends in an
//! [`Outcome`]. Steps do not stop each other: one run shows everything that is wrong.

mod clients;
mod fuzz;
mod setup;

use crate::program;
use crate::report::{self, Line, Outcome};
use std::path::Path;
use std::process::ExitCode;

/// The steps, in the order they run.
const STEPS: [&str; 8] = ["fmt", "clippy", "tidy", "rust", "sim", "doc", "fuzz", "clients"];
/// Schedules of the simulator with the same seeds in each run.
const KNOWN_SCHEDULES: &str = "1500";
/// Schedules of the simulator with seeds that each state of the sources has for itself.
const FRESH_SCHEDULES: &str = "500";
/// Bits of a seed that count the schedules of one state of the sources.
const SEED_SPACE_BITS: u32 = 20;

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Install what is missing before anything else.
    installs: bool,
    /// Only these steps; empty means all.
    steps: Vec<String>,
    /// Only tests whose name contains one of these; empty means all.
    filters: Vec<String>,
}

impl Request {
    /// Reads the words behind `cargo xtask test`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut request = Self::default();
        for word in words {
            if word == "--setup" {
                request.installs = true;
            } else if word.starts_with('-') {
                return Err(format!("`{word}` is not an option of `test`"));
            } else if STEPS.contains(&word.as_str()) {
                request.steps.push(word.clone());
            } else {
                request.filters.push(word.clone());
            }
        }
        Ok(request)
    }

    fn wants(&self, step: &str) -> bool {
        let is_about_tests = matches!(step, "rust" | "clients");
        if self.steps.is_empty() {
            self.filters.is_empty() || is_about_tests
        } else {
            self.steps.iter().any(|it| it == step)
        }
    }
}

/// Runs what was asked for and closes with a table.
pub(crate) fn run(root: &Path, request: &Request) -> ExitCode {
    let mut lines = Vec::new();
    if request.installs {
        lines.push(report::timed("setup", || setup::install(root)));
    }
    for note in setup::shortcomings(root) {
        report::say(&format!("note: {note}"));
    }
    std::thread::scope(|scope| {
        let environments = request.wants("clients").then(|| scope.spawn(|| clients::prepare(root)));
        lines.extend(rust_steps(root, request));
        if let Some(environments) = environments {
            let prepared = environments
                .join()
                .unwrap_or_else(|_| Err("preparing the environments panicked".to_owned()));
            lines.extend(client_steps(root, request, prepared));
        }
    });
    report::say(&report::closing(&lines));
    if report::has_failed(&lines) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn rust_steps(root: &Path, request: &Request) -> Vec<Line> {
    let mut lines = Vec::new();
    for step in STEPS {
        if !request.wants(step) {
            continue;
        }
        match step {
            "fmt" => lines.push(report::timed(step, || cargo(root, &["fmt", "--all", "--check"]))),
            "clippy" => lines.push(report::timed(step, || {
                let asked = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                cargo(root, &asked)
            })),
            "tidy" => lines.push(report::timed(step, || {
                if crate::tidy::run(root) {
                    Outcome::Passed
                } else {
                    Outcome::Failed("house rules are broken".to_owned())
                }
            })),
            "rust" => lines.push(report::timed(step, || rust_tests(root, &request.filters))),
            "sim" => lines.push(report::timed(step, || simulate(root))),
            "doc" => {
                let asked = ["test", "--workspace", "--doc", "--quiet"];
                lines.push(report::timed(step, || cargo(root, &asked)));
            }
            "fuzz" => lines.push(report::timed(step, || fuzz::run(root))),
            _ => {}
        }
    }
    lines
}

/// Schedules of the simulator. New seeds come with new sources, so that the same sources give
/// the same outcome everywhere.
fn simulate(root: &Path) -> Outcome {
    let mut command = program::cargo(root);
    command.args(["run", "--quiet", "--package", "kiln-sim", "--", "--all-states"]);
    command.args(["--schedules", KNOWN_SCHEDULES, "--fresh", FRESH_SCHEDULES]);
    let tree = program::run_quietly(program::command("git", root).args(["rev-parse", "HEAD:"]));
    let seed = tree.ok().and_then(|tree| u64::from_str_radix(tree.get(..11)?, 16).ok());
    if let Some(seed) = seed {
        command.arg("--fresh-from").arg((seed << SEED_SPACE_BITS).to_string());
    }
    outcome(program::run(&mut command))
}

/// The Rust tests, with nextest where it is installed.
fn rust_tests(root: &Path, filters: &[String]) -> Outcome {
    let has_nextest = program::works(program::cargo(root).args(["nextest", "--version"]));
    let mut command = program::cargo(root);
    if has_nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        if !filters.is_empty() {
            command.arg("--no-tests=pass");
        }
        command.args(filters);
    } else {
        report::say("note: cargo-nextest is not installed, `cargo test` runs the tests");
        command.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        // `cargo test` takes one filter; `--` lets its runner take several.
        command.arg("--").args(filters);
    }
    outcome(program::run(&mut command))
}

fn client_steps(
    root: &Path,
    request: &Request,
    prepared: Result<clients::Environments, String>,
) -> Vec<Line> {
    let environments = match prepared {
        Ok(environments) => environments,
        Err(why) => return vec![report::timed("clients", || Outcome::Failed(why))],
    };
    let build = report::timed("build", || build(root, &environments));
    if build.outcome != Outcome::Passed {
        return vec![build];
    }
    let run =
        report::timed("clients", || clients::run_tests(root, &environments, &request.filters));
    vec![build, run]
}

/// Builds what the client tests run: Kiln, the client in Rust, and the suite of extents.
fn build(root: &Path, environments: &clients::Environments) -> Outcome {
    let built = program::run(program::cargo(root).args(["build", "--bin", "kiln"]))
        .and_then(|()| {
            let suite = ["build", "-p", "kiln-extents", "--example", "extents_suite"];
            program::run(program::cargo(root).args(suite))
        })
        .and_then(|()| clients::build_rust(root, environments));
    outcome(built)
}

fn cargo(root: &Path, arguments: &[&str]) -> Outcome {
    outcome(program::run(program::cargo(root).args(arguments)))
}

fn outcome(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, expected_steps: &str) {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let request = Request::parse(&words).unwrap();
        let steps: Vec<&str> = STEPS.into_iter().filter(|step| request.wants(step)).collect();
        assert_eq!(steps.join(" "), expected_steps);
    }

    #[test]
    fn words_choose_steps() {
        check("", "fmt clippy tidy rust sim doc fuzz clients");
        check("--setup", "fmt clippy tidy rust sim doc fuzz clients");
        check("fmt tidy", "fmt tidy");
        check("resize", "rust clients");
        check("rust resize", "rust");
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(Request::parse(&["--fast".to_owned()]).is_err());
    }
}
