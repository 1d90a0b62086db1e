//! The loop of a node's first process: starts what it is asked for, waits for all that ends.
#![expect(unsafe_code, reason = "signalfd and sigprocmask have no safe wrapper")]

use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::channel::{Incoming, send};
use super::ended::{Counters, collect, has_children, next_ended};
use super::message::{FromInit, Rights, SetupKind, ToInit};
use super::roster::{Job, Roster};
use super::spawn::Site;

/// Nanoseconds between two looks at processes that are being killed.
const LOOK_AGAIN_NS: i64 = 5_000_000;
/// Looks at what is left once the agent is gone.
const LAST_LOOKS_MAX: usize = 1000;
/// Bytes of the stack of a thread that starts processes.
const STARTER_STACK_BYTES: usize = 256 * 1024;

/// The first process of a node.
pub(crate) struct Init {
    roster: Arc<Roster>,
    incoming: Incoming,
    /// Whether administrators have less than all rights here.
    limits_rights: bool,
    signals: File,
    site: Site,
}

impl Init {
    /// Takes over child signals and the socket to the agent.
    pub(crate) fn new(socket: OwnedFd, incoming: Incoming, kind: SetupKind) -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Self {
            roster: Arc::new(Roster::new(socket, null.into())),
            incoming,
            limits_rights: match kind {
                SetupKind::Namespaces | SetupKind::Rootless => true,
                SetupKind::Plain => false,
            },
            signals: child_signals()?,
            site: Site::new(),
        })
    }

    /// Serves until the agent is gone, then kills all that is left.
    pub(crate) fn serve(mut self) -> io::Result<()> {
        let roster = Arc::clone(&self.roster);
        let served = thread::scope(|scope| {
            let mut starters = roster.starters(self.limits_rights);
            let started = starters.try_for_each(|starter| {
                let thread = thread::Builder::new().name("starter".to_owned());
                thread.stack_size(STARTER_STACK_BYTES).spawn_scoped(scope, starter).map(drop)
            });
            let served = started.and_then(|()| self.serve_agent());
            roster.end();
            served
        });
        self.kill_all();
        served
    }

    fn serve_agent(&mut self) -> io::Result<()> {
        send(self.roster.socket(), &FromInit::Ready, &[])?;
        loop {
            let [agent_spoke, child_ended] = self.wait()?;
            if child_ended {
                self.drain_signals();
            }
            self.reap()?;
            if agent_spoke {
                match self.incoming.fill(self.roster.socket()) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                while let Some((message, descriptors)) = self.incoming.take()? {
                    self.on_message(message, descriptors)?;
                }
            }
            self.empty()?;
        }
    }

    /// Waits for the agent, a child or, while something is being killed, a short time.
    fn wait(&self) -> io::Result<[bool; 2]> {
        let is_emptying = self.roster.state().known.values().any(|known| known.is_emptying);
        let look_again = Timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN_NS };
        let socket = self.roster.socket();
        let mut waited =
            [PollFd::new(&socket, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        self.roster.set_loop_waits(true)?;
        let polled = poll(&mut waited, is_emptying.then_some(&look_again));
        self.roster.set_loop_waits(false)?;
        match polled {
            Ok(_) => Ok(waited.map(|descriptor| !descriptor.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => Ok([false, false]),
            Err(error) => Err(error.into()),
        }
    }

    fn on_message(&mut self, message: ToInit, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        match message {
            ToInit::Setup(_) => Ok(()),
            ToInit::Spawn(request) => {
                let job = Job { request, descriptors };
                match job.request.rights {
                    Rights::User | Rights::Admin => self.roster.give(job),
                    // Only this thread has all rights to give.
                    Rights::Engine => self.roster.start_here(job, &mut self.site)?,
                }
                Ok(())
            }
            ToInit::Empty { id } => {
                let mut state = self.roster.state();
                match state.known.get_mut(&id) {
                    Some(known) => known.is_emptying = true,
                    None => state.answer(&FromInit::Emptied { id })?,
                }
                Ok(())
            }
        }
    }

    /// Collects every child that ended, ours and orphans.
    fn reap(&self) -> io::Result<()> {
        while let Some(pid) = next_ended() {
            let process = self.roster.state_for(pid).processes.remove(&pid);
            let counters = process.as_ref().and_then(|it| it.counters.as_ref());
            let counted = counters.and_then(Counters::read);
            let (Some(ended), Some(process)) = (collect(pid, counted), process) else { continue };
            let id = process.id;
            drop(process);
            let mut state = self.roster.state();
            if state.known.get(&id).is_some_and(|known| known.has_group) {
                state.known.remove(&id);
            } else if let Some(known) = state.known.get_mut(&id) {
                known.is_running = false;
            }
            let answer = FromInit::Exited { id, exit_code: ended.exit_code, usage: ended.usage };
            state.answer(&answer)?;
        }
        Ok(())
    }

    /// Kills what is left of the processes that the agent wants gone.
    fn empty(&self) -> io::Result<()> {
        let mut state = self.roster.state();
        let mut emptied = Vec::new();
        for (id, known) in state.known.iter_mut().filter(|(_, known)| known.is_emptying) {
            let has_more = known.kill();
            if !has_more && !known.is_running {
                emptied.push(*id);
            }
        }
        for id in emptied {
            state.known.remove(&id);
            state.answer(&FromInit::Emptied { id })?;
        }
        Ok(())
    }

    fn drain_signals(&mut self) {
        let mut buffer = [0; 2048];
        // Nothing to read is as good: the children are asked for one by one.
        let _drained = self.signals.read(&mut buffer);
    }

    /// Without an agent nobody wants the processes any more. Where this process is the
    /// first of its name space, the kernel kills the rest when it ends.
    fn kill_all(&self) {
        for _ in 0..LAST_LOOKS_MAX {
            let mut has_more = false;
            for known in self.roster.state().known.values_mut() {
                has_more |= known.kill();
            }
            while let Some(pid) = next_ended() {
                let _unheard = collect(pid, None);
            }
            if !has_more && !has_children() {
                return;
            }
            let look_again = Timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN_NS };
            let _waited = poll(&mut [], Some(&look_again));
        }
    }
}

/// Blocks the signal that children send and makes it readable instead.
fn child_signals() -> io::Result<File> {
    let mut children = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` makes a set of what it is given.
    unsafe { libc::sigemptyset(children.as_mut_ptr()) };
    // SAFETY: it is a set by now.
    unsafe { libc::sigaddset(children.as_mut_ptr(), libc::SIGCHLD) };
    // SAFETY: it is a set; the old one is not asked for.
    if unsafe { libc::sigprocmask(libc::SIG_BLOCK, children.as_ptr(), ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: it is a set; makes a new descriptor.
    let signals = unsafe { libc::signalfd(-1, children.as_ptr(), flags) };
    if signals < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { File::from_raw_fd(signals) })
}
