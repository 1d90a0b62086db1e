//! Measures the control plane: how fast tasks come, go to simulated nodes and end.
//!
//! `cargo xtask bench plane` runs it. The server is Kiln as it is, in a process of its own, with
//! the real link and the real store; only the agents are played, all in one process, and their
//! tasks take no time. A third process, this one, makes the load.

mod agents;
mod cases;
mod client;
mod clock;
mod operations;
mod process;
mod serve;
mod table;
mod tasks;

use std::path::Path;
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What the words after the program's name may be.
const USAGE: &str = "usage: plane [--small] [--table=FILE] [--folder=FOLDER] [CASE]...";

/// As the program `kiln` has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        // As many threads as the real program has.
        ["serve", data, ready] => many_threads()
            .and_then(|runtime| runtime.block_on(serve::run(Path::new(data), Path::new(ready))))
            .map(|()| true),
        ["agents", folder, taken] => one_thread()
            .and_then(|runtime| runtime.block_on(agents::run(Path::new(folder), Path::new(taken))))
            .map(|()| true),
        words => Wanted::of(words)
            .and_then(|wanted| one_thread().map(|runtime| (wanted, runtime)))
            .and_then(|(wanted, runtime)| runtime.block_on(measure(&wanted))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            say(&format!("plane: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// What a run is to do.
#[derive(Debug)]
struct Wanted<'w> {
    is_small: bool,
    /// Where the table goes.
    table: Option<&'w str>,
    /// Where what is measured has its data.
    folder: &'w str,
    /// Names of cases; all if there is none.
    cases: Vec<&'w str>,
}

impl<'w> Wanted<'w> {
    fn of(words: &[&'w str]) -> Result<Self, String> {
        let folder = "target/bench/plane";
        let mut wanted = Self { is_small: false, table: None, folder, cases: Vec::new() };
        for word in words {
            if *word == "--small" {
                wanted.is_small = true;
            } else if let Some(file) = word.strip_prefix("--table=") {
                wanted.table = Some(file);
            } else if let Some(folder) = word.strip_prefix("--folder=") {
                wanted.folder = folder;
            } else if cases::NAMES.contains(word) {
                wanted.cases.push(word);
            } else {
                return Err(format!("`{word}`? {USAGE}; cases: {}", cases::NAMES.join(", ")));
            }
        }
        Ok(wanted)
    }
}

/// Runs the cases, shows the table, and writes it if that is wanted; whether all targets are met.
async fn measure(wanted: &Wanted<'_>) -> Result<bool, String> {
    let extent = if wanted.is_small { cases::SMALL } else { cases::WHOLE };
    let folder = std::path::absolute(wanted.folder).map_err(|cause| cause.to_string())?;
    let measured = cases::run(&folder, extent, &wanted.cases).await?;
    say(&measured.text());
    if let Some(file) = wanted.table {
        std::fs::write(file, measured.text()).map_err(|cause| format!("{file}: {cause}"))?;
    }
    Ok(measured.misses() == 0)
}

fn many_threads() -> Result<tokio::runtime::Runtime, String> {
    built(tokio::runtime::Builder::new_multi_thread())
}

fn one_thread() -> Result<tokio::runtime::Runtime, String> {
    built(tokio::runtime::Builder::new_current_thread())
}

fn built(mut builder: tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, String> {
    builder.enable_all().build().map_err(|cause| cause.to_string())
}

/// Tells whoever runs this how far it is; a closed standard output is no reason to fail.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
