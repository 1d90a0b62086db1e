//! Shells on nodes, as clients have them open.
//!
//! What a shell says waits here until its client took it; the node sends no more than a window
//! of it before it hears of that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_wire::node::shell::{FromShell, MESSAGES_IN_FLIGHT_MAX, ToShell};
use kiln_wire::node::{Run, SHELLS_SINCE, ToAgent};
use tokio::sync::{Semaphore, mpsc};

use crate::server::Server;

/// Messages that one shell may have waiting: those with bytes, and a few others.
const WAITING_MAX: usize = 4 * MESSAGES_IN_FLIGHT_MAX;
/// Shells that are open at once at the most.
const SHELLS_MAX: usize = 256;

/// Shells that are open.
#[derive(Debug, Default)]
pub(super) struct Shells {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    node_id: String,
    said: mpsc::Sender<FromShell>,
    /// Messages with input that may still be sent.
    window: Arc<Semaphore>,
}

/// One shell that is open; it ends when this is dropped.
#[derive(Debug)]
pub struct OpenShell {
    server: Arc<Server>,
    node_id: String,
    number: u64,
    said: mpsc::Receiver<FromShell>,
    window: Arc<Semaphore>,
}

impl Shells {
    /// Takes in what a shell says.
    pub(super) fn hear(&self, number: u64, message: FromShell) {
        let mut open = self.lock();
        let Some(shell) = open.get(&number) else { return };
        if let FromShell::Taken { n_messages } = message {
            let n_messages = usize::try_from(n_messages).unwrap_or(0);
            let n_missing = MESSAGES_IN_FLIGHT_MAX.saturating_sub(shell.window.available_permits());
            shell.window.add_permits(n_messages.min(n_missing));
            return;
        }
        let is_last = message.is_last();
        // One that says more than it may is not heard any more, which ends it.
        let is_heard = shell.said.try_send(message).is_ok();
        if is_last || !is_heard {
            open.remove(&number);
        }
    }

    /// The link of a node broke, and its shells with it.
    pub(super) fn fail_all_of(&self, node_id: &str) {
        self.lock().retain(|_, shell| shell.node_id != node_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenShell {
    /// Opens a shell in the surroundings of a task; `None` when the node is not linked, its
    /// agent is too old for them, or there are too many shells.
    pub fn open(server: &Arc<Server>, node_id: &str, run: Run, open: ToShell) -> Option<Self> {
        let shells = &server.links.shells;
        if !server.links.speaks(node_id, SHELLS_SINCE) {
            return None;
        }
        let (saying, said) = mpsc::channel(WAITING_MAX);
        let window = Arc::new(Semaphore::new(MESSAGES_IN_FLIGHT_MAX));
        let number = shells.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        {
            let mut open = shells.lock();
            if open.len() >= SHELLS_MAX {
                return None;
            }
            let window = Arc::clone(&window);
            open.insert(number, Open { node_id: node_id.to_owned(), said: saying, window });
        }
        let run = Some(Box::new(run));
        server.links.send(node_id, [ToAgent::Shell { shell: number, run, message: open }]);
        let (server, node_id) = (Arc::clone(server), node_id.to_owned());
        Some(Self { server, node_id, number, said, window })
    }

    /// Where the client speaks to it.
    pub fn speaker(&self) -> Speaker {
        Speaker {
            server: Arc::clone(&self.server),
            node_id: self.node_id.clone(),
            number: self.number,
            window: Arc::clone(&self.window),
        }
    }

    /// What it says next; `None` when it is not heard any more.
    pub async fn next(&mut self) -> Option<FromShell> {
        self.said.recv().await
    }

    /// Says that so many of its messages were taken.
    pub fn took(&self, n_messages: u32) {
        self.say(ToShell::Taken { n_messages });
    }

    fn say(&self, message: ToShell) {
        let message = ToAgent::Shell { shell: self.number, run: None, message };
        self.server.links.send(&self.node_id, [message]);
    }
}

impl Drop for OpenShell {
    fn drop(&mut self) {
        self.window.close();
        self.server.links.shells.lock().remove(&self.number);
        // One that ended by itself does not mind.
        self.say(ToShell::Close);
    }
}

/// The client's side of a shell.
#[derive(Debug)]
pub struct Speaker {
    server: Arc<Server>,
    node_id: String,
    number: u64,
    window: Arc<Semaphore>,
}

impl Speaker {
    /// Says something once there is room for it; `false` when the shell is closed.
    pub async fn say(&self, message: ToShell) -> bool {
        if message.is_counted() {
            match self.window.acquire().await {
                // Given back when the node took the message.
                Ok(room) => room.forget(),
                Err(_closed) => return false,
            }
        }
        let message = ToAgent::Shell { shell: self.number, run: None, message };
        self.server.links.send(&self.node_id, [message]);
        !self.window.is_closed()
    }
}
