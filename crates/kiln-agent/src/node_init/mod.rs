//! The first process of a node: `kiln node-init`.
//!
//! Small and without a runtime, so that starting a process from it is cheap. Its standard input
//! is a socket to the agent, over which it is told what to become and then what to start. One
//! thread listens and collects what ended; a few others start processes. It ends with the agent,
//! and everything in the node ends with it.

pub(crate) mod channel;
mod ended;
mod leftovers;
pub(crate) mod message;
mod roster;
mod serve;
mod spawn;

use std::error::Error as _;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use self::channel::{Incoming, send};
use self::message::{FromInit, Setup, SetupKind, ToInit};
use self::serve::Init;
use crate::isolate::{SetupError, namespaces, plain, rootless};

/// `clone3` flag: the child begins in the control group given.
pub(crate) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Runs the first process of a node; must be called before any thread is started.
pub fn main() -> ExitCode {
    let Ok(socket) = take_socket() else {
        return ExitCode::FAILURE;
    };
    match serve(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without an agent nobody is left to be told.
            let _unheard =
                send(&socket, &FromInit::SetupFailed { message: with_causes(&error) }, &[]);
            ExitCode::FAILURE
        }
    }
}

/// Takes the socket off standard input, so that no process of the node inherits it.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    // Signals of the agent's terminal are the agent's; a leader of its own can not be one.
    let _already = rustix::process::setsid();
    Ok(socket)
}

fn serve(socket: &OwnedFd) -> Result<(), SetupError> {
    let mut incoming = Incoming::default();
    let (setup, group) = first_message(&mut incoming, socket)?;
    let stays = match setup.kind {
        SetupKind::Namespaces => namespaces::launch(&setup, socket, group.as_ref())?,
        SetupKind::Rootless => rootless::launch(&setup, socket)?,
        SetupKind::Plain => plain::launch()?,
    };
    if !stays {
        return Ok(());
    }
    let own = socket.try_clone().map_err(|error| SetupError::new("keep the socket", error))?;
    Init::new(own, incoming, setup.kind)
        .and_then(Init::serve)
        .map_err(|error| SetupError::new("serve the agent", error))
}

fn first_message(
    incoming: &mut Incoming,
    socket: &OwnedFd,
) -> Result<(Setup, Option<OwnedFd>), SetupError> {
    let failed = |error| SetupError::new("learn what to become", error);
    match incoming.wait::<ToInit>(socket).map_err(failed)? {
        Some((ToInit::Setup(setup), group)) => Ok((setup, group.into_iter().next())),
        Some((ToInit::Spawn(_) | ToInit::Empty { .. }, _)) | None => {
            Err(failed(io::Error::from(io::ErrorKind::UnexpectedEof)))
        }
    }
}

fn with_causes(error: &SetupError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _written = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
