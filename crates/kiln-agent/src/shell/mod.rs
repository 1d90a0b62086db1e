//! Shells in the surroundings of tasks: for people who look at what a task saw.
//!
//! A shell has its task's variables, directory, user and view, and processes of its own: it
//! does not end with its task, and its task does not end with it.

mod ends;
mod talk;

use std::collections::HashMap;
use std::sync::Arc;

use kiln_wire::node::shell::{FromShell, MESSAGES_IN_FLIGHT_MAX, ShellSpec, ToShell};
use kiln_wire::node::{FromAgent, Run};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::boot::Boot;

/// Shells of a node that are open at once at the most.
const SHELLS_MAX: usize = 16;
/// Messages that one shell may have waiting: those with bytes, and a few others.
const WAITING_MAX: usize = 2 * MESSAGES_IN_FLIGHT_MAX;

/// The shells of a node.
#[derive(Debug, Default)]
pub(crate) struct Shells {
    open: HashMap<u64, Open>,
    work: JoinSet<()>,
}

/// The near end of an open shell, which closes when this is dropped.
#[derive(Debug)]
struct Open {
    inbox: mpsc::Sender<ToShell>,
    /// Messages with output that may still be sent.
    window: Arc<Semaphore>,
    _closes: oneshot::Sender<()>,
}

/// The far end of it.
#[derive(Debug)]
struct Line {
    inbox: mpsc::Receiver<ToShell>,
    window: Arc<Semaphore>,
    closed: oneshot::Receiver<()>,
}

/// A shell that is to be.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The task as it last ran.
    pub(crate) run: Run,
    /// Its number on the node, while it runs.
    pub(crate) count: Option<u64>,
    pub(crate) spec: ShellSpec,
}

/// Where a shell is heard.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    shell: u64,
    messages: mpsc::Sender<FromAgent>,
}

impl Ear {
    /// Says something; whether anyone hears it is nobody's matter.
    async fn tell(&self, message: FromShell) {
        let _gone = self.messages.send(FromAgent::Shell { shell: self.shell, message }).await;
    }
}

impl Shells {
    /// Opens a shell; what it says goes to `messages`.
    pub(crate) fn open(
        &mut self,
        shell: u64,
        boot: Option<Arc<Boot>>,
        wanted: Wanted,
        messages: mpsc::Sender<FromAgent>,
    ) {
        while self.work.try_join_next().is_some() {}
        self.open.retain(|_, open| !open.inbox.is_closed());
        let ear = Ear { shell, messages };
        let refusal = match (&boot, self.open.len() < SHELLS_MAX) {
            (None, _) => Some("the node has not booted".to_owned()),
            (Some(_), false) => Some(format!("{SHELLS_MAX} shells are open on the node already")),
            (Some(_), true) => None,
        };
        let (open, line) = connect();
        self.open.insert(shell, open);
        self.work.spawn(async move {
            let ended = match (boot, refusal) {
                (Some(boot), None) => talk::hold(&boot, wanted, line, &ear).await,
                (_, refusal) => Err(refusal.unwrap_or_default()),
            };
            let last = match ended {
                Ok(exit_code) => FromShell::Ended { exit_code },
                Err(message) => FromShell::Refused { message },
            };
            ear.tell(last).await;
        });
    }

    /// Passes on what is said to a shell; one that is told more than it may be is closed.
    pub(crate) fn tell(&mut self, shell: u64, message: ToShell) {
        let Some(open) = self.open.get(&shell) else { return };
        let is_heard = match message {
            // Not behind input that waits to be read: who reads it may wait to be heard first.
            ToShell::Taken { n_messages } => {
                let n_messages = usize::try_from(n_messages).unwrap_or(0);
                let n_free = open.window.available_permits();
                let n_missing = MESSAGES_IN_FLIGHT_MAX.saturating_sub(n_free);
                open.window.add_permits(n_messages.min(n_missing));
                true
            }
            ToShell::Close => false,
            message @ (ToShell::Input { .. }
            | ToShell::EndOfInput
            | ToShell::Resized(_)
            | ToShell::Open(_)) => open.inbox.try_send(message).is_ok(),
        };
        if !is_heard {
            self.open.remove(&shell);
        }
    }

    /// Closes all shells, because nobody hears them any more; they end by themselves.
    pub(crate) fn close_all(&mut self) {
        self.open.clear();
    }

    /// Forgets all shells, whose node ends.
    pub(crate) async fn end(&mut self) {
        self.open.clear();
        self.work.shutdown().await;
    }
}

/// Both ends of a shell that is to be.
fn connect() -> (Open, Line) {
    let (inbox, waiting) = mpsc::channel(WAITING_MAX);
    let window = Arc::new(Semaphore::new(MESSAGES_IN_FLIGHT_MAX));
    let (closes, closed) = oneshot::channel();
    let open = Open { inbox, window: Arc::clone(&window), _closes: closes };
    (open, Line { inbox: waiting, window, closed })
}
