//! Plays the agents of all nodes in one process: over the real socket, with the real messages,
//! each as an agent whose tasks take no time.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use kiln_wire::node::frames::{Frame, FrameError, FrameReader, FrameWriter};
use kiln_wire::node::{
    AttemptId, FromAgent, Hello, NodeConfig, Outcome, PROTOCOL, Report, Run, ToAgent,
};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

use crate::{clock, process};

/// Time between two looks for agents that were started.
const LOOK_EACH: Duration = Duration::from_millis(10);
/// Time after which a server that is not there is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// Time between two signs of life, as of real agents.
const HEARTBEAT_EACH: Duration = Duration::from_secs(5);
/// The command of tasks that run until they are stopped.
pub(crate) const HOLD: &str = "hold";

/// Plays whoever is started, until it is killed. Settings come as files of `folder`, named after
/// the processes that agents are to the server; those that are played go to `taken`.
pub(crate) async fn run(folder: &Path, taken: &Path) -> Result<(), String> {
    let told = |cause: std::io::Error| format!("{}: {cause}", folder.display());
    std::fs::create_dir_all(taken).map_err(told)?;
    let mut agents = JoinSet::new();
    loop {
        for entry in std::fs::read_dir(folder).map_err(told)?.flatten() {
            let settings = std::fs::read(entry.path()).map_err(told)?;
            // One that is not written yet is there in a moment.
            let Ok(config) = serde_json::from_slice(&settings) else { continue };
            let place = taken.join(entry.file_name());
            std::fs::rename(entry.path(), &place).map_err(told)?;
            agents.spawn(Agent::new(config, place).live());
        }
        while agents.try_join_next().is_some() {}
        clock::pause(LOOK_EACH).await;
    }
}

struct Agent {
    config: NodeConfig,
    /// The file named after its process.
    process: PathBuf,
    boot: u32,
    /// Those that run until they are stopped.
    running: BTreeSet<AttemptId>,
    /// The number of the last report.
    number: u64,
    /// Reports that the server may not have.
    open: VecDeque<(u64, Report)>,
}

/// Why a link ended.
enum End {
    /// The agent ends.
    Left,
    /// The server is not there.
    Broken,
}

impl From<FrameError> for End {
    fn from(_cause: FrameError) -> Self {
        Self::Broken
    }
}

type Link = (FrameReader<OwnedReadHalf>, FrameWriter<OwnedWriteHalf>);

impl Agent {
    fn new(config: NodeConfig, process: PathBuf) -> Self {
        let running = BTreeSet::new();
        Self { config, process, boot: 0, running, number: 0, open: VecDeque::new() }
    }

    async fn live(mut self) {
        loop {
            match UnixStream::connect(&self.config.link_socket).await {
                Ok(stream) => {
                    let (reader, writer) = stream.into_split();
                    let link = (FrameReader::new(reader), FrameWriter::new(writer));
                    if let Err(End::Left) = self.converse(link).await {
                        break;
                    }
                }
                Err(_cause) => {}
            }
            clock::pause(RETRY_AFTER).await;
        }
        let pid = self.process.file_name().unwrap_or_default().to_string_lossy();
        process::end_stand_in(&pid);
    }

    async fn converse(&mut self, (mut reader, mut writer): Link) -> Result<(), End> {
        let hello = Hello {
            protocol: PROTOCOL,
            node_id: self.config.node_id.clone(),
            link_secret: self.config.link_secret.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.process.display().to_string(),
            isolation: "plain".to_owned(),
            boot: self.boot,
            running: self.running.iter().cloned().collect(),
        };
        let mut says = vec![FromAgent::Hello(Box::new(hello))];
        says.extend(self.open.iter().map(|(number, report)| FromAgent::Report {
            number: *number,
            report: Box::new(report.clone()),
        }));
        writer.messages(&says)?;
        writer.flush().await?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT_EACH);
        loop {
            let mut says = Vec::new();
            tokio::select! {
                frame = reader.next::<ToAgent>() => match frame? {
                    None => return Err(End::Broken),
                    Some(Frame::File { .. }) => {}
                    Some(Frame::Messages(messages)) => {
                        for message in messages {
                            self.hear(message, &mut says)?;
                        }
                    }
                },
                _ = heartbeat.tick() => says.push(FromAgent::Heartbeat { measured: None }),
            }
            if !says.is_empty() {
                writer.messages(&says)?;
                writer.flush().await?;
            }
        }
    }

    fn hear(&mut self, message: ToAgent, says: &mut Vec<FromAgent>) -> Result<(), End> {
        match message {
            ToAgent::Prepare(prepare) if prepare.boot > self.boot => {
                self.boot = prepare.boot;
                let (boot, at) = (prepare.boot, clock::time());
                self.report(Report::Booted { boot, at, is_fresh: false }, says);
            }
            ToAgent::Run(run) => self.run(*run, says),
            ToAgent::Stop { attempt } => {
                self.running.remove(&attempt);
                self.end(attempt, Outcome::Stopped, says);
            }
            ToAgent::Acknowledge { acknowledged } => {
                while self.open.front().is_some_and(|(number, _)| *number <= acknowledged) {
                    self.open.pop_front();
                }
            }
            ToAgent::Leave | ToAgent::Refused { .. } => return Err(End::Left),
            // Nobody asks simulated nodes for anything else.
            ToAgent::Welcome { .. }
            | ToAgent::Prepare(_)
            | ToAgent::RemoveDirectory { .. }
            | ToAgent::Files { .. }
            | ToAgent::Request { .. }
            | ToAgent::Shell { .. }
            | ToAgent::CancelStream { .. }
            | ToAgent::AwaitRetention => {}
        }
        Ok(())
    }

    fn run(&mut self, run: Run, says: &mut Vec<FromAgent>) {
        let is_known = self.running.contains(&run.attempt) || self.has_ended(&run.attempt);
        if is_known {
            return;
        }
        if run.task.command_line == HOLD {
            self.running.insert(run.attempt);
        } else {
            self.end(run.attempt, Outcome::Exited { exit_code: 0 }, says);
        }
    }

    fn has_ended(&self, attempt: &AttemptId) -> bool {
        self.open.iter().any(|(_, report)| {
            matches!(report, Report::Ended { attempt: ended, .. } if ended == attempt)
        })
    }

    fn end(&mut self, attempt: AttemptId, outcome: Outcome, says: &mut Vec<FromAgent>) {
        let usage = Some(Usage { peak_memory_bytes: 1 << 20, ..Usage::of_length(Span::ZERO) });
        let at = clock::time();
        self.report(Report::Ended { attempt, at, outcome, usage, container: None }, says);
    }

    fn report(&mut self, report: Report, says: &mut Vec<FromAgent>) {
        self.number += 1;
        let number = self.number;
        self.open.push_back((number, report.clone()));
        says.push(FromAgent::Report { number, report: Box::new(report) });
    }
}
