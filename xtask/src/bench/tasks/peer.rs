//! Other programs that run many small tasks.

use std::path::Path;
use std::time::Duration;

use super::kiln::until;
use super::{Setting, now};
use crate::program;

/// Cores that peers are told to have: they leave processors idle with as many as there are.
const PRETENDED_CORES: usize = 16;
const SLURM_NODES: usize = 2;
const SLURM_CORES: usize = 64;
/// Ports of Slurm's programs: the first is the controller's.
const SLURM_PORT: usize = 21_730;
/// Pause between two looks at Slurm's queue.
const LOOK_EACH: Duration = Duration::from_millis(100);

/// Who runs the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Bare,
    Kiln,
    HyperQueue,
    Parallel,
    Slurm,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Bare, Self::Kiln, Self::HyperQueue, Self::Parallel, Self::Slurm];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare loop",
            Self::Kiln => "Kiln",
            Self::HyperQueue => "HyperQueue",
            Self::Parallel => "GNU parallel",
            Self::Slurm => "Slurm",
        }
    }

    /// Name of its folder.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Kiln => "kiln",
            Self::HyperQueue => "hyperqueue",
            Self::Parallel => "parallel",
            Self::Slurm => "slurm",
        }
    }

    /// What it is asked to do.
    pub(super) const fn manner(self) -> &'static str {
        match self {
            Self::Bare => "two directories and two files for each, then start and wait",
            Self::Kiln => "one isolated node; REST API, full durability",
            Self::HyperQueue => "its Python API; 16 cores; default output files; no journal",
            Self::Parallel => "as many at once as processors; `--results`",
            Self::Slurm => "an array; 2 nodes of 64 cores; default output files",
        }
    }

    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::Bare | Self::Kiln)
    }
}

/// What is measured; an error tells what is missing.
pub(super) fn version(kind: Kind, setting: &Setting<'_>) -> Result<Option<String>, String> {
    let root = setting.root;
    let say = |name: &str, words: &[&str]| {
        program::run_quietly(program::command(name, root).args(words))
            .map(|text| text.lines().next().unwrap_or_default().trim().to_owned())
    };
    match kind {
        Kind::Bare => Ok(None),
        Kind::Kiln => {
            let kiln = setting.kiln.to_string_lossy();
            say(&kiln, &["--version"]).map(Some)
        }
        Kind::HyperQueue => {
            install_hyperqueue(root)?;
            let pins = std::fs::read_to_string(root.join("benches/tasks/hyperqueue.txt"));
            let pins = pins.map_err(|cause| cause.to_string())?;
            Ok(pins.lines().find(|line| line.starts_with("hyperqueue==")).map(ToOwned::to_owned))
        }
        Kind::Parallel => say("parallel", &["--version"])
            .map(Some)
            .map_err(|_why| "install it (Debian's package is `parallel`)".to_owned()),
        Kind::Slurm => {
            let packages = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge";
            let missing = format!("install it (Debian's packages are `{packages}`)");
            for name in ["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged"] {
                if !Path::new(name).exists() {
                    return Err(missing);
                }
            }
            say("slurmctld", &["-V"]).map(Some).map_err(|_why| missing)
        }
    }
}

/// Installs `HyperQueue` below `target/bench`, once.
fn install_hyperqueue(root: &Path) -> Result<(), String> {
    let home = root.join("target/bench/hyperqueue");
    if home.join("done").exists() {
        return Ok(());
    }
    let failed = |_why: String| "pip could not install it below target/bench".to_owned();
    let mut venv = program::command("python3", root);
    program::run_quietly(venv.args(["-m", "venv"]).arg(&home)).map_err(failed)?;
    let mut pip = program::command(home.join("bin/pip"), root);
    let pins = root.join("benches/tasks/hyperqueue.txt");
    program::run_quietly(pip.args(["install", "-q", "-r"]).arg(pins)).map_err(failed)?;
    std::fs::write(home.join("done"), "").map_err(|cause| cause.to_string())
}

/// Tasks of a second of `HyperQueue`, whose server and worker are threads of one process here.
pub(super) fn hyperqueue(root: &Path, folder: &Path, n_tasks: usize) -> Result<f64, String> {
    let mut python = program::command(root.join("target/bench/hyperqueue/bin/python"), folder);
    python.arg(root.join("benches/tasks/run_hyperqueue.py"));
    let text =
        program::run_quietly(python.args([n_tasks.to_string(), PRETENDED_CORES.to_string()]))?;
    let seconds: Option<f64> = text.lines().last().and_then(|line| line.trim().parse().ok());
    seconds.map(|it| n_tasks as f64 / it).ok_or(text)
}

/// Tasks of a second of GNU parallel.
pub(super) fn parallel(folder: &Path, n_tasks: usize) -> Result<f64, String> {
    let mut shell = program::command("sh", folder);
    let line = format!("seq {n_tasks} | parallel --will-cite --results results true");
    let begun_at = now();
    // It tells its results once more, of which there are none.
    program::run_quietly(shell.args(["-c", &line]))?;
    Ok(n_tasks as f64 / begun_at.elapsed().as_secs_f64())
}

/// Tasks of a second of a Slurm of which nothing lies outside the folder.
pub(super) fn slurm(root: &Path, folder: &Path, n_tasks: usize) -> Result<f64, String> {
    let started = Slurm::start(root, folder)?;
    let array = format!("--array=1-{n_tasks}");
    let begun_at = now();
    started.ask("sbatch", &[&array, "--wrap=true"])?;
    until(LOOK_EACH, || {
        let queue = started.ask("squeue", &["-h"])?;
        Ok(queue.trim().is_empty().then_some(()))
    })?;
    let seconds = begun_at.elapsed().as_secs_f64();
    let n_outputs = std::fs::read_dir(folder.join("out")).into_iter().flatten().count();
    if n_outputs < n_tasks {
        return Err(format!("{n_outputs} of {n_tasks} tasks left a file"));
    }
    Ok(n_tasks as f64 / seconds)
}

/// Daemons of Slurm, until this is dropped.
struct Slurm<'a> {
    folder: &'a Path,
}

impl<'a> Slurm<'a> {
    fn start(root: &Path, folder: &'a Path) -> Result<Self, String> {
        let shown = |cause: std::io::Error| cause.to_string();
        for name in ["state", "munge", "out"] {
            std::fs::create_dir_all(folder.join(name)).map_err(shown)?;
        }
        let template = std::fs::read_to_string(root.join("benches/tasks/slurm.conf"));
        let host = program::run_quietly(program::command("hostname", root).arg("-s"))?;
        let mut text = template
            .map_err(shown)?
            .replace("FOLDER", &folder.display().to_string())
            .replace("HOST", host.trim())
            .replace("PORT", &SLURM_PORT.to_string());
        for number in 1..=SLURM_NODES {
            let (host, port) = (host.trim(), SLURM_PORT + number);
            text.push_str(&format_node(number, host, port));
        }
        std::fs::write(folder.join("slurm.conf"), text).map_err(shown)?;
        let slurm = Self { folder };
        // Those of a run that was cut off still have the ports.
        slurm.shell(
            "for name in slurmd slurmctld munged; do for file in ../../*/*/*.pid; do \
             pkill -F $file $name || true; done; done 2>/dev/null",
        )?;
        slurm.shell(
            "head -c 1024 /dev/urandom > munge/key && chmod 400 munge/key && chmod 700 munge && \
             munged --force --key-file munge/key --socket $PWD/munge/sock \
             --pid-file $PWD/munge.pid --log-file $PWD/munge/log --seed-file $PWD/munge/seed",
        )?;
        slurm.shell("slurmctld")?;
        for number in 1..=SLURM_NODES {
            slurm.shell(&format!("slurmd -N n{number}"))?;
        }
        until(LOOK_EACH, || {
            let idle = slurm.ask("sinfo", &["-h", "-N", "-t", "idle", "-o", "%N"])?;
            Ok((idle.lines().count() == SLURM_NODES).then_some(()))
        })?;
        Ok(slurm)
    }

    fn shell(&self, line: &str) -> Result<String, String> {
        self.ask("sh", &["-c", line])
    }

    fn ask(&self, name: &str, words: &[&str]) -> Result<String, String> {
        let mut command = program::command(name, &self.folder.join("out"));
        if name == "sh" {
            command.current_dir(self.folder);
        }
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
        program::run_quietly(command.args(words))
    }
}

impl Drop for Slurm<'_> {
    fn drop(&mut self) {
        let pids = "for f in slurmd-*.pid slurmctld.pid munge.pid; do kill $(cat $f); done";
        drop(self.shell(pids));
    }
}

fn format_node(number: usize, host: &str, port: usize) -> String {
    format!(
        "NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} \
         CPUs={SLURM_CORES} RealMemory=1000 State=UNKNOWN\n"
    )
}
