//! The real clients: one environment for each pinned set of packages, and the tests in them.
//!
//! `tests/clients/pins/NAME.txt` lists every package of one environment, dependencies
//! included; `target/clients/NAME` is the virtual environment made of it. An environment is
//! made again only when its pins or its Python change. Tasks on nodes use the environments
//! too, so they lie elsewhere where a node could not see `target`.

use crate::program;
use crate::report::{self, Outcome};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Preferred before the first `python3` of the search path, because users on a node that are
/// not root can reach it; one in a private home they cannot.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";
/// Environments made at the same time.
const BUILDERS_MAX: usize = 3;
/// Folders that each node has for itself; what this machine has in them, a node does not see.
const FOLDERS_OF_NODES: [&str; 3] = ["/tmp", "/run", "/dev"];
/// Permission of everybody to pass through a folder.
const MODE_OTHERS_PASS: u32 = 0o001;
/// Holds what an environment was made of; written last, so its presence means "complete".
const STAMP: &str = ".made-of";

/// Where the environments are, and which of them could be made.
#[derive(Debug)]
pub(crate) struct Environments {
    folder: PathBuf,
    has_javascript: bool,
}

/// Makes every environment that is missing or outdated.
pub(crate) fn prepare(root: &Path) -> Result<Environments, String> {
    let folder = folder_for(&root.join("target"));
    std::fs::create_dir_all(&folder)
        .map_err(|cause| format!("cannot make {}: {cause}", folder.display()))?;
    let python = python(root)?;
    let pins = pin_files(&root.join("tests/clients/pins"))?;
    let queue = std::sync::Mutex::new(pins);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let build = || {
            let mut failures = Vec::new();
            while let Some(pin) = next(&queue) {
                if let Err(why) = virtual_environment(root, &folder, &python, &pin) {
                    failures.push(why);
                }
            }
            failures
        };
        let builders: Vec<_> = (0..BUILDERS_MAX).map(|_| scope.spawn(build)).collect();
        let failed = |_| vec!["a builder of environments panicked".to_owned()];
        builders.into_iter().flat_map(|it| it.join().unwrap_or_else(failed)).collect()
    });
    if !failures.is_empty() {
        return Err(failures.join("\n"));
    }
    Ok(Environments { has_javascript: node_modules(root, &folder)?, folder })
}

/// Runs the tests under `tests/clients` with pytest.
pub(crate) fn run_tests(root: &Path, environments: &Environments, filters: &[String]) -> Outcome {
    let python = environments.folder.join("pytest/bin/python");
    let mut command = program::command(&python, root);
    command.args(["-m", "pytest", "tests/clients", "-p", "no:cacheprovider"]);
    if !filters.is_empty() {
        command.args(["-k", &filters.join(" or ")]);
    }
    command
        .env("KILN_BINARY", root.join("target/debug/kiln"))
        .env("KILN_CLIENTS", &environments.folder)
        .env("KILN_HAS_JAVASCRIPT", if environments.has_javascript { "1" } else { "" })
        .env("PYTHONDONTWRITEBYTECODE", "1");
    match program::shown(&mut command) {
        Ok((status, _)) if status.success() => Outcome::Passed,
        // pytest's own code for "no test was chosen", which a filter may well mean.
        Ok((status, _)) if status.code() == Some(5) && !filters.is_empty() => {
            Outcome::Skipped("the filter chose none of these tests".to_owned())
        }
        Ok((status, last)) => Outcome::Failed(format!("pytest ended with {status}\n{last}")),
        Err(cause) => Outcome::Failed(format!("{} did not start: {cause}", python.display())),
    }
}

/// Builds the program that drives the storage SDK for Rust.
pub(crate) fn build_rust(root: &Path, environments: &Environments) -> Result<(), String> {
    let mut build = program::cargo(root);
    build
        .args(["build", "--locked", "--manifest-path", "tests/clients/rust/Cargo.toml"])
        .arg("--target-dir")
        .arg(environments.folder.join("rust"));
    program::run(&mut build)
}

/// Where environments lie: below `target` if the users of a node can reach that.
fn folder_for(target: &Path) -> PathBuf {
    let is_visible = !FOLDERS_OF_NODES.iter().any(|it| target.starts_with(it));
    // `target` itself may not be there yet.
    let is_open = target.ancestors().skip(1).all(|it| {
        std::fs::metadata(it).is_ok_and(|it| it.permissions().mode() & MODE_OTHERS_PASS != 0)
    });
    if is_visible && is_open {
        return target.join("clients");
    }
    let uid = std::fs::metadata("/proc/self").map_or(0, |it| it.uid());
    let folder = PathBuf::from(format!("/var/tmp/kiln-clients-{uid}"));
    report::say(&format!(
        "note: nodes cannot reach {}, so the clients' environments lie in {}",
        target.display(),
        folder.display()
    ));
    folder
}

fn next(queue: &std::sync::Mutex<Vec<PathBuf>>) -> Option<PathBuf> {
    queue.lock().map_or_else(|_| None, |mut it| it.pop())
}

fn python(root: &Path) -> Result<PathBuf, String> {
    let can_make_environments = |name: &Path| {
        program::works(program::command(name, root).args(["-c", "import venv, ensurepip"]))
    };
    let system = PathBuf::from(SYSTEM_PYTHON);
    if can_make_environments(&system) {
        return Ok(system);
    }
    let any = PathBuf::from("python3");
    if can_make_environments(&any) {
        report::say(
            "note: only a private python3 was found: tasks of the client tests run elevated",
        );
        return Ok(any);
    }
    Err("no python3 with the venv module; `cargo xtask test --setup` installs it".to_owned())
}

fn pin_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let told = |cause| format!("cannot list {}: {cause}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.extension().is_some_and(|it| it == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn virtual_environment(
    root: &Path,
    folder: &Path,
    python: &Path,
    pins: &Path,
) -> Result<(), String> {
    let name = pins.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let place = folder.join(&name);
    let pinned = std::fs::read_to_string(pins)
        .map_err(|cause| format!("cannot read {}: {cause}", pins.display()))?;
    let version = program::run_quietly(program::command(python, root).arg("--version"))?;
    let made_of = format!("{} {version}{}\n{pinned}", python.display(), place.display());
    let make = || {
        let mut venv = program::command(python, root);
        program::run_quietly(venv.args(["-m", "venv", "--clear"]).arg(&place))?;
        let mut pip = program::command(place.join("bin/python"), root);
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"]).arg(pins);
        pip.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        program::run_quietly(&mut pip).map(drop)
    };
    unless_made(&place, &made_of, &name, make)
}

/// Installs the JavaScript packages; answers `false` where there is no node or npm.
fn node_modules(root: &Path, folder: &Path) -> Result<bool, String> {
    let is_there = |name: &str| program::works(program::command(name, root).arg("--version"));
    if !(is_there("node") && is_there("npm")) {
        return Ok(false);
    }
    let place = folder.join("javascript");
    let source = root.join("tests/clients/javascript");
    let lock = source.join("package-lock.json");
    let made_of = std::fs::read_to_string(&lock)
        .map_err(|cause| format!("cannot read {}: {cause}", lock.display()))?;
    let make = || {
        std::fs::create_dir_all(&place)
            .map_err(|cause| format!("cannot make {}: {cause}", place.display()))?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), place.join(file))
                .map_err(|cause| format!("cannot copy {file}: {cause}"))?;
        }
        let mut npm: Command = program::command("npm", &place);
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        program::run_quietly(&mut npm).map(drop)
    };
    unless_made(&place, &made_of, "javascript", make)?;
    Ok(true)
}

/// Calls `make` unless `place` was already made of exactly this.
fn unless_made(
    place: &Path,
    made_of: &str,
    name: &str,
    make: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let stamp = place.join(STAMP);
    if std::fs::read_to_string(&stamp).is_ok_and(|it| it == made_of) {
        return Ok(());
    }
    let mut result = Ok(());
    let line = report::timed(&format!("environment {name}"), || {
        result = make();
        match &result {
            Ok(()) => Outcome::Passed,
            Err(_) => Outcome::Failed(String::new()),
        }
    });
    drop(line);
    result.map_err(|why| format!("environment `{name}`: {why}"))?;
    std::fs::write(&stamp, made_of)
        .map_err(|cause| format!("cannot write {}: {cause}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn environments_lie_where_nodes_see_them() {
        assert_eq!(folder_for(Path::new("/usr/target")), Path::new("/usr/target/clients"));
        for hidden in ["/tmp/kiln/target", "/no/such/folder/target"] {
            assert!(folder_for(Path::new(hidden)).starts_with("/var/tmp"), "{hidden}");
        }
    }

    #[test]
    fn an_environment_is_made_once_and_again_when_its_pins_change() {
        let place = tempfile::tempdir().unwrap();
        let n_made = Cell::new(0);
        let make = || {
            n_made.set(n_made.get() + 1);
            Ok(())
        };
        for (pins, expected) in [("a==1", 1), ("a==1", 1), ("a==2", 2)] {
            unless_made(place.path(), pins, "test", make).unwrap();
            assert_eq!(n_made.get(), expected);
        }
    }

    #[test]
    fn a_failed_environment_is_not_taken_for_made() {
        let place = tempfile::tempdir().unwrap();
        let fail = || Err("no network".to_owned());
        assert!(unless_made(place.path(), "a==1", "test", fail).is_err());
        assert!(!place.path().join(STAMP).exists());
    }
}
