//! The agent's end of the socket to the first process of its node.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_domain::batch::usage::Usage;
use serde::Serialize;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::isolate::group::CommandGroup;
use crate::isolate::seats::Seat;
use crate::node_init::channel::{Incoming, encode, send_part};
use crate::node_init::message::{FromInit, Spawn, SpawnStep, ToInit};

/// Messages about one process that wait to be read; there are never more.
const MESSAGES_MAX: usize = 8;

/// Sends requests to the node's first process and tells apart whom its answers concern.
#[derive(Debug)]
pub(crate) struct InitClient {
    socket: UnixStream,
    sending: tokio::sync::Mutex<()>,
    waiting: Mutex<HashMap<u64, mpsc::Sender<FromInit>>>,
    next_id: AtomicU64,
}

/// A process of the node, with all that descends from it.
#[derive(Debug)]
pub(crate) struct Process {
    id: u64,
    messages: mpsc::Receiver<FromInit>,
    group: Option<CommandGroup>,
    seat: Option<Seat>,
    is_emptying: bool,
    is_empty: bool,
    /// What it took, once it ended.
    usage: Option<Usage>,
}

/// What a process reads from and writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams<'a> {
    /// Standard input; one that is empty when absent.
    pub(crate) input: Option<&'a OwnedFd>,
    /// Standard output.
    pub(crate) output: &'a OwnedFd,
    /// Standard error.
    pub(crate) errors: &'a OwnedFd,
}

impl<'a> Streams<'a> {
    /// Those of a process that reads nothing.
    pub(crate) fn of_output(output: &'a OwnedFd, errors: &'a OwnedFd) -> Self {
        Self { input: None, output, errors }
    }
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessFact {
    /// It runs.
    Spawned,
    /// It can not be started.
    SpawnFailed {
        /// Where it went wrong.
        step: SpawnStep,
        /// The operating system's error number.
        errno: i32,
    },
    /// It ended.
    Exited {
        /// 128 + signal when a signal ended it.
        exit_code: i32,
    },
    /// Nothing is left of it and its descendants.
    Emptied,
}

impl InitClient {
    /// Speaks over `socket`.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            sending: tokio::sync::Mutex::new(()),
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
        }
    }

    /// A name for a process that no other has.
    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<FromInit>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one message.
    pub(crate) async fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = encode(message, descriptors.len())?;
        let _alone = self.sending.lock().await;
        let mut rest = bytes.as_slice();
        let mut descriptors = descriptors;
        while !rest.is_empty() {
            let part = || send_part(self.socket.as_fd(), rest, descriptors);
            let n_sent = self.socket.async_io(Interest::WRITABLE, part).await?;
            descriptors = &[];
            rest = rest.get(n_sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// The next message, before [`InitClient::listen`]; `None` at the end.
    pub(crate) async fn receive(&self, incoming: &mut Incoming) -> io::Result<Option<FromInit>> {
        loop {
            if let Some((message, _)) = incoming.take()? {
                return Ok(Some(message));
            }
            let fill = || incoming.fill(self.socket.as_fd());
            if self.socket.async_io(Interest::READABLE, fill).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Hands messages to the processes they concern until the first process ends.
    pub(crate) async fn listen(&self, mut incoming: Incoming) {
        loop {
            let message = match self.receive(&mut incoming).await {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "lost the node's first process");
                    return;
                }
            };
            let (id, is_last) = match &message {
                FromInit::Spawned { id } | FromInit::Exited { id, .. } => (*id, false),
                FromInit::SpawnFailed { id, .. } | FromInit::Emptied { id } => (*id, true),
                FromInit::Launched { .. } | FromInit::Ready | FromInit::SetupFailed { .. } => {
                    continue;
                }
            };
            let mut waiting = self.waiting();
            if let Some(process) = waiting.get(&id) {
                // Nobody listens any more to a process whose attempt was given up.
                let is_heard = process.try_send(message).is_ok();
                if is_last || !is_heard {
                    waiting.remove(&id);
                }
            }
        }
    }

    /// Asks for a process, in its own group and on a seat where there are some.
    pub(crate) async fn spawn(
        &self,
        mut request: Spawn,
        streams: Streams<'_>,
        group: Option<CommandGroup>,
        seat: Option<Seat>,
    ) -> io::Result<Process> {
        let id = request.id;
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        self.waiting().insert(id, sender);
        let streams = streams.input.into_iter().chain([streams.output, streams.errors]);
        let mut descriptors: Vec<BorrowedFd<'_>> = streams.map(|stream| stream.as_fd()).collect();
        let n_streams = descriptors.len();
        descriptors.extend(seat.iter().flat_map(Seat::descriptors));
        request.n_places = descriptors.len() - n_streams;
        let directory = group.as_ref().and_then(CommandGroup::directory);
        request.has_group = directory.is_some();
        if let Some(directory) = directory {
            descriptors.insert(n_streams, directory);
        }
        self.send(&ToInit::Spawn(Box::new(request)), &descriptors).await?;
        drop(descriptors);
        Ok(Process { id, messages, group, seat, is_emptying: false, is_empty: false, usage: None })
    }

    /// Begins to kill what is left of a process; [`Process::next`] tells when nothing is.
    pub(crate) async fn empty(&self, process: &mut Process) -> io::Result<()> {
        process.is_emptying = true;
        if process.group.is_some() {
            return Ok(());
        }
        self.send(&ToInit::Empty { id: process.id }, &[]).await
    }

    /// Tells the first process that nobody wants it any more.
    pub(crate) fn shut(&self) {
        // One that is gone already needs not be told.
        let _gone = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// Forgets a process that has nothing more to say.
    pub(crate) fn forget(&self, process: &Process) {
        self.waiting().remove(&process.id);
    }
}

impl Process {
    /// What it and all it started took; `None` while it runs.
    pub(crate) fn usage(&mut self) -> Option<Usage> {
        let usage = self.usage?;
        let usage = self.group.as_mut().map_or(usage, |group| group.count(usage));
        let peak = self.seat.as_ref().and_then(Seat::peak_memory_bytes);
        Some(Usage { peak_memory_bytes: peak.unwrap_or(usage.peak_memory_bytes), ..usage })
    }

    /// What happens next; loses nothing when it is cancelled. Waits forever once the node's
    /// first process is gone: then the whole node ends.
    pub(crate) async fn next(&mut self) -> ProcessFact {
        loop {
            if self.is_emptying && self.is_empty && self.usage.is_some() {
                return ProcessFact::Emptied;
            }
            let message = match &mut self.group {
                Some(group) if self.is_emptying && !self.is_empty => {
                    tokio::select! {
                        message = self.messages.recv() => message,
                        emptied = group.empty() => {
                            if let Err(error) = emptied {
                                tracing::error!(%error, "failed to kill the processes of a task");
                            }
                            self.is_empty = true;
                            continue;
                        }
                    }
                }
                Some(_) | None => self.messages.recv().await,
            };
            match message {
                Some(FromInit::Spawned { .. }) => return ProcessFact::Spawned,
                Some(FromInit::SpawnFailed { step, errno, .. }) => {
                    return ProcessFact::SpawnFailed { step, errno };
                }
                Some(FromInit::Exited { exit_code, usage, .. }) => {
                    self.usage = Some(usage);
                    return ProcessFact::Exited { exit_code };
                }
                Some(FromInit::Emptied { .. }) => self.is_empty = true,
                Some(
                    FromInit::Launched { .. } | FromInit::Ready | FromInit::SetupFailed { .. },
                ) => {}
                None => std::future::pending().await,
            }
        }
    }
}
