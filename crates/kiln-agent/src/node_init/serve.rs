//! The loop of a node's first process: starts what it is asked for, waits for all that ends.
#![expect(unsafe_code, reason = "signalfd and sigprocmask have no safe wrapper")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::channel::{Incoming, encode, send, send_bytes};
use super::ended::{Counters, has_children, reap};
use super::leftovers::{self, Look};
use super::message::{FromInit, Input, SetupKind, Spawn, SpawnStep, ToInit};
use super::spawn::{Failure, Stack, spawn};

/// Nanoseconds between two looks at processes that are being killed.
const LOOK_AGAIN_NS: i64 = 5_000_000;
/// Looks in a row that may be unclear before nothing is taken to be left: a process without
/// any environment may well be somebody else's.
const UNCLEAR_LOOKS_MAX: u32 = 10;
/// Looks at what is left once the agent is gone.
const LAST_LOOKS_MAX: usize = 1000;

/// The first process of a node.
pub(crate) struct Init {
    socket: OwnedFd,
    incoming: Incoming,
    /// Answers that go together: each time wakes the agent.
    answers: Vec<u8>,
    /// Whether administrators have less than all rights here.
    limits_rights: bool,
    signals: File,
    null: File,
    stack: Stack,
    /// Running processes that were asked for, by process id.
    processes: BTreeMap<i32, Process>,
    /// Those that run, or that left something behind, by their name in messages.
    known: BTreeMap<u64, Known>,
}

struct Process {
    id: u64,
    counters: Option<Counters>,
}

struct Known {
    /// Process id of the session's leader.
    leader: i32,
    mark: String,
    is_running: bool,
    is_emptying: bool,
    /// Looks in a row that found nothing for certain.
    unclear_looks: u32,
    /// Whether the agent empties it, through its control group.
    has_group: bool,
}

impl Known {
    /// Kills what is left of it; whether there may be more.
    fn kill(&mut self) -> bool {
        match leftovers::kill(Some(self.leader), &self.mark) {
            Look::Killed => {
                self.unclear_looks = 0;
                true
            }
            Look::Unclear => {
                self.unclear_looks += 1;
                self.unclear_looks < UNCLEAR_LOOKS_MAX
            }
            Look::Clear => {
                self.unclear_looks = 0;
                false
            }
        }
    }
}

impl Init {
    /// Takes over child signals and the socket to the agent.
    pub(crate) fn new(socket: OwnedFd, incoming: Incoming, kind: SetupKind) -> io::Result<Self> {
        Ok(Self {
            socket,
            incoming,
            answers: Vec::new(),
            limits_rights: match kind {
                SetupKind::Namespaces | SetupKind::Rootless => true,
                SetupKind::Plain => false,
            },
            signals: child_signals()?,
            null: File::options().read(true).write(true).open("/dev/null")?,
            stack: Stack::new(),
            processes: BTreeMap::new(),
            known: BTreeMap::new(),
        })
    }

    /// Serves until the agent is gone, then kills all that is left.
    pub(crate) fn serve(mut self) -> io::Result<()> {
        let served = self.serve_agent();
        self.kill_all();
        served
    }

    fn serve_agent(&mut self) -> io::Result<()> {
        send(&self.socket, &FromInit::Ready, &[])?;
        loop {
            let [agent_spoke, child_ended] = self.wait()?;
            if child_ended {
                self.drain_signals();
            }
            self.reap()?;
            if agent_spoke {
                match self.incoming.fill(&self.socket) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                while let Some((message, descriptors)) = self.incoming.take()? {
                    self.on_message(message, &descriptors)?;
                }
            }
            self.empty()?;
            send_bytes(&self.socket, &self.answers, &[])?;
            self.answers.clear();
        }
    }

    /// Answers the agent once all that it asked for is done.
    fn answer(&mut self, answer: &FromInit) -> io::Result<()> {
        self.answers.extend(encode(answer, 0)?);
        Ok(())
    }

    /// Waits for the agent, a child or, while something is being killed, a short time.
    fn wait(&self) -> io::Result<[bool; 2]> {
        let is_emptying = self.known.values().any(|known| known.is_emptying);
        let look_again = Timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN_NS };
        let mut waited =
            [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        match poll(&mut waited, is_emptying.then_some(&look_again)) {
            Ok(_) => Ok(waited.map(|descriptor| !descriptor.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => Ok([false, false]),
            Err(error) => Err(error.into()),
        }
    }

    fn on_message(&mut self, message: ToInit, descriptors: &[OwnedFd]) -> io::Result<()> {
        match message {
            ToInit::Setup(_) => Ok(()),
            ToInit::Spawn(request) => self.on_spawn(&request, descriptors),
            ToInit::Empty { id } => {
                match self.known.get_mut(&id) {
                    Some(known) => known.is_emptying = true,
                    None => self.answer(&FromInit::Emptied { id })?,
                }
                Ok(())
            }
        }
    }

    fn on_spawn(&mut self, request: &Spawn, descriptors: &[OwnedFd]) -> io::Result<()> {
        let id = request.id;
        let (input, others) = match descriptors {
            [input, others @ ..] if request.input != Input::Nothing => (input.as_fd(), others),
            others => (self.null.as_fd(), others),
        };
        let spawned = match others {
            [stdout, stderr, groups @ ..]
                if groups.len() == usize::from(request.has_group) + request.n_places =>
            {
                let streams = [input, stdout.as_fd(), stderr.as_fd()];
                let groups: Vec<BorrowedFd<'_>> = groups.iter().map(|it| it.as_fd()).collect();
                spawn(request, streams, &groups, self.limits_rights, &mut self.stack)
            }
            _ => Err(Failure { step: SpawnStep::Request, errno: libc::EBADF }),
        };
        let answer = match spawned {
            Ok(leader) => {
                self.processes.insert(leader, Process { id, counters: Counters::open(leader) });
                let mark = request.mark.clone();
                let known = Known {
                    leader,
                    mark,
                    is_running: true,
                    is_emptying: false,
                    unclear_looks: 0,
                    has_group: request.has_group,
                };
                self.known.insert(id, known);
                FromInit::Spawned { id }
            }
            Err(Failure { step, errno }) => FromInit::SpawnFailed { id, step, errno },
        };
        self.answer(&answer)
    }

    /// Collects every child that ended, ours and orphans.
    fn reap(&mut self) -> io::Result<()> {
        while let Some(ended) = reap(|pid| self.processes.get(&pid)?.counters.as_ref()) {
            let Some(Process { id, .. }) = self.processes.remove(&ended.pid) else {
                continue;
            };
            if self.known.get(&id).is_some_and(|known| known.has_group) {
                self.known.remove(&id);
            } else if let Some(known) = self.known.get_mut(&id) {
                known.is_running = false;
            }
            let answer = FromInit::Exited { id, exit_code: ended.exit_code, usage: ended.usage };
            self.answer(&answer)?;
        }
        Ok(())
    }

    /// Kills what is left of the processes that the agent wants gone.
    fn empty(&mut self) -> io::Result<()> {
        let mut emptied = Vec::new();
        for (id, known) in self.known.iter_mut().filter(|(_, known)| known.is_emptying) {
            let has_more = known.kill();
            if !has_more && !known.is_running {
                emptied.push(*id);
            }
        }
        for id in emptied {
            self.known.remove(&id);
            self.answer(&FromInit::Emptied { id })?;
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
    fn kill_all(&mut self) {
        for _ in 0..LAST_LOOKS_MAX {
            let mut has_more = false;
            for known in self.known.values_mut() {
                has_more |= known.kill();
            }
            while reap(|_| None).is_some() {}
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
