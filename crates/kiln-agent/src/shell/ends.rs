//! The streams of a shell: the ends that it has, and those that the agent keeps.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use kiln_wire::node::shell::{Terminal, WindowSize};
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::node::Node;
use crate::node_init::message::UserId;
use crate::readiness;
use kiln_files::Links;

/// What makes terminals, below the root of what a node sees.
const TERMINALS: &str = "dev/pts/ptmx";
/// The same on a machine whose terminals are all in one place.
const TERMINALS_OF_MACHINE: &str = "/dev/ptmx";
/// What a terminal takes for the end of the input.
const END_OF_INPUT: &[u8] = &[4];

/// The ends that the shell has: standard input, output and error.
pub(super) type Theirs = [OwnedFd; 3];

/// The ends that the agent keeps.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) input: Option<End>,
    pub(super) output: Option<End>,
    /// Standard error, without a terminal.
    pub(super) errors: Option<End>,
    pub(super) is_terminal: bool,
}

/// One end of a stream, which never makes the agent wait.
#[derive(Debug)]
pub(super) struct End(AsyncFd<OwnedFd>);

impl End {
    fn new(descriptor: OwnedFd, interest: Interest) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&descriptor)? | OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&descriptor, flags)?;
        Ok(Self(readiness::watch(descriptor, interest)?))
    }

    /// Reads what is there; 0 at the end.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |end: &OwnedFd| Ok(rustix::io::read(end, &mut *buffer)?);
        let read = self.0.async_io(Interest::READABLE, read).await;
        match read {
            // What a terminal says whose last user is gone.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
            read => read,
        }
    }

    /// Writes all of it.
    pub(super) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let write = |end: &OwnedFd| Ok(rustix::io::write(end, rest)?);
            let n_written = self.0.async_io(Interest::WRITABLE, write).await?;
            rest = rest.get(n_written..).unwrap_or_default();
        }
        Ok(())
    }
}

impl Ours {
    /// Nothing more is to be read.
    pub(super) async fn end_input(&mut self) {
        if !self.is_terminal {
            self.input = None;
        } else if let Some(input) = &self.input {
            // A terminal that is gone needs no end.
            let _gone = input.write_all(END_OF_INPUT).await;
        }
    }

    /// The terminal has another size.
    pub(super) fn resize(&self, size: WindowSize) {
        if let Some(input) = self.input.as_ref().filter(|_| self.is_terminal) {
            let _gone = tcsetwinsize(input.0.get_ref(), winsize(size));
        }
    }
}

/// Makes the streams of a shell: a terminal of its node, or three pipes.
pub(super) fn make(
    node: &Node,
    terminal: Option<&Terminal>,
    owner: Option<UserId>,
) -> io::Result<(Ours, Theirs)> {
    match terminal {
        Some(terminal) => on_terminal(node, terminal, owner),
        None => on_pipes(),
    }
}

fn on_pipes() -> io::Result<(Ours, Theirs)> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let ((their_input, input), (output, their_output), (errors, their_errors)) =
        (pipe()?, pipe()?, pipe()?);
    let ours = Ours {
        input: Some(End::new(input, Interest::WRITABLE)?),
        output: Some(End::new(output, Interest::READABLE)?),
        errors: Some(End::new(errors, Interest::READABLE)?),
        is_terminal: false,
    };
    Ok((ours, [their_input, their_output, their_errors]))
}

fn on_terminal(
    node: &Node,
    terminal: &Terminal,
    owner: Option<UserId>,
) -> io::Result<(Ours, Theirs)> {
    let main = open_terminals(node)?;
    unlockpt(&main)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = ioctl_tiocgptpeer(&main, flags)?;
    tcsetwinsize(&main, winsize(terminal.size))?;
    if let Some(UserId { uid, gid, .. }) = owner {
        // Its user opens it by its name, too.
        rustix::fs::fchown(&theirs, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    let ours = Ours {
        input: Some(End::new(main.try_clone()?, Interest::WRITABLE)?),
        output: Some(End::new(main, Interest::READABLE)?),
        errors: None,
        is_terminal: true,
    };
    Ok((ours, [theirs.try_clone()?, theirs.try_clone()?, theirs]))
}

/// A new terminal where the node's processes see it.
fn open_terminals(node: &Node) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let main = if node.has_view() {
        node.view()?.open(TERMINALS, flags, Links::Refused)?
    } else {
        rustix::fs::open(TERMINALS_OF_MACHINE, flags, Mode::empty())?
    };
    let found = rustix::fs::fstat(main.as_fd())?;
    // The node's root may have put something else there.
    if FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice {
        Ok(main)
    } else {
        Err(io::Error::from(io::ErrorKind::InvalidData))
    }
}

fn winsize(size: WindowSize) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}
