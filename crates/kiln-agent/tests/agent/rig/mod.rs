//! Plays the server for one agent, on a directory and a socket of its own.
#![expect(clippy::panic, reason = "a test may")]
#![expect(clippy::wildcard_enum_match_arm, reason = "all but one case is a failure")]

pub(crate) mod registry;
pub(crate) mod shell;
pub(crate) mod web;

use std::collections::VecDeque;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kiln_domain::batch::command::{
    AutoUser, AutoUserScope, ElevationLevel, EnvironmentSetting, ResourceFile, StartTaskSpec,
    UserIdentity,
};
use kiln_domain::batch::task::{FailureInfo, TaskConstraints, TaskSpec};
use kiln_domain::batch::usage::Usage;
use kiln_domain::batch::user::UserAccount;
use kiln_domain::time::Timestamp;
use kiln_wire::node::frames::{Frame, FrameReader, FrameWriter};
use kiln_wire::node::{
    AttemptId, AttemptKind, FileAnswer, FileRefusal, FileRequest, FromAgent, Hello, NodeAnswer,
    NodeConfig, NodeRefusal, NodeRequest, Outcome, PROTOCOL, Package, Prepare, Report, Run,
    SlotLimits, StartTaskInfo, ToAgent,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Time for anything to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// First user id of the nodes of tests.
pub(crate) const FIRST_UID: u32 = 1_000_000_000;

pub(crate) struct Rig {
    pub(crate) base: TempDir,
    pub(crate) config: NodeConfig,
    pub(crate) agent: Child,
    listener: UnixListener,
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
    pub(crate) hello: Hello,
    pub(crate) reports: Vec<(u64, Report)>,
    pub(crate) acknowledges: bool,
    /// Users of the node, when it is next prepared.
    pub(crate) users: Vec<UserAccount>,
    /// Task slots of runs.
    pub(crate) slots: u32,
    /// What runs are told about later ones.
    pub(crate) may_run_again: bool,
    next_stream: u64,
    /// Messages that came in one frame with earlier ones.
    waiting: VecDeque<FromAgent>,
}

impl Rig {
    /// Starts an agent and welcomes it.
    pub(crate) async fn start(isolation: &str) -> Self {
        Self::limited(isolation, SlotLimits::default()).await
    }

    /// Starts an agent whose tasks are limited.
    pub(crate) async fn limited(isolation: &str, slot_limits: SlotLimits) -> Self {
        // Not below `/tmp`, of which a node has its own.
        let base = tempfile::Builder::new().prefix("kiln-").tempdir_in("/var/tmp").expect("made");
        let open = |path: &Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o711)).expect("allowed");
        };
        open(base.path());
        let data = base.path().join("data");
        let nodes = data.join("nodes");
        fs::create_dir_all(&nodes).expect("made");
        open(&data);
        open(&nodes);
        fs::write(data.join("secret"), "secret").expect("written");
        fs::set_permissions(data.join("secret"), fs::Permissions::from_mode(0o600))
            .expect("allowed");
        let unique = base.path().file_name().and_then(|name| name.to_str()).expect("a name");
        let socket = data.join("link.sock");
        let config = NodeConfig {
            node_id: format!("tvmps_{unique}_d"),
            pool_id: "pool".to_owned(),
            account_name: "kilndev".to_owned(),
            link_secret: "hush".to_owned(),
            link_socket: text(&socket),
            directory: text(&nodes.join("n1")),
            hidden: vec![text(&data)],
            first_uid: FIRST_UID,
            isolation: isolation.to_owned(),
            ip_address: "10.0.0.4".to_owned(),
            orphan_timeout_seconds: 60,
            slot_limits,
        };
        let listener = UnixListener::bind(&socket).expect("bound");
        Self::start_with(base, config, listener).await
    }

    async fn start_with(base: TempDir, config: NodeConfig, listener: UnixListener) -> Self {
        let agent = start_agent(&config);
        let (reader, writer, hello) = accept(&listener, 0).await;
        Self {
            base,
            config,
            agent,
            listener,
            reader,
            writer,
            hello,
            reports: Vec::new(),
            acknowledges: true,
            users: Vec::new(),
            slots: 1,
            may_run_again: false,
            next_stream: 1,
            waiting: VecDeque::new(),
        }
    }

    /// Starts an agent and makes its node ready.
    pub(crate) async fn ready(isolation: &str) -> Self {
        let mut rig = Self::start(isolation).await;
        rig.prepare(1, None, vec![]).await;
        rig.wait("booted", |report| matches!(report, Report::Booted { boot: 1, .. }).then_some(()))
            .await;
        rig
    }

    pub(crate) async fn prepare(
        &mut self,
        boot: u32,
        start_task: Option<StartTaskSpec>,
        environment: Vec<EnvironmentSetting>,
    ) {
        let users = self.users.clone();
        let prepare =
            Prepare { start_task, environment, user_accounts: users, ..preparation(boot) };
        self.send(ToAgent::Prepare(Box::new(prepare))).await;
    }

    pub(crate) async fn send(&mut self, message: ToAgent) {
        self.writer.messages(&[message]).expect("encoded");
        self.writer.flush().await.expect("sent");
    }

    /// Kills the agent, and starts the next one of the node once nothing of it runs any more.
    pub(crate) async fn replace_agent(&mut self) {
        self.agent.kill().expect("killed");
        self.agent.wait().expect("reaped");
        until(|| self.processes().is_empty()).await;
        self.agent = start_agent(&self.config);
        self.reports.clear();
        self.reconnect(0).await;
    }

    /// Ends the link and takes the agent's next one.
    pub(crate) async fn reconnect(&mut self, acknowledged: u64) {
        let (reader, writer, hello) = {
            // Dropping both halves closes the old link.
            let (near, far) = tokio::net::UnixStream::pair().expect("a pair");
            drop(far);
            let (reader, writer) = near.into_split();
            self.reader = FrameReader::new(reader);
            self.writer = FrameWriter::new(writer);
            accept(&self.listener, acknowledged).await
        };
        self.waiting.clear();
        self.reader = reader;
        self.writer = writer;
        self.hello = hello;
    }

    /// Reads until a report is what is waited for, `found` from the beginning.
    pub(crate) async fn wait<T>(
        &mut self,
        what: &str,
        found: impl FnMut(&Report) -> Option<T>,
    ) -> T {
        self.wait_after(0, what, found).await
    }

    /// [`Rig::wait`], `found` from the report with index `seen`.
    pub(crate) async fn wait_after<T>(
        &mut self,
        seen: usize,
        what: &str,
        mut found: impl FnMut(&Report) -> Option<T>,
    ) -> T {
        let known = self.reports.iter().skip(seen);
        if let Some(value) = known.into_iter().find_map(|(_, report)| found(report)) {
            return value;
        }
        loop {
            let Some(FromAgent::Report { number, report }) = self.read(what).await else {
                continue;
            };
            let value = found(&report);
            self.reports.push((number, *report));
            if self.acknowledges {
                self.send(ToAgent::Acknowledge { acknowledged: number }).await;
            }
            if let Some(value) = value {
                return value;
            }
        }
    }

    /// The next message; `None` after a piece of a file.
    async fn read(&mut self, what: &str) -> Option<FromAgent> {
        match self.read_frame(what).await {
            Read::Message(message) => Some(*message),
            Read::Bytes(_) => None,
        }
    }

    async fn read_frame(&mut self, what: &str) -> Read {
        if let Some(message) = self.waiting.pop_front() {
            return Read::Message(Box::new(message));
        }
        let frame = tokio::time::timeout(PATIENCE, self.reader.next::<FromAgent>()).await;
        let Ok(frame) = frame else {
            panic!("waited too long for {what}; saw {:?}", self.reports);
        };
        match frame.expect("a whole frame").expect("a link that stands") {
            Frame::Messages(messages) => {
                self.waiting.extend(messages);
                Read::Message(Box::new(self.waiting.pop_front().expect("never empty")))
            }
            Frame::File { bytes, .. } => Read::Bytes(bytes.to_vec()),
        }
    }

    /// Asks about files.
    pub(crate) async fn ask(
        &mut self,
        request: FileRequest,
    ) -> Result<(FileAnswer, Vec<u8>), FileRefusal> {
        let stream = self.next_stream;
        self.next_stream += 1;
        self.send(ToAgent::Files { stream, request }).await;
        let answer = loop {
            match self.read("an answer about files").await {
                Some(FromAgent::Files { answer, .. }) => break answer?,
                Some(FromAgent::Report { number, report }) => self.reports.push((number, *report)),
                _ => {}
            }
        };
        let mut content = Vec::new();
        if matches!(answer, FileAnswer::Bytes { .. }) {
            loop {
                match self.read_frame("bytes of a file").await {
                    Read::Bytes(bytes) if bytes.is_empty() => break,
                    Read::Bytes(bytes) => content.extend(bytes),
                    Read::Message(message) => {
                        if let FromAgent::Report { number, report } = *message {
                            self.reports.push((number, *report));
                        }
                    }
                }
            }
        }
        Ok((answer, content))
    }

    /// Asks for something, and waits for the answer.
    pub(crate) async fn request(
        &mut self,
        request: NodeRequest,
    ) -> Result<NodeAnswer, NodeRefusal> {
        let asked = self.next_stream;
        self.next_stream += 1;
        self.send(ToAgent::Request { number: asked, request }).await;
        loop {
            match self.read("an answer").await {
                Some(FromAgent::Answer { number, answer }) if number == asked => return answer,
                Some(FromAgent::Report { number, report }) => self.reports.push((number, *report)),
                _ => {}
            }
        }
    }

    pub(crate) async fn file(&mut self, path: &str) -> String {
        let request = FileRequest::Read { path: path.to_owned(), first: 0, last: None };
        let (_, content) = self.ask(request).await.expect(path);
        String::from_utf8(content).expect("text")
    }

    /// Runs a task, as an attempt of its own.
    pub(crate) async fn run(&mut self, task: TaskSpec) -> AttemptId {
        self.run_attempt(task, 1).await
    }

    pub(crate) async fn run_attempt(&mut self, task: TaskSpec, attempt: u32) -> AttemptId {
        let run = self.attempt(task, attempt);
        self.order(run).await
    }

    /// [`Rig::run_attempt`], with packages.
    pub(crate) async fn run_with(
        &mut self,
        task: TaskSpec,
        attempt: u32,
        packages: Vec<Package>,
    ) -> AttemptId {
        let run = Run { packages, ..self.attempt(task, attempt) };
        self.order(run).await
    }

    pub(crate) async fn order(&mut self, run: Run) -> AttemptId {
        let id = run.attempt.clone();
        self.send(ToAgent::Run(Box::new(run))).await;
        id
    }

    pub(crate) fn attempt(&self, task: TaskSpec, attempt: u32) -> Run {
        let kind = AttemptKind::Task;
        Run {
            attempt: AttemptId { job_key: 7, task_id: task.id.clone(), attempt, kind, sequence: 1 },
            job_id: "job".to_owned(),
            directory: format!("workitems/job/job-1/{}", task.id),
            task,
            job_environment: vec![setting("FROM_JOB", "job"), setting("FROM_BOTH", "job")],
            packages: Vec::new(),
            preparation_directory: None,
            instance: None,
            may_run_again: self.may_run_again,
            slots: self.slots,
        }
    }

    pub(crate) async fn outcome(&mut self, id: &AttemptId) -> Outcome {
        self.ended(id).await.0
    }

    /// How an attempt ended, and what it took.
    pub(crate) async fn ended(&mut self, id: &AttemptId) -> (Outcome, Option<Usage>) {
        self.wait(&format!("the end of {id:?}"), |report| match report {
            Report::Ended { attempt, outcome, usage, .. } if attempt == id => {
                Some((outcome.clone(), *usage))
            }
            _ => None,
        })
        .await
    }

    /// Runs a shell script as a task to its end; answers its exit code and what it printed.
    pub(crate) async fn script(
        &mut self,
        id: &str,
        level: ElevationLevel,
        script: &str,
    ) -> (i32, String) {
        let attempt = self.run(task(id, script, level)).await;
        let outcome = self.outcome(&attempt).await;
        let Outcome::Exited { exit_code } = outcome else { panic!("{outcome:?}") };
        let mut printed = self.file(&format!("workitems/job/job-1/{id}/stdout.txt")).await;
        printed.push_str(&self.file(&format!("workitems/job/job-1/{id}/stderr.txt")).await);
        (exit_code, printed)
    }

    pub(crate) async fn start_task(&mut self) -> StartTaskInfo {
        self.wait("the end of the start task", |report| match report {
            Report::StartTask { info, .. } if info.is_final => Some(info.clone()),
            _ => None,
        })
        .await
    }

    /// Processes of this node on the machine: those whose variables name its directory or
    /// that are in its control group.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("mounted").flatten() {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let has = |text: &[u8], part: &str| String::from_utf8_lossy(text).contains(part);
            if has(&read("cgroup"), &self.config.node_id)
                || has(&read("environ"), &self.config.directory)
                || has(&read("cmdline"), &format!("mark-{}", self.config.node_id))
            {
                found.push(String::from_utf8_lossy(&read("cmdline")).replace('\0', " "));
            }
        }
        found
    }

    /// The control groups of the node.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let name = format!("kiln-{}", self.config.node_id);
        let mut found = Vec::new();
        let mut rest = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(path) = rest.pop() {
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if entry.file_name().to_str() == Some(&name) {
                    found.push(entry.path());
                } else if is_directory && entry.path().components().count() < 8 {
                    rest.push(entry.path());
                }
            }
        }
        found
    }

    /// Whether the node has a control group.
    pub(crate) fn has_group(&self) -> bool {
        let name = format!("kiln-{}", self.config.node_id);
        ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .iter()
            .any(|at| Path::new(at).join(&name).exists())
    }

    pub(crate) fn mark(&self) -> String {
        format!("mark-{}", self.config.node_id)
    }

    /// Waits for the agent's end and checks that nothing of its node runs, and that the files of
    /// its tasks are there for the server.
    pub(crate) async fn expect_clean_end(mut self) {
        let status = wait_for_end(&mut self.agent).await;
        assert!(status.success(), "{status}");
        let work_items = Path::new(&self.config.directory).join("tasks/workitems");
        assert!(work_items.is_dir(), "the files of its tasks are gone");
        assert_eq!(self.processes(), Vec::<String>::new());
        let mounts = fs::read_to_string("/proc/mounts").expect("mounted");
        assert!(!mounts.contains(&self.config.directory), "{mounts}");
        assert_eq!(self.groups(), Vec::<PathBuf>::new());
    }

    pub(crate) async fn leave(mut self) {
        self.send(ToAgent::Leave).await;
        self.expect_clean_end().await;
    }

    pub(crate) fn directory(&self) -> PathBuf {
        PathBuf::from(&self.config.directory)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ended = self.agent.kill();
        let _reaped = self.agent.wait();
        // An agent that was killed leaves its groups behind, once they are empty.
        for group in self.groups() {
            for inner in fs::read_dir(&group).into_iter().flatten().flatten() {
                let _kept = fs::remove_dir(inner.path());
            }
            let _kept = fs::remove_dir(group);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what a node is told of times is about now")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system(std::time::SystemTime::now())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

enum Read {
    Message(Box<FromAgent>),
    Bytes(Vec<u8>),
}

/// A moment, for what can only be looked at again and again.
#[expect(clippy::disallowed_methods, reason = "files and processes do not tell")]
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Looks again and again until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            pause().await;
        }
    });
    waited.await.expect("it becomes so");
}

pub(crate) async fn wait_for_end(agent: &mut Child) -> std::process::ExitStatus {
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(status) = agent.try_wait().expect("a child") {
                return status;
            }
            pause().await;
        }
    });
    ended.await.expect("the agent ends")
}

/// Names a copy of the program under test that another user may run.
pub(crate) const PROGRAM_VARIABLE: &str = "KILN_AGENT_FOR_TESTS";

/// The program under test.
pub(crate) fn agent_program() -> PathBuf {
    let copied = std::env::var_os(PROGRAM_VARIABLE);
    copied.map_or_else(|| env!("CARGO_BIN_EXE_kiln-agent-for-tests").into(), PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "the agent under test")]
fn start_agent(config: &NodeConfig) -> Child {
    let mut agent =
        Command::new(agent_program()).arg("agent").stdin(Stdio::piped()).spawn().expect("started");
    let text = serde_json::to_vec(config).expect("encoded");
    agent.stdin.take().expect("piped").write_all(&text).expect("written");
    agent
}

async fn accept(
    listener: &UnixListener,
    acknowledged: u64,
) -> (FrameReader<OwnedReadHalf>, FrameWriter<OwnedWriteHalf>, Hello) {
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    let (stream, _) = accepted.expect("the agent connects").expect("accepted");
    let (reader, writer) = stream.into_split();
    let (mut reader, mut writer) = (FrameReader::new(reader), FrameWriter::new(writer));
    let hello = loop {
        let frame = reader.next::<FromAgent>().await.expect("a whole frame").expect("a frame");
        let Frame::Messages(messages) = frame else { panic!("{frame:?}") };
        if let Some(FromAgent::Hello(hello)) = messages.into_iter().next() {
            break *hello;
        }
    };
    writer.messages(&[ToAgent::Welcome { acknowledged, protocol: PROTOCOL }]).expect("encoded");
    writer.flush().await.expect("sent");
    (reader, writer, hello)
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

/// How a node is made ready that nothing more is asked of.
pub(crate) fn preparation(boot: u32) -> Prepare {
    Prepare {
        boot,
        start_task: None,
        environment: Vec::new(),
        is_dedicated: true,
        task_slots: 4,
        packages: Vec::new(),
        certificates: Vec::new(),
        user_accounts: Vec::new(),
        containers: None,
        mounts: Vec::new(),
    }
}

pub(crate) fn setting(name: &str, value: &str) -> EnvironmentSetting {
    EnvironmentSetting { name: name.to_owned(), value: value.to_owned() }
}

pub(crate) fn user(level: ElevationLevel) -> Option<UserIdentity> {
    let auto_user = AutoUser { scope: AutoUserScope::Pool, elevation_level: level };
    Some(UserIdentity { username: None, auto_user: Some(auto_user) })
}

pub(crate) fn command(id: &str, command_line: &str) -> TaskSpec {
    TaskSpec {
        id: id.to_owned(),
        command_line: command_line.to_owned(),
        application_package_references: vec![],
        resource_files: vec![],
        output_files: vec![],
        environment_settings: vec![],
        user_identity: None,
        constraints: TaskConstraints::default(),
        authentication_token_settings: None,
        multi_instance_settings: None,
        container_settings: None,
    }
}

pub(crate) fn task(id: &str, script: &str, level: ElevationLevel) -> TaskSpec {
    let line = format!("/bin/sh -c '{script}'");
    TaskSpec { user_identity: user(level), ..command(id, &line) }
}

pub(crate) fn start_task(script: &str, level: ElevationLevel, retries: i32) -> StartTaskSpec {
    StartTaskSpec {
        command_line: format!("/bin/sh -c '{script}'"),
        resource_files: vec![],
        environment_settings: vec![],
        user_identity: user(level),
        max_task_retry_count: retries,
        wait_for_success: true,
        container_settings: None,
    }
}

pub(crate) fn file_at(url: String, path: &str) -> ResourceFile {
    ResourceFile {
        http_url: Some(url),
        file_path: Some(path.to_owned()),
        ..ResourceFile::default()
    }
}

pub(crate) fn failure_of(outcome: Outcome) -> FailureInfo {
    match outcome {
        Outcome::NotStarted { failure } => failure,
        other => panic!("{other:?}"),
    }
}
