//! The programs that are measured.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::bench::client::Client;
use crate::bench::{now, pause, process};
use crate::program;

/// A signature that opens an account of the emulator's published name and key, whatever it
/// asks for: the key is well known, so this is no secret either.
const TOKEN: &str = "sv=2020-04-08&ss=b&srt=sco&sp=rwdlac&st=2020-01-01T00%3A00%3A00Z\
                     &se=2100-01-01T00%3A00%3A00Z\
                     &sig=w0CE24zMcig1J5u3aGdNvHCFwA9%2FHi0kgPghaxZM9mQ%3D";
/// Times that a peer is asked whether it is there, and the pause between two.
const KNOCKS_MAX: u32 = 30_000;
const KNOCK_PAUSE: Duration = Duration::from_millis(1);

/// A program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    KilnFull,
    KilnRelaxed,
    AzuriteDisk,
    AzuriteMemory,
    Nginx,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::KilnFull, Self::KilnRelaxed, Self::AzuriteDisk, Self::AzuriteMemory, Self::Nginx];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KilnFull => "Kiln, full",
            Self::KilnRelaxed => "Kiln, relaxed",
            Self::AzuriteDisk => "Azurite, disk",
            Self::AzuriteMemory => "Azurite, memory",
            Self::Nginx => "nginx",
        }
    }

    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::KilnFull | Self::KilnRelaxed)
    }

    const fn port(self) -> u16 {
        match self {
            Self::KilnFull => 21_701,
            Self::KilnRelaxed => 21_702,
            Self::AzuriteDisk => 21_703,
            Self::AzuriteMemory => 21_704,
            Self::Nginx => 21_705,
        }
    }
}

/// A program that runs, until this is dropped.
pub(super) struct Peer {
    pub(super) kind: Kind,
    pub(super) port: u16,
    pub(super) version: String,
    pub(super) root: PathBuf,
    /// Where files that it serves are put, for a peer that takes none by itself.
    pub(super) files: PathBuf,
    pub(super) idle_mib: f64,
    command: Command,
    child: Child,
}

impl Peer {
    /// Starts it and waits until it answers.
    pub(super) fn start(
        kind: Kind,
        root: &Path,
        folder: &Path,
        kiln: &Path,
    ) -> Result<Self, String> {
        let port = kind.port();
        let data = folder.join("data").join(port.to_string());
        let files = data.join("files");
        std::fs::create_dir_all(&files).map_err(|cause| format!("{}: {cause}", data.display()))?;
        let (mut command, version) = match kind {
            Kind::KilnFull => kiln_up(kiln, &data, port, "full")?,
            Kind::KilnRelaxed => kiln_up(kiln, &data, port, "relaxed")?,
            Kind::AzuriteDisk => azurite(root, folder, &data, port, &[])?,
            Kind::AzuriteMemory => azurite(root, folder, &data, port, &["--inMemoryPersistence"])?,
            Kind::Nginx => nginx(root, &data, port)?,
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(&mut command)?;
        let root = root.to_owned();
        let peer = Self { kind, port, version, root, files, idle_mib: 0.0, command, child };
        peer.await_answer()?;
        Ok(peer)
    }

    /// Kills it and starts it on what it has; the time until it answers.
    pub(super) fn restart(&mut self) -> Result<Duration, String> {
        self.signal("-KILL")?;
        self.child.wait().map_err(|cause| format!("did not end: {cause}"))?;
        let begun_at = now();
        self.child = spawn(&mut self.command)?;
        self.await_answer()?;
        Ok(begun_at.elapsed())
    }

    fn await_answer(&self) -> Result<(), String> {
        let target = format!("/devstoreaccount1{}&comp=list&maxresults=1", self.query());
        let ask = || Client::connect(self.port)?.send("GET", &target, 0);
        for _ in 0..KNOCKS_MAX {
            if ask().is_ok_and(|(status, _)| status < 500) {
                return Ok(());
            }
            pause(KNOCK_PAUSE);
        }
        Err("it does not answer".to_owned())
    }

    /// The target of a blob, before the query.
    pub(super) fn path(&self, container: &str, blob: &str) -> String {
        if self.kind == Kind::Nginx {
            format!("/{blob}")
        } else {
            format!("/devstoreaccount1/{container}/{blob}")
        }
    }

    /// What a target ends with.
    pub(super) fn query(&self) -> String {
        if self.kind == Kind::Nginx { String::new() } else { format!("?{TOKEN}") }
    }

    /// Lets it stand still.
    pub(super) fn stop(&self) -> Result<(), String> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    pub(super) fn resume(&self) -> Result<(), String> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<(), String> {
        let pids = self.pids().into_iter().map(|pid| pid.to_string());
        program::run_quietly(program::command("kill", &self.root).arg(signal).args(pids)).map(drop)
    }

    /// Its processes.
    fn pids(&self) -> Vec<u32> {
        process::tree(self.child.id())
    }

    pub(super) fn note_idle_memory(&mut self) {
        self.idle_mib = self.memory_mib("VmRSS:");
    }

    /// Begins anew to watch how much memory it takes.
    pub(super) fn forget_peak(&self) {
        for pid in self.pids() {
            // Where the kernel does not allow it the peak is that of the whole run.
            drop(std::fs::write(format!("/proc/{pid}/clear_refs"), "5"));
        }
    }

    /// The most memory it took since.
    pub(super) fn peak_mib(&self) -> f64 {
        self.memory_mib("VmHWM:")
    }

    /// Microseconds of processor that it took so far.
    pub(super) fn cpu_us(&self) -> f64 {
        self.pids().into_iter().map(process::cpu_us).sum()
    }

    fn memory_mib(&self, name: &str) -> f64 {
        self.pids().into_iter().map(|pid| process::memory_mib(pid, name)).sum()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.signal("-KILL"));
        drop(self.child.wait());
    }
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    command.spawn().map_err(|cause| format!("did not start: {cause}"))
}

fn kiln_up(
    kiln: &Path,
    data: &Path,
    port: u16,
    durability: &str,
) -> Result<(Command, String), String> {
    let version = program::run_quietly(program::command(kiln, data).arg("--version"))?;
    let mut command = program::command(kiln, data);
    command
        .args(["up", "--batch-listen", "127.0.0.1:0", "--log", "error"])
        .args(["--blob-listen", &format!("127.0.0.1:{port}")])
        .args(["--durability", durability, "--data"])
        .arg(data.join("kiln"));
    Ok((command, version.trim().to_owned()))
}

/// Installs Azurite below `target/bench`, once, and starts its Blob service.
fn azurite(
    root: &Path,
    folder: &Path,
    data: &Path,
    port: u16,
    more: &[&str],
) -> Result<(Command, String), String> {
    let node = program::run_quietly(program::command("node", root).arg("--version"))
        .map_err(|_why| "needs node and npm".to_owned())?;
    let home = folder.join("azurite");
    let script = home.join("node_modules/azurite/dist/src/blob/main.js");
    if !script.exists() {
        std::fs::create_dir_all(&home).map_err(|cause| cause.to_string())?;
        std::fs::copy(root.join("benches/blob/package.json"), home.join("package.json"))
            .map_err(|cause| cause.to_string())?;
        let mut npm = program::command("npm", &home);
        program::run_quietly(npm.args(["install", "--no-audit", "--no-fund"]))
            .map_err(|_why| "npm could not install it".to_owned())?;
    }
    let mut command = program::command("node", data);
    command
        .arg(&script)
        .args(["--silent", "--disableTelemetry", "--blobPort", &port.to_string()])
        .args(more);
    if more.is_empty() {
        command.arg("--location").arg(data);
    }
    let manifest = home.join("node_modules/azurite/package.json");
    let manifest = std::fs::read_to_string(manifest).unwrap_or_default();
    let version = manifest.lines().find_map(|line| line.trim().strip_prefix("\"version\": \""));
    let version = version.unwrap_or_default().trim_end_matches([',', '"']);
    Ok((command, format!("azurite {version} on Node {}", node.trim())))
}

fn nginx(root: &Path, data: &Path, port: u16) -> Result<(Command, String), String> {
    let binary = "/usr/sbin/nginx";
    if !Path::new(binary).exists() {
        return Err("install it (Debian's package is `nginx-light`)".to_owned());
    }
    let template = std::fs::read_to_string(root.join("benches/blob/nginx.conf"));
    let template = template.map_err(|cause| cause.to_string())?;
    let user = if is_root(root) { "user root;\n" } else { "" };
    let filled = template.replace("FOLDER", &data.display().to_string());
    let filled = format!("{user}{}", filled.replace("PORT", &port.to_string()));
    let file = data.join("nginx.conf");
    std::fs::write(&file, filled).map_err(|cause| cause.to_string())?;
    let mut told = program::command("sh", root);
    let version = program::run_quietly(told.args(["-c", "/usr/sbin/nginx -v 2>&1"]))?;
    let version = version.rsplit('/').next().unwrap_or_default().trim();
    let mut command = program::command(binary, data);
    command.arg("-c").arg(&file);
    Ok((command, format!("nginx {version}")))
}

fn is_root(root: &Path) -> bool {
    program::run_quietly(program::command("id", root).arg("-u")).is_ok_and(|id| id.trim() == "0")
}
