//! The bare loop: what a machine allows to anybody who gives each task a directory and two files.

use std::fs::{self, File};
use std::path::Path;
use std::thread;

use super::now;
use crate::program;

/// Tasks of a second, with a loop for each processor.
pub(super) fn rate(folder: &Path, n_tasks: usize) -> Result<f64, String> {
    let n_loops = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let begun_at = now();
    thread::scope(|scope| {
        let loops: Vec<_> = (0..n_loops)
            .map(|first| {
                scope.spawn(move || {
                    (first..n_tasks).step_by(n_loops).try_for_each(|number| run(folder, number))
                })
            })
            .collect();
        loops.into_iter().try_for_each(|it| {
            let ended = it.join();
            ended.unwrap_or_else(|_panic| Err(std::io::Error::other("a loop panicked")))
        })
    })
    .map_err(|cause| cause.to_string())?;
    Ok(n_tasks as f64 / begun_at.elapsed().as_secs_f64())
}

/// One task. The library starts it without copying this process.
fn run(folder: &Path, number: usize) -> std::io::Result<()> {
    let directory = folder.join(format!("t{number:05}"));
    let working_directory = directory.join("wd");
    fs::create_dir(&directory)?;
    fs::create_dir(&working_directory)?;
    let mut command = program::command("/bin/true", &working_directory);
    command.stdout(File::create(directory.join("stdout.txt"))?);
    command.stderr(File::create(directory.join("stderr.txt"))?);
    if command.status()?.success() { Ok(()) } else { Err(std::io::Error::other("it failed")) }
}
