//! The processes beside this one: the server that is measured, and the one that plays agents.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

/// What Linux counts processor time in.
const US_PER_TICK: f64 = 10_000.0;
/// How long a server may take to start, in looks for it, and the pause between two.
const LOOKS_MAX: u32 = 60_000;
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// A process that ends with this.
pub(crate) struct Process(Child);

impl Process {
    /// This program in another role.
    #[expect(clippy::disallowed_methods, reason = "what is measured runs apart from the load")]
    fn start(words: [&Path; 3], agents: &Path) -> Result<Self, String> {
        let told = |cause: std::io::Error| format!("this program did not start again: {cause}");
        let program = std::env::current_exe().map_err(told)?;
        let child = Command::new(program)
            .args(words)
            .env("PLANE_AGENTS", agents)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(told)?;
        Ok(Self(child))
    }

    pub(crate) fn kill(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }

    /// Memory by its name in the kernel's own list.
    pub(crate) fn memory_mib(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }

    /// Microseconds of processor that it took so far.
    pub(crate) fn cpu_us(&self) -> f64 {
        let of = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).ok()?;
            // The name in parentheses may hold anything; user and system time stand behind it.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
            let (user, system) = (fields.next()?, fields.next()?);
            Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
        };
        of().unwrap_or(f64::NAN) * US_PER_TICK
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server on a data directory, and the player of its agents.
pub(crate) struct Plane {
    folder: PathBuf,
    pub(crate) server: Process,
    pub(crate) url: String,
    /// Milliseconds from the start of its process until it answered.
    pub(crate) ready_ms: f64,
    players: Process,
}

impl Plane {
    /// Starts a server on an empty folder, and the player of its agents.
    pub(crate) async fn start(folder: PathBuf) -> Result<Self, String> {
        drop(std::fs::remove_dir_all(&folder));
        let agents = folder.join("agents");
        std::fs::create_dir_all(&agents)
            .map_err(|cause| format!("{}: {cause}", folder.display()))?;
        let role = Path::new("agents");
        let players = Process::start([role, &agents, &folder.join("taken")], &agents)?;
        let (server, url, ready_ms) = serve(&folder).await?;
        Ok(Self { folder, server, url, ready_ms, players })
    }

    /// Kills the server, and starts another on what it left.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        self.server.kill();
        (self.server, self.url, self.ready_ms) = serve(&self.folder).await?;
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Microseconds of processor that the players took so far.
    pub(crate) fn players_cpu_us(&self) -> f64 {
        self.players.cpu_us()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.server.kill();
        self.players.kill();
        for folder in ["agents", "taken"] {
            let entries = std::fs::read_dir(self.folder.join(folder));
            for entry in entries.into_iter().flatten().flatten() {
                end_stand_in(&entry.file_name().to_string_lossy());
            }
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Ends the process that stands in for an agent, if it is still the one.
pub(crate) fn end_stand_in(pid: &str) {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_it = command.starts_with(b"sleep\0") || command.starts_with(b"/bin/sh\0");
    if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw).filter(|_| is_it) {
        // It may just have ended.
        let _ended = kill_process(pid, Signal::KILL);
    }
}

async fn serve(folder: &Path) -> Result<(Process, String, f64), String> {
    let ready = folder.join("ready");
    drop(std::fs::remove_file(&ready));
    let begun_at = clock::now();
    let server = Process::start([Path::new("serve"), folder, &ready], &folder.join("agents"))?;
    for _ in 0..LOOKS_MAX {
        if let Ok(url) = std::fs::read_to_string(&ready) {
            return Ok((server, url, clock::milliseconds(begun_at.elapsed())));
        }
        clock::pause(LOOK_PAUSE).await;
    }
    Err("the server did not start".to_owned())
}
