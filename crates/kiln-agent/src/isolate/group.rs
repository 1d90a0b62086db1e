//! Control groups (version 2): one for each node, in it one for each running command, so
//! that a command and all that descends from it can be killed at once.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::controllers;
use super::limits::{Controller, Limits, PERIOD_US};

/// Bytes of what the kernel says about a group.
const EVENTS_BYTES_MAX: usize = 256;

/// Beginning of the name of every node's group.
pub(crate) const NAME_BEGINNING: &str = "kiln-";
/// Age up to which a group without processes may belong to a living agent.
const YOUNG_FOR: Duration = Duration::from_secs(300);

/// The control group of a node.
#[derive(Debug)]
pub(crate) struct NodeGroup {
    path: PathBuf,
    /// Who starts processes in it, if not the agent's own user.
    owner: Option<u32>,
    /// What the groups of commands can limit.
    controllers: Vec<Controller>,
}

impl NodeGroup {
    /// Makes the group of the node `name` below the agent's own, in which the user `owner` may
    /// start processes that have `limits` at the most.
    pub(crate) fn create(name: &str, owner: Option<u32>, limits: &Limits) -> io::Result<Self> {
        let above = controllers::own_directory()?;
        remove_stale(&above);
        let path = above.join(format!("{NAME_BEGINNING}{name}"));
        let mut group = Self { path, owner, controllers: Vec::new() };
        if group.path.exists() {
            // Left behind by an agent that was killed.
            group.kill()?;
            group.remove()?;
        }
        group.make(&group.path)?;
        if !group.path.join("cgroup.kill").exists() {
            group.remove()?;
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let wanted: Vec<Controller> = limits.controllers().collect();
        if !wanted.is_empty() {
            let enabled = controllers::enable(&above, &wanted);
            group.controllers = controllers::enable(&group.path, &enabled);
        }
        group.make(&group.init_path())?;
        Ok(group)
    }

    /// What the groups of commands can limit.
    pub(crate) fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    fn is_empty(&self) -> bool {
        let events = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 0")
    }

    /// Where the kernel counts what its processes take.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn init_path(&self) -> PathBuf {
        self.path.join("init")
    }

    fn make(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        match self.owner {
            Some(owner) => chown(path.join("cgroup.procs"), Some(owner), None),
            None => Ok(()),
        }
    }

    /// The group of the node's first process, for it to begin in.
    pub(crate) fn init_directory(&self) -> io::Result<OwnedFd> {
        open_directory(&self.init_path())
    }

    /// Moves the node's first process to its group.
    pub(crate) fn adopt(&self, init: i32) -> io::Result<()> {
        fs::write(self.init_path().join("cgroup.procs"), init.to_string())
    }

    /// Makes the group of one command.
    pub(crate) fn add(&self, id: u64, limits: &Limits) -> io::Result<CommandGroup> {
        let path = self.path.join(id.to_string());
        self.make(&path)?;
        for controller in &self.controllers {
            let Some(value) = limits.value(*controller) else { continue };
            let (file, text) = match controller {
                Controller::Processes => ("pids.max", value.to_string()),
                Controller::Memory => ("memory.max", value.to_string()),
                Controller::Processor => ("cpu.max", format!("{value} {PERIOD_US}")),
            };
            fs::write(path.join(file), text)?;
        }
        CommandGroup::open(path)
    }

    /// Kills every process of the node but the first.
    pub(crate) fn kill_commands(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)?.flatten() {
            let path = entry.path();
            if path.is_dir() && path != self.init_path() {
                fs::write(path.join("cgroup.kill"), "1")?;
            }
        }
        Ok(())
    }

    /// Kills every process of the node.
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.kill"), "1")
    }

    /// Removes the group and those below; no process may be left.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Ok(());
        };
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            fs::remove_dir(entry.path())?;
        }
        fs::remove_dir(&self.path)
    }
}

/// Removes the groups of nodes whose agents were killed.
fn remove_stale(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let is_nodes =
            entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME_BEGINNING));
        let group = NodeGroup { path: entry.path(), owner: None, controllers: Vec::new() };
        if is_nodes && is_old(&entry) && group.is_empty() {
            // Another agent may be quicker.
            let _removed = group.remove();
        }
    }
}

/// Whether a group was made so long ago that it would have its first process: a young one may
/// be about to get it.
pub(crate) fn is_old(entry: &fs::DirEntry) -> bool {
    let made = entry.metadata().and_then(|found| found.modified()).ok();
    made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > YOUNG_FOR)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// The control group of one command; removed with this value.
#[derive(Debug)]
pub(crate) struct CommandGroup {
    path: PathBuf,
    directory: OwnedFd,
    /// The kernel's word on whether a process is left; says when it changes.
    events: AsyncFd<OwnedFd>,
}

impl CommandGroup {
    fn open(path: PathBuf) -> io::Result<Self> {
        let directory = open_directory(&path)?;
        let events = File::open(path.join("cgroup.events"))?;
        let events = crate::readiness::watch(events.into(), Interest::PRIORITY)?;
        Ok(Self { path, directory, events })
    }

    /// Kills all its processes and waits until none is left.
    pub(crate) async fn empty(&self) -> io::Result<()> {
        while self.has_processes()? {
            File::options().write(true).open(self.path.join("cgroup.kill"))?.write_all(b"1")?;
            if !self.has_processes()? {
                break;
            }
            self.events.ready(Interest::PRIORITY).await?.clear_ready();
        }
        Ok(())
    }

    /// What all its processes took, in place of what is known of the first, where the kernel
    /// counts that for groups.
    pub(crate) fn count(&self, usage: Usage) -> Usage {
        let text = fs::read_to_string(self.path.join("cpu.stat")).unwrap_or_default();
        let time = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let us = lines.find(|(found, _)| *found == name)?.1.parse().ok()?;
            Some(Span::from_std(Duration::from_micros(us)))
        };
        let peak = fs::read_to_string(self.path.join("memory.peak")).ok();
        let peak = peak.and_then(|peak| peak.trim().parse().ok());
        Usage {
            user_cpu: time("user_usec").unwrap_or(usage.user_cpu),
            kernel_cpu: time("system_usec").unwrap_or(usage.kernel_cpu),
            peak_memory_bytes: peak.unwrap_or(usage.peak_memory_bytes),
            ..usage
        }
    }

    fn has_processes(&self) -> io::Result<bool> {
        let mut text = [0; EVENTS_BYTES_MAX];
        let n_read = rustix::io::pread(self.events.get_ref(), &mut text, 0)?;
        let text = text.get(..n_read).unwrap_or_default();
        Ok(text.split(|byte| *byte == b'\n').any(|line| line == b"populated 1"))
    }
}

impl AsFd for CommandGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for CommandGroup {
    fn drop(&mut self) {
        // A group that is not empty goes with the node's.
        let _kept = fs::remove_dir(&self.path);
    }
}
