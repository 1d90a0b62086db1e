//! An agent, played by a test over the real socket with the real frames.

use std::collections::VecDeque;
use std::path::PathBuf;

use kiln_domain::batch::container::ContainerInfo;
use kiln_domain::batch::node::StartTaskRun;
use kiln_domain::batch::task::FailureInfo;
use kiln_domain::batch::usage::Usage;
use kiln_wire::node::frames::{Frame, FrameReader, FrameWriter};
use kiln_wire::node::{
    AttemptId, FromAgent, Hello, NodeAnswer, NodeConfig, NodeRefusal, NodeRequest, Outcome,
    PROTOCOL, Prepare, Report, Run, ToAgent,
};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::{PATIENCE, now, wait_a_little};

pub(crate) struct Agent {
    pub(crate) config: NodeConfig,
    /// The file by which its process lives.
    life: PathBuf,
    link: Option<Link>,
    seen: VecDeque<ToAgent>,
    /// Reports so far.
    pub(crate) number: u64,
    /// The boot it was last told to prepare.
    pub(crate) boot: u32,
    /// How it was last told to prepare.
    pub(crate) prepared: Option<Prepare>,
    /// The version of the messages that it says it speaks.
    pub(crate) protocol: u32,
    /// What it says it runs when it links again.
    pub(crate) running: Vec<AttemptId>,
    /// The container in which it says that everything ran.
    pub(crate) container: Option<ContainerInfo>,
}

struct Link {
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
}

impl Agent {
    pub(crate) async fn link(life: PathBuf) -> Self {
        let settings = std::fs::read(&life).expect("the agent keeps its settings");
        let config = serde_json::from_slice(&settings).expect("settings are JSON");
        let mut agent = Self {
            config,
            life,
            link: None,
            seen: VecDeque::new(),
            number: 0,
            boot: 0,
            prepared: None,
            protocol: PROTOCOL,
            running: Vec::new(),
            container: None,
        };
        agent.relink().await;
        agent
    }

    pub(crate) fn node_id(&self) -> &str {
        &self.config.node_id
    }

    /// Links again; the first message must be the welcome.
    pub(crate) async fn relink(&mut self) {
        let first = self.try_relink().await;
        assert!(matches!(first, Some(ToAgent::Welcome { .. })), "first came {first:?}");
    }

    /// Links again; the first message, if the server says anything.
    pub(crate) async fn try_relink(&mut self) -> Option<ToAgent> {
        self.unlink();
        let connecting = async {
            loop {
                match UnixStream::connect(&self.config.link_socket).await {
                    Ok(stream) => return stream,
                    // The server is between two lives.
                    Err(_cause) => wait_a_little().await,
                }
            }
        };
        let stream = tokio::time::timeout(PATIENCE, connecting).await.expect("a server listens");
        let (reader, writer) = stream.into_split();
        let (reader, writer) = (FrameReader::new(reader), FrameWriter::new(writer));
        self.link = Some(Link { reader, writer });
        let hello = Hello {
            protocol: self.protocol,
            node_id: self.config.node_id.clone(),
            link_secret: self.config.link_secret.clone(),
            agent_version: "1.2.3".to_owned(),
            incarnation: self.life.display().to_string(),
            isolation: "plain".to_owned(),
            boot: self.boot,
            running: self.running.clone(),
        };
        self.say(&[FromAgent::Hello(Box::new(hello))]).await;
        self.read().await;
        self.seen.pop_front()
    }

    /// Lets the link break.
    pub(crate) fn unlink(&mut self) {
        self.link = None;
        self.seen.clear();
    }

    /// Takes the order to make the node ready, and says that it is.
    pub(crate) async fn boot(&mut self) -> Prepare {
        let prepare = self.prepare().await;
        self.booted(prepare.boot).await;
        prepare
    }

    /// Says that the node is ready, with the files that it had.
    pub(crate) async fn booted(&mut self, boot: u32) {
        self.report(Report::Booted { boot, at: now(), is_fresh: false }).await;
    }

    pub(crate) async fn prepare(&mut self) -> Prepare {
        let prepare = self.expect("an order to prepare", |message| {
            if let ToAgent::Prepare(prepare) = message { Some((**prepare).clone()) } else { None }
        });
        let prepare = prepare.await;
        self.boot = prepare.boot;
        self.prepared = Some(prepare.clone());
        prepare
    }

    /// Takes the order to make the node ready once more.
    pub(crate) async fn prepare_again(&mut self) -> Prepare {
        let boot = self.boot;
        let prepare = self.expect("an order to prepare again", |message| {
            let ToAgent::Prepare(prepare) = message else { return None };
            (prepare.boot > boot).then(|| (**prepare).clone())
        });
        let prepare = prepare.await;
        self.boot = prepare.boot;
        prepare
    }

    /// Says that the start task of a boot came to its end.
    pub(crate) async fn start_task_ends(&mut self, boot: u32, exit_code: i32) {
        let info = StartTaskRun {
            is_running: false,
            started_at: now(),
            ended_at: Some(now()),
            exit_code: Some(exit_code),
            failure: (exit_code != 0).then(FailureInfo::exit_code),
            retry_count: 0,
            last_retry_at: None,
            is_final: true,
            container: self.container.clone(),
        };
        self.report(Report::StartTask { boot, info }).await;
    }

    /// What the server asks for next, with its number.
    pub(crate) async fn requested(&mut self) -> (u64, NodeRequest) {
        self.expect("a request", |message| {
            let ToAgent::Request { number, request } = message else { return None };
            Some((*number, request.clone()))
        })
        .await
    }

    /// Answers what the server asked for.
    pub(crate) async fn answer(&mut self, number: u64, answer: Result<NodeAnswer, NodeRefusal>) {
        self.say(&[FromAgent::Answer { number, answer }]).await;
    }

    /// The node's directory on this machine.
    pub(crate) fn directory(&self) -> PathBuf {
        PathBuf::from(&self.config.directory)
    }

    /// The next task to run.
    pub(crate) async fn run(&mut self) -> Run {
        self.expect("an order to run", |message| {
            if let ToAgent::Run(run) = message { Some((**run).clone()) } else { None }
        })
        .await
    }

    /// The next attempt to stop.
    pub(crate) async fn stop(&mut self) -> AttemptId {
        self.expect("an order to stop", |message| {
            if let ToAgent::Stop { attempt } = message { Some(attempt.clone()) } else { None }
        })
        .await
    }

    /// Takes the order to leave, and ends.
    pub(crate) async fn leave(mut self) {
        self.expect("an order to leave", |it| matches!(it, ToAgent::Leave).then_some(())).await;
        self.die();
    }

    /// Ends the process without a word.
    pub(crate) fn die(self) {
        std::fs::remove_file(&self.life).expect("the agent lived");
    }

    /// Whether the server still sees this process as its node's agent.
    pub(crate) fn lives(&self) -> bool {
        self.life.exists()
    }

    /// Runs the next task to this end.
    pub(crate) async fn run_to(&mut self, outcome: Outcome) -> Run {
        let run = self.run().await;
        self.end(&run.attempt, outcome).await;
        run
    }

    /// Says that an attempt ended, and waits until that is kept.
    pub(crate) async fn end(&mut self, attempt: &AttemptId, outcome: Outcome) {
        self.end_after(attempt, outcome, None).await;
    }

    /// Says that an attempt ended and what it took, and waits until that is kept.
    pub(crate) async fn end_after(
        &mut self,
        attempt: &AttemptId,
        outcome: Outcome,
        usage: Option<Usage>,
    ) {
        let (attempt, container) = (attempt.clone(), self.container.clone());
        self.report(Report::Ended { attempt, at: now(), outcome, usage, container }).await;
    }

    /// Reports, and waits until that is kept.
    pub(crate) async fn report(&mut self, report: Report) {
        self.number += 1;
        let number = self.number;
        self.say(&[FromAgent::Report { number, report: Box::new(report) }]).await;
        self.acknowledged(number).await;
    }

    pub(crate) async fn acknowledged(&mut self, number: u64) {
        self.expect("an acknowledgement", |message| {
            matches!(message, ToAgent::Acknowledge { acknowledged } if *acknowledged >= number)
                .then_some(())
        })
        .await;
    }

    pub(crate) async fn say(&mut self, messages: &[FromAgent]) {
        let link = self.link.as_mut().expect("the agent is linked");
        link.writer.messages(messages).expect("small messages");
        link.writer.flush().await.expect("the server listens");
    }

    /// Sends bytes of a file; none ends them.
    pub(crate) async fn say_bytes(&mut self, stream: u64, bytes: &[u8]) {
        let link = self.link.as_mut().expect("the agent is linked");
        link.writer.file(stream, bytes).expect("few bytes");
        link.writer.file(stream, &[]).expect("no bytes");
        link.writer.flush().await.expect("the server listens");
    }

    /// The first message that `pick` takes; the others wait for a later call.
    pub(crate) async fn expect<T>(
        &mut self,
        what: &str,
        pick: impl Fn(&ToAgent) -> Option<T>,
    ) -> T {
        loop {
            let found = self.seen.iter().enumerate().find_map(|(at, it)| Some((at, pick(it)?)));
            if let Some((at, found)) = found {
                self.seen.remove(at);
                return found;
            }
            assert!(self.read().await, "no {what} came, but {:#?}", self.seen);
        }
    }

    /// Reads messages; false when the server cut the link or says nothing.
    async fn read(&mut self) -> bool {
        let link = self.link.as_mut().expect("the agent is linked");
        let frame = tokio::time::timeout(PATIENCE, link.reader.next::<ToAgent>()).await;
        match frame {
            Ok(Ok(Some(Frame::Messages(messages)))) => self.seen.extend(messages),
            Ok(Ok(Some(Frame::File { .. }))) => {}
            Ok(Ok(None) | Err(_)) | Err(_) => return false,
        }
        true
    }
}
