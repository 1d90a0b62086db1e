//! What the parts of a run share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_extents::Extents;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::chance::Chance;
use crate::clock::FalseClock;
use crate::faults::Faults;
use crate::life::Life;
use crate::machines::Machines;
use crate::model::Model;
use crate::trace::Trace;

/// What the parts of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chance: Arc<Chance>,
    pub(crate) clock: FalseClock,
    pub(crate) faults: Faults,
    pub(crate) machines: Machines,
    pub(crate) model: Model,
    /// The server's data directory.
    pub(crate) data: PathBuf,
    pub(crate) extents: Extents,
    /// The server that lives, if one does.
    life: Mutex<Option<Arc<Life>>>,
    /// The server is to crash now.
    pub(crate) crash: Notify,
    trace: Mutex<Trace>,
    broken: Mutex<Option<String>>,
    /// What goes on beside the server: networks and processes.
    tasks: Mutex<JoinSet<()>>,
}

impl World {
    pub(crate) fn new(
        (chance, clock): (Arc<Chance>, FalseClock),
        faults: Faults,
        (data, extents): (PathBuf, Extents),
        trace: Trace,
    ) -> Self {
        Self {
            chance,
            clock,
            faults,
            machines: Machines::default(),
            model: Model::default(),
            data,
            extents,
            life: Mutex::default(),
            crash: Notify::new(),
            trace: Mutex::new(trace),
            broken: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// Notes what happens.
    pub(crate) fn note(&self, text: &str) {
        lock(&self.trace).add(self.clock.elapsed(), text);
    }

    /// Something is as it must not be; the first such thing counts.
    pub(crate) fn breaks(&self, what: String) {
        self.note(&format!("BROKEN: {what}"));
        lock(&self.broken).get_or_insert(what);
    }

    /// What is as it must not be.
    pub(crate) fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }

    /// The server that lives, if one does.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        lock(&self.life).clone()
    }

    pub(crate) fn set_life(&self, life: Option<Arc<Life>>) {
        let before = std::mem::replace(&mut *lock(&self.life), life);
        drop(before);
    }

    /// Lets something go on beside the server.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task)
    }

    /// What happened, once the run is over.
    pub(crate) fn take_trace(&self) -> Trace {
        std::mem::replace(&mut *lock(&self.trace), Trace::new(false))
    }

    /// Ends all that goes on beside the server.
    pub(crate) fn end(&self) {
        lock(&self.tasks).abort_all();
        self.set_life(None);
    }
}

/// Locks what is never held for long.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
