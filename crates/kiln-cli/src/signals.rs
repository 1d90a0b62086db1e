//! The signals that end a command.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// The signals that end a command, from the moment this is made.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|cause| Failure::new("cannot listen for signals").because(cause))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
        }
    }
}

/// A command was ended by `signal`.
pub(crate) fn interrupted(signal: Signal) -> Failure {
    let code = u8::try_from(128 + signal.as_raw()).unwrap_or(crate::failure::FAILED);
    Failure::new("interrupted").code(code)
}
