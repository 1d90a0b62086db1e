//! The agent of one node: what it decides is the real agent's, what it does is played.

use std::sync::Arc;
use std::time::Duration;

use kiln_agent::duties::{Booting, Duties, Running, Stopping};
use kiln_agent::link::{self, LinkFact, Outbox};
use kiln_agent::reports::Reports;
use kiln_clock::{now, pause};
use kiln_domain::batch::usage::Usage;
use kiln_wire::node::{
    AttemptId, FromAgent, Hello, NodeAnswer, NodeConfig, Outcome, PROTOCOL, Prepare, Report, Run,
    ToAgent,
};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::attempt;
use crate::faults::Lie;
use crate::network;
use crate::start_task;
use crate::world::World;

/// Messages and reports that wait for the loop.
const WAITING_MAX: usize = 256;

/// Starts the agent of a node; `on_end` is called when it ends by itself.
pub(crate) fn spawn(
    world: &Arc<World>,
    config: NodeConfig,
    pid: i32,
    on_end: impl FnOnce() + Send + 'static,
) -> AbortHandle {
    let of_agent = Arc::clone(world);
    world.spawn(async move {
        Agent::new(of_agent, config, pid).run().await;
        on_end();
    })
}

struct Agent {
    world: Arc<World>,
    config: NodeConfig,
    pid: i32,
    is_ready: bool,
    outbox: Option<Outbox>,
    reports: Reports,
    duties: Duties<watch::Sender<bool>>,
    awaits_retention: bool,
    work: JoinSet<Done>,
    from_work: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
}

/// What came to its end beside the loop.
enum Done {
    Boot(Box<Prepare>),
    Attempt(AttemptId, Outcome),
    StartTask,
}

#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    Leave,
}

impl Agent {
    fn new(world: Arc<World>, config: NodeConfig, pid: i32) -> Self {
        Self {
            world,
            config,
            pid,
            is_ready: false,
            outbox: None,
            reports: Reports::default(),
            duties: Duties::default(),
            awaits_retention: false,
            work: JoinSet::new(),
            from_work: mpsc::channel(WAITING_MAX),
        }
    }

    fn note(&self, text: &str) {
        self.world.note(&format!("agent {} {text}", self.pid));
    }

    async fn run(mut self) {
        let (facts, mut from_link) = mpsc::channel(WAITING_MAX);
        let mut links = JoinSet::new();
        let (world, name) = (Arc::clone(&self.world), format!("agent {}", self.pid));
        let connect = move || network::connect(Arc::clone(&world), name.clone());
        links.spawn(link::keep(connect, facts));
        let patience = Duration::from_secs(self.config.orphan_timeout_seconds);
        let mut orphaned = Box::pin(pause(patience));
        let mut beat = Box::pin(pause(link::HEARTBEAT));
        loop {
            let messages = self.outbox.as_ref().map(|outbox| outbox.messages.clone());
            let is_linked = messages.is_some();
            let has_unsent = self.reports.has_unsent();
            let next = tokio::select! {
                biased;
                Some(fact) = from_link.recv() => {
                    if matches!(fact, LinkFact::Disconnected) {
                        orphaned = Box::pin(pause(patience));
                    }
                    self.on_link(fact).await
                }
                Some(report) = self.from_work.1.recv() => {
                    self.reports.add(report);
                    Next::Continue
                }
                Some(Ok(done)) = self.work.join_next() => {
                    self.on_done(done);
                    Next::Continue
                }
                Some(Ok(permit)) = reserve(messages.as_ref()), if has_unsent => {
                    if let Some(message) = self.reports.next_unsent() {
                        permit.send(message);
                    }
                    Next::Continue
                }
                () = &mut beat => {
                    beat = Box::pin(pause(link::HEARTBEAT));
                    if let Some(messages) = &messages {
                        // A link that can not keep up shows life by itself.
                        drop(messages.try_send(FromAgent::Heartbeat { measured: None }));
                    }
                    Next::Continue
                }
                () = &mut orphaned, if !is_linked => Next::Leave,
            };
            if next == Next::Leave {
                return self.note("leaves");
            }
            if self.awaits_retention && self.duties.is_idle() {
                self.awaits_retention = false;
                self.reports.add(Report::RetentionOver);
            }
        }
    }

    async fn on_link(&mut self, fact: LinkFact) -> Next {
        match fact {
            LinkFact::Connected(outbox) => {
                let hello = Hello {
                    protocol: PROTOCOL,
                    node_id: self.config.node_id.clone(),
                    link_secret: self.config.link_secret.clone(),
                    agent_version: "sim".to_owned(),
                    incarnation: self.pid.to_string(),
                    isolation: "none".to_owned(),
                    boot: self.duties.boot(),
                    running: self.duties.all_running(),
                };
                // The first message on a new link always has room.
                drop(outbox.messages.try_send(FromAgent::Hello(Box::new(hello))));
                self.reports.on_linked();
                self.outbox = Some(outbox);
                Next::Continue
            }
            LinkFact::Disconnected => {
                self.outbox = None;
                Next::Continue
            }
            LinkFact::Message(message) => self.on_message(*message).await,
        }
    }

    async fn on_message(&mut self, message: ToAgent) -> Next {
        match message {
            ToAgent::Refused { .. } | ToAgent::Leave => return Next::Leave,
            ToAgent::Welcome { acknowledged, .. } => self.reports.on_welcome(acknowledged),
            ToAgent::Acknowledge { acknowledged } => {
                self.note(&format!("hears that {acknowledged} is kept"));
                self.reports.on_acknowledged(acknowledged);
            }
            ToAgent::Prepare(prepare) => self.on_prepare(prepare).await,
            ToAgent::Run(run) => {
                self.note(&format!("is to run {}", name_of(&run.attempt)));
                self.on_run(*run);
            }
            ToAgent::Stop { attempt } => {
                self.note(&format!("is to stop {}", name_of(&attempt)));
                self.on_stop(attempt);
            }
            ToAgent::AwaitRetention => self.awaits_retention = true,
            ToAgent::Request { number, .. } => {
                if let Some(outbox) = &self.outbox {
                    let answer = FromAgent::Answer { number, answer: Ok(NodeAnswer::Done) };
                    drop(outbox.messages.try_send(answer));
                }
            }
            // Nodes here have no files and no shells.
            ToAgent::RemoveDirectory { .. }
            | ToAgent::Files { .. }
            | ToAgent::Shell { .. }
            | ToAgent::CancelStream { .. } => {}
        }
        Next::Continue
    }

    async fn on_prepare(&mut self, prepare: Box<Prepare>) {
        match self.duties.on_prepare(prepare.boot) {
            Booting::Known => return,
            Booting::First => {}
            Booting::Again => {
                self.is_ready = false;
                self.work.shutdown().await;
                for attempt in self.duties.clear() {
                    self.on_ended(attempt, Outcome::Stopped, None);
                }
                self.reports.add(Report::BootBegan { boot: prepare.boot, at: now() });
            }
        }
        self.note(&format!("boots {}", prepare.boot));
        let length = self.world.chance.ms(1, 1_000);
        self.work.spawn(async move {
            pause(length).await;
            Done::Boot(prepare)
        });
    }

    fn on_booted(&mut self, prepare: &Prepare) {
        let boot = prepare.boot;
        if self.world.faults.happens(&self.world.chance, self.world.faults.failed_boot) {
            let (message, code, details) = ("no room".to_owned(), None, Vec::new());
            return self.reports.add(Report::BootFailed { boot, message, code, details });
        }
        self.is_ready = true;
        let is_fresh = !self.world.machines.take_files(&self.config.node_id);
        self.reports.add(Report::Booted { boot, at: now(), is_fresh });
        for run in self.duties.on_ready() {
            self.on_run(run);
        }
        if let Some(spec) = prepare.start_task.clone() {
            let (world, reports) = (Arc::clone(&self.world), self.from_work.0.clone());
            self.work.spawn(async move {
                start_task::run(&world, boot, &spec, &reports).await;
                Done::StartTask
            });
        }
    }

    fn on_run(&mut self, run: Run) {
        match self.duties.on_run(run) {
            Running::Known => {}
            Running::Due(run) => self.begin(*run),
            Running::After(earlier) => earlier.iter().for_each(|it| self.stop(it)),
        }
    }

    fn stop(&self, id: &AttemptId) {
        if let Some(stop) = self.duties.running(id) {
            stop.send_replace(true);
        }
    }

    fn begin(&mut self, run: Run) {
        if !self.is_ready {
            return self.duties.put_off(run);
        }
        let id = run.attempt.clone();
        self.note(&format!("begins {}", name_of(&id)));
        self.reports.add(Report::Started { attempt: id.clone(), at: now() });
        let (stop, stopped) = watch::channel(false);
        self.duties.begin(id.clone(), stop);
        let (world, reports) = (Arc::clone(&self.world), self.from_work.0.clone());
        self.work.spawn(async move {
            let outcome = attempt::run(&world, &run, stopped, &reports).await;
            Done::Attempt(id, outcome)
        });
    }

    fn on_stop(&mut self, id: AttemptId) {
        match self.duties.on_stop(&id) {
            Stopping::Running => self.stop(&id),
            Stopping::Known => {}
            Stopping::Never => self.on_ended(id, Outcome::Stopped, None),
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Boot(prepare) => self.on_booted(&prepare),
            Done::Attempt(id, outcome) => {
                // One operation each, so that what is counted twice is seen.
                let usage = Usage { read_ops: 1, ..Usage::default() };
                self.on_ended(id, outcome, Some(usage));
            }
            Done::StartTask => {}
        }
    }

    fn on_ended(&mut self, id: AttemptId, mut outcome: Outcome, usage: Option<Usage>) {
        let (ran, next) = self.duties.end(&id);
        self.note(&format!("ended {} {outcome:?}", name_of(&id)));
        if ran.is_some() {
            self.world.model.on_ended(&id, &self.config.node_id, &outcome);
        }
        if let Outcome::Exited { exit_code } = &mut outcome
            && self.world.faults.lie == Some(Lie::Agent)
        {
            *exit_code += 1;
        }
        let at = now();
        self.reports.add(Report::Ended { attempt: id, at, outcome, usage, container: None });
        for run in next {
            self.on_run(run);
        }
    }
}

fn name_of(id: &AttemptId) -> String {
    format!("{}/{}#{}.{} {:?}", id.job_key, id.task_id, id.sequence, id.attempt, id.kind)
}

/// Room for a message; `None` without a link.
async fn reserve(
    messages: Option<&mpsc::Sender<FromAgent>>,
) -> Option<Result<mpsc::Permit<'_, FromAgent>, mpsc::error::SendError<()>>> {
    Some(messages?.reserve().await)
}
