//! Who runs in a node, and what the agent is to hear of it: what the loop of the first process
//! and its starters both know.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::channel::{encode, send_bytes};
use super::ended::Counters;
use super::leftovers::{self, Look};
use super::message::{FromInit, Input, Spawn, SpawnStep};
use super::spawn::{Failure, Site, spawn};

/// Threads that start processes. Each waits until the program of its child runs; meanwhile the
/// others go on.
const STARTERS: usize = 4;
/// Processes that wait to be started before the agent is not listened to any more.
const JOBS_MAX: usize = 1024;
/// Looks in a row that may be unclear before nothing is taken to be left: a process without
/// any environment may well be somebody else's.
const UNCLEAR_LOOKS_MAX: u32 = 10;

/// What the threads of the first process share.
#[derive(Debug)]
pub(crate) struct Roster {
    socket: OwnedFd,
    state: Mutex<State>,
    /// There is a job, or there will be no more.
    has_jobs: Condvar,
    /// A job was taken, or a process that was started is among [`State::processes`].
    has_moved: Condvar,
    /// The child that each starter is about to have.
    starting: [AtomicI32; STARTERS],
    null: OwnedFd,
}

/// What they know.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Answers that go together: each time wakes the agent.
    answers: Vec<u8>,
    /// Whether the loop waits for something to happen: then whoever has an answer sends it.
    loop_waits: bool,
    /// Whether the loop can not go on before a starter does something.
    loop_is_held: bool,
    jobs: VecDeque<Job>,
    /// Starters that wait for a job. To wake nobody costs as much as to wake somebody.
    n_idle: usize,
    is_over: bool,
    /// Running processes that were asked for, by process id.
    pub(crate) processes: BTreeMap<i32, Process>,
    /// Those that were asked for and run, or that left something behind, by their name in
    /// messages.
    pub(crate) known: BTreeMap<u64, Known>,
}

/// A process to start, and the descriptors that came along.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: Box<Spawn>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: u64,
    pub(crate) counters: Option<Counters>,
}

#[derive(Debug)]
pub(crate) struct Known {
    /// Process id of the session's leader, once there is one.
    leader: Option<i32>,
    mark: String,
    /// Whether it runs, or will.
    pub(crate) is_running: bool,
    pub(crate) is_emptying: bool,
    /// Looks in a row that found nothing for certain.
    unclear_looks: u32,
    /// Whether the agent empties it, through its control group.
    pub(crate) has_group: bool,
}

impl Known {
    fn new(request: &Spawn) -> Self {
        Self {
            leader: None,
            mark: request.mark.clone(),
            is_running: true,
            is_emptying: false,
            unclear_looks: 0,
            has_group: request.has_group,
        }
    }

    /// Kills what is left of it; whether there may be more.
    pub(crate) fn kill(&mut self) -> bool {
        match leftovers::kill(self.leader, &self.mark) {
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

impl State {
    /// Answers the agent once the loop has done all that there is to do.
    pub(crate) fn answer(&mut self, answer: &FromInit) -> io::Result<()> {
        self.answers.extend(encode(answer, 0)?);
        Ok(())
    }
}

impl Roster {
    /// One for the agent at the other end of `socket`; `null` is what processes read that have
    /// nothing to read.
    pub(crate) fn new(socket: OwnedFd, null: OwnedFd) -> Self {
        Self {
            socket,
            state: Mutex::default(),
            has_jobs: Condvar::new(),
            has_moved: Condvar::new(),
            starting: [const { AtomicI32::new(0) }; STARTERS],
            null,
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the answers before the loop begins to wait, or after it has.
    pub(crate) fn set_loop_waits(&self, loop_waits: bool) -> io::Result<()> {
        let mut state = self.state();
        state.loop_waits = loop_waits;
        self.send(&mut state)
    }

    fn send(&self, state: &mut State) -> io::Result<()> {
        send_bytes(&self.socket, &state.answers, &[])?;
        state.answers.clear();
        Ok(())
    }

    /// What is known once it is certain whether the child `pid`, which ended, was asked for: its
    /// starter may be about to say so.
    pub(crate) fn state_for(&self, pid: i32) -> MutexGuard<'_, State> {
        self.state_unless(|_| {
            self.starting.iter().any(|starting| starting.load(Ordering::Acquire) == pid)
        })
    }

    /// Gives a job to the starters.
    pub(crate) fn give(&self, job: Job) {
        let mut state = self.state_unless(|state| state.jobs.len() >= JOBS_MAX);
        state.known.insert(job.request.id, Known::new(&job.request));
        state.jobs.push_back(job);
        let has_idle = state.n_idle > 0;
        drop(state);
        if has_idle {
            self.has_jobs.notify_one();
        }
    }

    /// What is known once nothing holds the loop, which asks.
    fn state_unless(&self, is_held: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while is_held(&state) {
            state.loop_is_held = true;
            state = self.has_moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.loop_is_held = false;
        state
    }

    /// A starter has done something for which the loop may wait.
    fn moved(&self, state: &State) {
        if state.loop_is_held {
            self.has_moved.notify_one();
        }
    }

    /// Does a job in this thread, which is the only one that collects what ended.
    pub(crate) fn start_here(&self, job: Job, site: &mut Site) -> io::Result<()> {
        self.state().known.insert(job.request.id, Known::new(&job.request));
        self.start(job, site, &AtomicI32::new(0), None)
    }

    /// There will be no more jobs, and those that nobody took are nobody's.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.jobs.clear();
        drop(state);
        self.has_jobs.notify_all();
    }

    /// The lives of those who start processes. With `limits_rights`, administrators have less
    /// than all rights here.
    pub(crate) fn starters(
        &self,
        limits_rights: bool,
    ) -> impl Iterator<Item = impl FnOnce() + Send> {
        self.starting.iter().map(move |starting| move || self.serve(starting, limits_rights))
    }

    fn serve(&self, starting: &AtomicI32, limits_rights: bool) {
        let mut site = Site::new();
        // What this thread can not give, none of its children has.
        let limited = if limits_rights { crate::isolate::capabilities::limit() } else { Ok(()) };
        let unlimited = limited
            .err()
            .map(|error| Failure { step: SpawnStep::User, errno: error.raw_os_error() });
        while let Some(job) = self.next_job() {
            // Without an agent nobody is left to be told; the loop learns of that by itself.
            let _unheard = self.start(job, &mut site, starting, unlimited);
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.state();
        while state.jobs.is_empty() && !state.is_over {
            state.n_idle += 1;
            state = self.has_jobs.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.n_idle -= 1;
        }
        let job = state.jobs.pop_front()?;
        self.moved(&state);
        Some(job)
    }

    /// Starts a process and tells what became of it, unless it is known that it may not be.
    fn start(
        &self,
        job: Job,
        site: &mut Site,
        starting: &AtomicI32,
        failure: Option<Failure>,
    ) -> io::Result<()> {
        let spawned = match failure {
            Some(failure) => Err(failure),
            None => self.spawn(&job, site, starting),
        };
        let counters = spawned.ok().and_then(Counters::open);
        let id = job.request.id;
        drop(job);
        let mut state = self.state();
        let answer = match spawned {
            Ok(leader) => {
                state.processes.insert(leader, Process { id, counters });
                if let Some(known) = state.known.get_mut(&id) {
                    known.leader = Some(leader);
                }
                FromInit::Spawned { id }
            }
            Err(Failure { step, errno }) => {
                state.known.remove(&id);
                FromInit::SpawnFailed { id, step, errno }
            }
        };
        starting.store(0, Ordering::Release);
        self.moved(&state);
        state.answer(&answer)?;
        if state.loop_waits { self.send(&mut state) } else { Ok(()) }
    }

    fn spawn(&self, job: &Job, site: &mut Site, starting: &AtomicI32) -> Result<i32, Failure> {
        let Job { request, descriptors } = job;
        let (input, others) = match descriptors.as_slice() {
            [input, others @ ..] if request.input != Input::Nothing => (input, others),
            others => (&self.null, others),
        };
        match others {
            [stdout, stderr, groups @ ..]
                if groups.len() == usize::from(request.has_group) + request.n_places =>
            {
                let streams = [input, stdout, stderr].map(|stream| stream.as_fd());
                let groups: Vec<BorrowedFd<'_>> = groups.iter().map(|it| it.as_fd()).collect();
                spawn(request, streams, &groups, site, starting)
            }
            _ => Err(Failure { step: SpawnStep::Request, errno: libc::EBADF }),
        }
    }
}
