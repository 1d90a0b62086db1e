//! The agent's loop: what the server says, what ends, what must be told.
//!
//! It owns all state of the agent; attempts run beside it and answer with how they ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_domain::batch::command::StartTaskSpec;
use kiln_domain::batch::task::{FailureInfo, TaskConstraints};
use kiln_domain::batch::user::UserAccount;
use kiln_domain::time::Timestamp;
use kiln_wire::node::shell::ToShell;
use kiln_wire::node::{
    AttemptId, AttemptKind, FromAgent, Hello, NodeConfig, Outcome, PROTOCOL, Prepare, Report, Run,
    ToAgent,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::boot::Boot;
use crate::command::{End, Listener};
use crate::duties::{self, Duties};
use crate::isolate::SetupError;
use crate::link::{LinkFact, Outbox};
use crate::node::{self, Node, Running, kind_name};
use crate::removal::Removal;
use crate::reports::Reports;
use crate::requests::{Answer, Requests};
use crate::retention::Retention;
use crate::shell::{Shells, Wanted};
use crate::streams::Streams;
use crate::{AgentError, AgentOptions, clock, command, link, start_task};

/// Least time between two times that reports are sent while the task that began last still runs:
/// those of a stream of short tasks go together, because each time costs the server a commit. When
/// that task has ended, nothing else is about to, and all goes at once.
const REPORTS_APART: Duration = Duration::from_millis(4);
/// Messages and reports that wait for the loop.
const WAITING_MAX: usize = 256;

/// The agent of one node.
pub(crate) struct Agent {
    config: NodeConfig,
    program: PathBuf,
    incarnation: String,
    /// Whether the node has no files of an earlier boot.
    is_fresh: bool,
    node: Result<(Arc<Node>, Running), SetupError>,
    /// The start of the node that counts, once there is one.
    boot: Option<Arc<Boot>>,
    outbox: Option<Outbox>,
    streams: Streams,
    requests: Requests,
    shells: Shells,
    reports: Reports,
    /// When reports were last sent.
    reports_sent_at: Timestamp,
    duties: Duties<Attempt>,
    removal: Removal,
    retention: Retention,
    /// Whether the server wants to know when no task has files left.
    awaits_retention: bool,
    n_attempts: u64,
    /// The attempt that began last.
    latest: Option<AttemptId>,
    /// The start of the node that is under way: one at the most.
    booting: JoinSet<Booting>,
    work: JoinSet<Option<(AttemptId, End)>>,
    from_work: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    stop_start_task: watch::Sender<bool>,
}

/// A start of the node that came to its end.
struct Booting {
    boot: Arc<Boot>,
    start_task: Option<StartTaskSpec>,
    /// Whether all that the pool wants is there.
    made: Result<(), FailureInfo>,
}

/// An attempt that runs.
struct Attempt {
    stop: watch::Sender<bool>,
    /// All that goes when its time is over.
    directory: String,
    /// Its number on the node, by which its user is chosen.
    count: u64,
    constraints: TaskConstraints,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Leave,
}

impl Agent {
    /// Makes the node; whether that worked is told to the server later.
    pub(crate) async fn new(config: NodeConfig, options: AgentOptions) -> Self {
        let kinds = node::kinds(&config.isolation);
        let is_fresh = !node::has_files(&config);
        let node = Node::start(&config, &options.program, &kinds, &[]).await;
        Self {
            incarnation: options.incarnation,
            is_fresh,
            program: options.program,
            node,
            boot: None,
            outbox: None,
            streams: Streams::default(),
            requests: Requests::new(PathBuf::from(&config.directory)),
            shells: Shells::default(),
            reports: Reports::default(),
            reports_sent_at: Timestamp(0),
            duties: Duties::default(),
            removal: Removal::new(Path::new(&config.directory)),
            retention: Retention::open(Path::new(&config.directory), clock::now()),
            awaits_retention: false,
            n_attempts: 0,
            latest: None,
            booting: JoinSet::new(),
            work: JoinSet::new(),
            from_work: mpsc::channel(WAITING_MAX),
            stop_start_task: watch::channel(false).0,
            config,
        }
    }

    /// Serves until the server or the system wants no more, then ends the node. Its files stay:
    /// whoever started the agent takes over those of tasks, and removes the others.
    pub(crate) async fn run(mut self) -> Result<(), AgentError> {
        let served = self.serve().await;
        self.booting.shutdown().await;
        self.work.shutdown().await;
        self.streams.end().await;
        self.requests.end().await;
        self.shells.end().await;
        drop(self.outbox.take());
        let ended = match self.node {
            Ok((node, running)) => running.end(&node).await.map_err(AgentError::Leave),
            Err(_) => Ok(()),
        };
        let opened = node::open_layers(Path::new(&self.config.directory)).map_err(AgentError::Open);
        served.and(ended).and(opened)
    }

    async fn serve(&mut self) -> Result<(), AgentError> {
        let (facts, mut from_link) = mpsc::channel(WAITING_MAX);
        let mut links = JoinSet::new();
        let socket = PathBuf::from(&self.config.link_socket);
        links.spawn(link::keep(move || link::connect(socket.clone()), facts));
        let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signals)?;
        let mut heartbeat = tokio::time::interval(link::HEARTBEAT);
        let patience = Duration::from_secs(self.config.orphan_timeout_seconds);
        let orphaned = clock::sleep(patience);
        tokio::pin!(orphaned);
        loop {
            let messages = self.outbox.as_ref().map(|outbox| outbox.messages.clone());
            let is_linked = messages.is_some();
            let reports_wait = self.reports_wait();
            let users_go_in = self.requests.next_expiry_in(clock::now());
            let next = tokio::select! {
                Some(fact) = from_link.recv() => {
                    if matches!(fact, LinkFact::Disconnected) {
                        orphaned.set(clock::sleep(patience));
                    }
                    self.on_link(fact).await
                }
                Some(report) = self.from_work.1.recv() => {
                    self.reports.add(report);
                    Next::Continue
                }
                Some(booting) = self.booting.join_next() => {
                    self.on_ready(booting);
                    Next::Continue
                }
                Some(done) = self.work.join_next() => {
                    self.on_done(done);
                    Next::Continue
                }
                // Without a link this never comes back.
                Some(Ok(room)) = reserve(messages.as_ref(), reports_wait),
                    if self.reports.has_unsent() =>
                {
                    self.send_reports(room, messages.as_ref());
                    Next::Continue
                }
                _ = heartbeat.tick(), if is_linked => {
                    self.show_life(messages.as_ref());
                    Next::Continue
                }
                Some(answer) = self.requests.next() => {
                    self.on_answer(answer);
                    Next::Continue
                }
                () = after(users_go_in) => {
                    if let Ok((node, _)) = &self.node {
                        self.requests.remove_expired(Arc::clone(node));
                    }
                    Next::Continue
                }
                // Without a node it can not be removed, and stays due.
                () = retained(&self.retention), if self.node.is_ok() => {
                    self.remove_due();
                    Next::Continue
                }
                () = ended(&mut self.node) => return Err(AgentError::NodeEnded),
                _ = terminate.recv() => Next::Leave,
                () = &mut orphaned, if !is_linked => Next::Leave,
            };
            if next == Next::Leave {
                return Ok(());
            }
            self.tell_of_retention();
        }
    }

    /// How long reports are to wait for others.
    fn reports_wait(&self) -> Duration {
        let latest = self.latest.as_ref();
        if latest.is_none_or(|latest| self.duties.running(latest).is_none()) {
            return Duration::ZERO;
        }
        REPORTS_APART.saturating_sub(clock::now().since(self.reports_sent_at))
    }

    fn show_life(&self, messages: Option<&mpsc::Sender<FromAgent>>) {
        if let Some(messages) = messages {
            // A link that can not keep up shows life by itself.
            let measured = self.node.as_ref().ok().map(|(node, _)| node.measure());
            let _full = messages.try_send(FromAgent::Heartbeat { measured });
        }
    }

    async fn on_link(&mut self, fact: LinkFact) -> Next {
        match fact {
            LinkFact::Connected(outbox) => {
                let hello = Hello {
                    protocol: PROTOCOL,
                    node_id: self.config.node_id.clone(),
                    link_secret: self.config.link_secret.clone(),
                    agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                    incarnation: self.incarnation.clone(),
                    isolation: self.isolation().to_owned(),
                    boot: self.duties.boot(),
                    running: self.duties.all_running(),
                };
                // The first message on a new link always has room.
                let _room = outbox.messages.try_send(FromAgent::Hello(Box::new(hello)));
                self.reports.on_linked();
                self.outbox = Some(outbox);
                Next::Continue
            }
            LinkFact::Disconnected => {
                self.outbox = None;
                self.shells.close_all();
                self.streams.end().await;
                Next::Continue
            }
            LinkFact::Message(message) => self.on_message(*message).await,
        }
    }

    fn isolation(&self) -> &'static str {
        self.node.as_ref().map_or("none", |(node, _)| kind_name(node.kind))
    }

    async fn on_message(&mut self, message: ToAgent) -> Next {
        match message {
            ToAgent::Refused { reason } => {
                tracing::error!(reason, "the server takes another agent");
                return Next::Leave;
            }
            ToAgent::Welcome { acknowledged, protocol } => {
                tracing::info!(protocol, "linked");
                self.reports.on_welcome(acknowledged);
            }
            ToAgent::Acknowledge { acknowledged } => self.reports.on_acknowledged(acknowledged),
            ToAgent::Prepare(prepare) => self.on_prepare(&prepare).await,
            ToAgent::Run(run) => self.on_run(*run),
            ToAgent::Stop { attempt } => self.on_stop(attempt),
            ToAgent::RemoveDirectory { path } => self.remove_directory(path),
            ToAgent::AwaitRetention => self.awaits_retention = true,
            ToAgent::Files { stream, request } => {
                if let (Some(outbox), Ok((node, _))) = (&self.outbox, &self.node) {
                    let pieces = outbox.pieces.clone();
                    self.streams.answer(Arc::clone(node), stream, request, pieces);
                }
            }
            ToAgent::Request { number, request } => {
                if let Ok((node, _)) = &self.node {
                    self.requests.begin(number, request, Arc::clone(node), self.boot.clone());
                }
            }
            ToAgent::Shell { shell, run, message } => self.on_shell(shell, run, message),
            ToAgent::CancelStream { stream } => self.streams.cancel(stream),
            ToAgent::Leave => return Next::Leave,
        }
        Next::Continue
    }

    fn on_shell(&mut self, shell: u64, run: Option<Box<Run>>, message: ToShell) {
        match (message, run) {
            (ToShell::Open(spec), Some(run)) => {
                let Some(outbox) = &self.outbox else { return };
                let count = self.duties.running(&run.attempt).map(|attempt| attempt.count);
                let wanted = Wanted { run: *run, count, spec };
                self.shells.open(shell, self.boot.clone(), wanted, outbox.messages.clone());
            }
            (message, _) => self.shells.tell(shell, message),
        }
    }

    /// An answer that finds no link is not waited for any more.
    fn on_answer(&mut self, answer: Option<Answer>) {
        if let (Some((number, answer)), Some(outbox)) = (answer, &self.outbox)
            && outbox.messages.try_send(FromAgent::Answer { number, answer }).is_err()
        {
            tracing::warn!("the link is too slow for an answer");
        }
    }

    fn tell_of_retention(&mut self) {
        let is_idle = self.duties.is_idle();
        if self.awaits_retention && is_idle && self.retention.next_in(clock::now()).is_none() {
            self.awaits_retention = false;
            self.reports.add(Report::RetentionOver);
        }
    }

    fn remove_due(&mut self) {
        while let Some(path) = self.retention.first_due(clock::now()) {
            self.remove_directory(path);
        }
    }

    fn remove_directory(&mut self, path: String) {
        if let Ok((node, _)) = &self.node {
            self.removal.remove(&node.root, &path);
        }
        self.retention.cancel(&path);
    }

    /// Sends reports while there is room; the rest waits for its next time.
    fn send_reports(
        &mut self,
        first: mpsc::Permit<'_, FromAgent>,
        messages: Option<&mpsc::Sender<FromAgent>>,
    ) {
        self.reports_sent_at = clock::now();
        let mut room = Some(first);
        while let Some(place) = room
            && let Some(message) = self.reports.next_unsent()
        {
            place.send(message);
            room = messages.and_then(|messages| messages.try_reserve().ok());
        }
    }

    async fn on_prepare(&mut self, prepare: &Prepare) {
        match self.duties.on_prepare(prepare.boot) {
            duties::Booting::Known => return,
            duties::Booting::First if prepare.user_accounts.is_empty() => {}
            // The node was made before its users were known.
            duties::Booting::First => self.restart_node(&prepare.user_accounts).await,
            duties::Booting::Again => {
                self.restart_node(&prepare.user_accounts).await;
                self.reports.add(Report::BootBegan { boot: prepare.boot, at: clock::now() });
            }
        }
        let made = match &self.node {
            Ok((node, _)) => Boot::new(&self.config, prepare, Arc::clone(node))
                .map_err(|error| SetupError::new("prepare the node's directories", error)),
            Err(error) => {
                let message = format!("{} (see `kiln doctor`)", crate::with_causes(error));
                return self.report_boot_failed(prepare.boot, message);
            }
        };
        match made {
            Ok(boot) => {
                let (boot, start_task) = (Arc::new(boot), prepare.start_task.clone());
                self.booting.spawn(async move {
                    let made = boot.make_ready().await;
                    Booting { boot, start_task, made }
                });
            }
            Err(error) => self.report_boot_failed(prepare.boot, crate::with_causes(&error)),
        }
    }

    fn report_boot_failed(&mut self, boot: u32, message: String) {
        let (code, details) = (None, Vec::new());
        self.reports.add(Report::BootFailed { boot, message, code, details });
    }

    /// The node stands with all that its pool wants on it, or never will.
    fn on_ready(&mut self, booting: Result<Booting, tokio::task::JoinError>) {
        let Booting { boot, start_task, made } = match booting {
            Ok(booting) => booting,
            Err(error) => {
                tracing::error!(%error, "the start of the node broke");
                return self.report_boot_failed(self.duties.boot(), error.to_string());
            }
        };
        if let Err(FailureInfo { code, message, details, .. }) = made {
            let (boot, code) = (boot.number, Some(code));
            return self.reports.add(Report::BootFailed { boot, message, code, details });
        }
        self.boot = Some(Arc::clone(&boot));
        let is_fresh = std::mem::take(&mut self.is_fresh);
        self.reports.add(Report::Booted { boot: boot.number, at: clock::now(), is_fresh });
        for run in self.duties.on_ready() {
            self.on_run(run);
        }
        if let Some(spec) = start_task {
            let reports = self.from_work.0.clone();
            let stop = self.stop_start_task.subscribe();
            self.work.spawn(async move {
                start_task::run(&boot, &spec, &reports, stop).await;
                None
            });
        }
    }

    /// Ends everything on the node and makes it anew, with these users; its files stay.
    async fn restart_node(&mut self, users: &[UserAccount]) {
        self.booting.shutdown().await;
        self.work.shutdown().await;
        self.shells.end().await;
        let stopped = self.duties.clear();
        let gone = Err(SetupError::new("restart the node", std::io::ErrorKind::NotConnected));
        self.boot = None;
        let kinds = match std::mem::replace(&mut self.node, gone) {
            Ok((node, running)) => {
                if let Err(error) = running.end(&node).await {
                    tracing::error!(cause = crate::with_causes(&error), "failed to end the node");
                }
                vec![node.kind]
            }
            Err(_) => node::kinds(&self.config.isolation),
        };
        for attempt in stopped {
            self.on_ended(attempt, Outcome::Stopped.into());
        }
        self.node = Node::start(&self.config, &self.program, &kinds, users).await;
    }

    fn on_run(&mut self, run: Run) {
        match self.duties.on_run(run) {
            duties::Running::Known => {}
            duties::Running::Due(run) => self.begin(*run),
            duties::Running::After(earlier) => {
                for earlier in earlier {
                    self.stop(&earlier);
                }
            }
        }
    }

    fn stop(&self, id: &AttemptId) {
        if let Some(attempt) = self.duties.running(id) {
            attempt.stop.send_replace(true);
        }
    }

    fn begin(&mut self, run: Run) {
        let id = run.attempt.clone();
        let Some(boot) = self.boot.clone() else { return self.duties.put_off(run) };
        self.n_attempts += 1;
        // The two commands of a primary have one user.
        let primary = AttemptId { kind: AttemptKind::Subtask { number: 0 }, ..id.clone() };
        let count = self.duties.running(&primary).map_or(self.n_attempts, |it| it.count);
        let command = match boot.task_command(&run, count) {
            Ok(command) => command,
            Err(failure) => return self.on_ended(id, Outcome::NotStarted { failure }.into()),
        };
        let (stop, stopped) = watch::channel(false);
        let (directory, constraints) = (run.whole_directory().to_owned(), run.task.constraints);
        self.retention.hold(directory.clone(), constraints);
        self.latest = Some(id.clone());
        self.duties.begin(id.clone(), Attempt { stop, directory, constraints, count });
        let listener = Listener { attempt: id.clone(), reports: self.from_work.0.clone() };
        self.work.spawn(async move {
            Some((id, command::run(&boot, &command, stopped, Some(&listener)).await))
        });
    }

    fn on_stop(&mut self, id: AttemptId) {
        match self.duties.on_stop(&id) {
            duties::Stopping::Running => self.stop(&id),
            duties::Stopping::Known => {}
            duties::Stopping::Never => self.on_ended(id, Outcome::Stopped.into()),
        }
    }

    fn on_done(&mut self, done: Result<Option<(AttemptId, End)>, tokio::task::JoinError>) {
        match done {
            Ok(Some((id, end))) => self.on_ended(id, end),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "an attempt broke"),
        }
    }

    fn on_ended(&mut self, id: AttemptId, end: End) {
        let (ran, next) = self.duties.end(&id);
        if let Some(Attempt { directory, constraints, .. }) = ran {
            self.retention.keep(directory, constraints, clock::now());
        }
        let End { outcome, usage, container } = end;
        self.reports.add(Report::Ended {
            attempt: id,
            at: clock::now(),
            outcome,
            usage,
            container,
        });
        for run in next {
            self.on_run(run);
        }
    }
}

/// Room for a message, after this time; `None` without a link.
async fn reserve(
    messages: Option<&mpsc::Sender<FromAgent>>,
    time: Duration,
) -> Option<Result<mpsc::Permit<'_, FromAgent>, mpsc::error::SendError<()>>> {
    let messages = messages?;
    if !time.is_zero() {
        clock::sleep(time).await;
    }
    Some(messages.reserve().await)
}

/// Comes back after this time, if there is one.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => clock::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Comes back when the directory of an ended task may go.
async fn retained(retention: &Retention) {
    match retention.next_in(clock::now()) {
        Some(time) => clock::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Comes back when the node's first process ends by itself.
async fn ended(node: &mut Result<(Arc<Node>, Running), SetupError>) {
    match node {
        Ok((_, running)) => running.ended().await,
        Err(_) => std::future::pending().await,
    }
}
