//! Limits by control groups of version 1: a seat is one group in each hierarchy that is needed,
//! on which one command after another takes its place. To make and remove them for each command
//! would cost as much as to start it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::group::{NAME_BEGINNING, is_old};
use super::limits::{Controller, Limits, PERIOD_US};

/// Where the kernel tells which control groups a process is in, and what is mounted.
const OWN_GROUPS: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";

/// The seats of a node.
#[derive(Debug)]
pub(crate) struct Seats {
    hierarchies: Vec<Hierarchy>,
    state: Mutex<State>,
}

/// The node's group in one hierarchy.
#[derive(Debug)]
struct Hierarchy {
    controller: Controller,
    path: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<Places>,
    n_made: u64,
}

/// The groups of one seat.
#[derive(Debug)]
struct Places {
    limits: Limits,
    groups: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    controller: Controller,
    path: PathBuf,
    /// Who writes here takes the place.
    processes: OwnedFd,
}

/// A seat in use; free again with the end of this value.
#[derive(Debug)]
pub(crate) struct Seat {
    places: Option<Places>,
    seats: Arc<Seats>,
}

impl Seats {
    /// Makes the node's groups for the controllers that `limits` need and that are not among
    /// `others`; `None` if none is to be had, or none needed.
    pub(crate) fn create(name: &str, limits: &Limits, others: &[Controller]) -> Option<Arc<Self>> {
        let needed = limits.controllers().filter(|controller| !others.contains(controller));
        let hierarchies: Vec<Hierarchy> =
            needed.filter_map(|controller| Hierarchy::create(controller, name)).collect();
        let seats = Self { hierarchies, state: Mutex::default() };
        (!seats.hierarchies.is_empty()).then(|| Arc::new(seats))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat with these limits.
    pub(crate) fn take(self: &Arc<Self>, limits: &Limits) -> io::Result<Seat> {
        let free = self.state().free.pop();
        let mut places = match free {
            Some(places) => places,
            None => self.make()?,
        };
        if places.limits != *limits {
            for place in &places.groups {
                place.limit(limits.value(place.controller))?;
            }
            places.limits = *limits;
        }
        for place in &places.groups {
            place.forget_peak()?;
        }
        Ok(Seat { places: Some(places), seats: Arc::clone(self) })
    }

    fn make(&self) -> io::Result<Places> {
        let number = {
            let mut state = self.state();
            state.n_made += 1;
            state.n_made
        };
        let groups = self.hierarchies.iter().map(|hierarchy| {
            let path = hierarchy.path.join(number.to_string());
            fs::create_dir(&path)?;
            // Here, a process with one thread moves itself without making others wait.
            let processes = File::options().write(true).open(path.join("tasks"))?;
            Ok(Place { controller: hierarchy.controller, path, processes: processes.into() })
        });
        let groups = groups.collect::<io::Result<_>>()?;
        Ok(Places { limits: Limits::default(), groups })
    }

    /// Moves the node's first process to its groups: they are in use as long as it lives.
    pub(crate) fn adopt(&self, init: i32) -> io::Result<()> {
        for hierarchy in &self.hierarchies {
            fs::write(hierarchy.path.join("cgroup.procs"), init.to_string())?;
        }
        Ok(())
    }

    /// Removes all groups; no process may be left.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.state().free.clear();
        for hierarchy in &self.hierarchies {
            remove(&hierarchy.path)?;
        }
        Ok(())
    }
}

impl Seat {
    /// Where the command takes its places.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let places = self.places.iter().flat_map(|places| &places.groups);
        places.map(|place| place.processes.as_fd())
    }

    /// The most memory that the command had at once, where that is counted.
    pub(crate) fn peak_memory_bytes(&self) -> Option<u64> {
        let mut places = self.places.iter().flat_map(|places| &places.groups);
        let memory = places.find(|place| place.controller == Controller::Memory)?;
        let peak = fs::read_to_string(memory.path.join("memory.max_usage_in_bytes")).ok()?;
        peak.trim().parse().ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(places) = self.places.take() {
            self.seats.state().free.push(places);
        }
    }
}

impl Hierarchy {
    /// Makes the group of the node `name` below the agent's own; `None` where that can not be.
    fn create(controller: Controller, name: &str) -> Option<Self> {
        let above = own_directory(controller)?;
        remove_stale(&above);
        let hierarchy = Self { controller, path: above.join(format!("{NAME_BEGINNING}{name}")) };
        // One may be left behind by an agent that was killed.
        let _busy = remove(&hierarchy.path);
        fs::create_dir(&hierarchy.path).ok()?;
        Some(hierarchy)
    }
}

impl Place {
    fn limit(&self, value: Option<u64>) -> io::Result<()> {
        let (file, none) = match self.controller {
            Controller::Processes => ("pids.max", "max"),
            Controller::Memory => ("memory.limit_in_bytes", "-1"),
            Controller::Processor => ("cpu.cfs_quota_us", "-1"),
        };
        if self.controller == Controller::Processor {
            fs::write(self.path.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
        }
        let text = value.map_or_else(|| none.to_owned(), |value| value.to_string());
        fs::write(self.path.join(file), text)
    }

    fn forget_peak(&self) -> io::Result<()> {
        match self.controller {
            Controller::Memory => fs::write(self.path.join("memory.max_usage_in_bytes"), "0"),
            Controller::Processes | Controller::Processor => Ok(()),
        }
    }
}

/// Whether a controller can be had here.
pub(crate) fn has(controller: Controller) -> bool {
    let access = rustix::fs::Access::WRITE_OK;
    own_directory(controller).is_some_and(|path| rustix::fs::access(path, access).is_ok())
}

/// Where the agent's own group lies in the hierarchy of a controller.
fn own_directory(controller: Controller) -> Option<PathBuf> {
    let is_its = |names: &str| names.split(',').any(|name| name == controller.name());
    let mounts = fs::read_to_string(MOUNTS).ok()?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let options = after.strip_prefix("cgroup ")?.split(' ').nth(1)?;
        is_its(options).then(|| before.split(' ').nth(4)).flatten()
    })?;
    let groups = fs::read_to_string(OWN_GROUPS).ok()?;
    let own = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (names, own) = rest.split_once(':')?;
        is_its(names).then_some(own)
    })?;
    Some(Path::new(mount).join(own.trim_start_matches('/')))
}

/// Removes the groups of nodes whose agents were killed.
fn remove_stale(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let is_nodes =
            entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME_BEGINNING));
        let processes = fs::read_to_string(entry.path().join("cgroup.procs"));
        if is_nodes && is_old(&entry) && processes.is_ok_and(|list| list.is_empty()) {
            // Another agent may be quicker.
            let _removed = remove(&entry.path());
        }
    }
}

/// Removes a group and those below.
fn remove(path: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        fs::remove_dir(entry.path())?;
    }
    fs::remove_dir(path)
}
