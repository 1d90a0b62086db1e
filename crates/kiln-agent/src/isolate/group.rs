//! Control groups (version 2): one for each node, in it one for each running command, so
//! that a command and all that descends from it can be killed at once.
//!
//! A group that a command left empty by itself is taken by the next one: to make and remove one
//! costs a tenth of what it costs to start a small program. One that was killed is removed,
//! because some kernels, 6.18 among them, kill whatever begins in it later.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;

use super::controllers;
use super::limits::{Controller, Limits, PERIOD_US};

/// Bytes of what the kernel says about a group in one file.
const SAID_BYTES_MAX: usize = 1024;

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
    places: Mutex<Places>,
}

/// The groups of commands.
#[derive(Debug, Default)]
struct Places {
    /// Those that no command is in.
    free: Vec<Place>,
    n_made: u64,
}

/// A group in which one command after the other is.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    directory: OwnedFd,
    /// The kernel's word on whether a process is left.
    events: File,
    /// Where the kernel counts processor time.
    times: File,
    limits: Limits,
    /// What earlier commands took.
    taken: Times,
}

/// Processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    user: Span,
    kernel: Span,
}

impl NodeGroup {
    /// Makes the group of the node `name` below the agent's own, in which the user `owner` may
    /// start processes that have `limits` at the most.
    pub(crate) fn create(name: &str, owner: Option<u32>, limits: &Limits) -> io::Result<Self> {
        let above = controllers::own_directory()?;
        remove_stale(&above);
        let path = above.join(format!("{NAME_BEGINNING}{name}"));
        let mut group = Self { path, owner, controllers: Vec::new(), places: Mutex::default() };
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

    /// The group of one command.
    pub(crate) fn take(self: &Arc<Self>, limits: &Limits) -> io::Result<CommandGroup> {
        let free = self.places.lock().unwrap_or_else(PoisonError::into_inner).free.pop();
        let mut place = match free {
            Some(place) => place,
            None => self.make_place()?,
        };
        if place.limits != *limits {
            for controller in &self.controllers {
                place.limit(*controller, limits.value(*controller))?;
            }
            place.limits = *limits;
        }
        let group = Arc::clone(self);
        let command = CommandGroup {
            place: Some(place),
            group,
            is_empty: false,
            was_killed: false,
            is_counted: false,
        };
        Ok(command)
    }

    fn make_place(&self) -> io::Result<Place> {
        let number = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.n_made += 1;
            places.n_made
        };
        let path = self.path.join(number.to_string());
        self.make(&path)?;
        Ok(Place {
            directory: open_directory(&path)?,
            events: File::open(path.join("cgroup.events"))?,
            times: File::open(path.join("cpu.stat"))?,
            path,
            limits: Limits::default(),
            taken: Times::default(),
        })
    }

    /// Takes a group back of which no process is left; whether another command may be in it. The
    /// most memory that a group had at once is not forgotten.
    fn give_back(&self, place: Place) -> Option<Place> {
        if self.controllers.contains(&Controller::Memory) {
            return Some(place);
        }
        self.places.lock().unwrap_or_else(PoisonError::into_inner).free.push(place);
        None
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
        let group = NodeGroup {
            path: entry.path(),
            owner: None,
            controllers: Vec::new(),
            places: Mutex::default(),
        };
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

impl Place {
    fn limit(&self, controller: Controller, value: Option<u64>) -> io::Result<()> {
        let value = value.map_or_else(|| "max".to_owned(), |value| value.to_string());
        let (file, text) = match controller {
            Controller::Processes => ("pids.max", value),
            Controller::Memory => ("memory.max", value),
            Controller::Processor => ("cpu.max", format!("{value} {PERIOD_US}")),
        };
        fs::write(self.path.join(file), text)
    }

    /// The processor time that all its processes took so far.
    fn times(&self) -> Option<Times> {
        let mut text = [0; SAID_BYTES_MAX];
        let n_read = rustix::io::pread(&self.times, &mut text, 0).ok()?;
        let text = str::from_utf8(text.get(..n_read)?).ok()?;
        let time = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let us = lines.find(|(found, _)| *found == name)?.1.parse().ok()?;
            Some(Span::from_std(Duration::from_micros(us)))
        };
        Some(Times { user: time("user_usec")?, kernel: time("system_usec")? })
    }
}

/// The control group of one command; free for another once nothing of that is left.
#[derive(Debug)]
pub(crate) struct CommandGroup {
    place: Option<Place>,
    group: Arc<NodeGroup>,
    is_empty: bool,
    was_killed: bool,
    /// Whether all that it took was counted.
    is_counted: bool,
}

impl CommandGroup {
    /// The directory that stands for it.
    pub(crate) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.place.as_ref().map(|place| place.directory.as_fd())
    }

    /// Kills all its processes and waits until none is left.
    pub(crate) async fn empty(&mut self) -> io::Result<()> {
        if let Some(place) = self.place.as_ref().filter(|_| !self.is_empty) {
            if has_processes(&place.events)? {
                self.was_killed = true;
                kill_all(&place.path).await?;
            }
            self.is_empty = true;
        }
        Ok(())
    }

    /// What all its processes took, in place of what is known of the first, where the kernel
    /// counts that for groups.
    pub(crate) fn count(&mut self, usage: Usage) -> Usage {
        let Some(place) = &mut self.place else { return usage };
        let Some(times) = place.times() else { return usage };
        let before = std::mem::replace(&mut place.taken, times);
        self.is_counted = self.is_empty;
        let peak = self.group.controllers.contains(&Controller::Memory).then(|| {
            let peak = fs::read_to_string(place.path.join("memory.peak")).ok()?;
            peak.trim().parse().ok()
        });
        Usage {
            user_cpu: times.user.minus(before.user),
            kernel_cpu: times.kernel.minus(before.kernel),
            peak_memory_bytes: peak.flatten().unwrap_or(usage.peak_memory_bytes),
            ..usage
        }
    }
}

fn has_processes(events: impl AsFd) -> io::Result<bool> {
    let mut text = [0; SAID_BYTES_MAX];
    let n_read = rustix::io::pread(events, &mut text, 0)?;
    let text = text.get(..n_read).unwrap_or_default();
    Ok(text.split(|byte| *byte == b'\n').any(|line| line == b"populated 1"))
}

/// Kills all processes of a group. The kernel tells on a descriptor of its own, which is open
/// only here, when the last one has gone.
async fn kill_all(path: &Path) -> io::Result<()> {
    let events = File::open(path.join("cgroup.events"))?;
    let events = crate::readiness::watch(events.into(), Interest::PRIORITY)?;
    while has_processes(events.get_ref())? {
        File::options().write(true).open(path.join("cgroup.kill"))?.write_all(b"1")?;
        if !has_processes(events.get_ref())? {
            break;
        }
        events.ready(Interest::PRIORITY).await?.clear_ready();
    }
    Ok(())
}

impl Drop for CommandGroup {
    fn drop(&mut self) {
        let Some(mut place) = self.place.take() else { return };
        if !self.is_counted {
            place.taken = place.times().unwrap_or(place.taken);
        }
        let may_stay = self.is_empty && !self.was_killed;
        let left = if may_stay { self.group.give_back(place) } else { Some(place) };
        if let Some(place) = left {
            // A group that is not empty goes with the node's.
            let _kept = fs::remove_dir(&place.path);
        }
    }
}
