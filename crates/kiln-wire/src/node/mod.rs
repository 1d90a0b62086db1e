//! Messages between the server and the agent of a node.
//!
//! A link is a byte stream that carries *frames*: a length (u32, little-endian, of what
//! follows), a kind (u8) and a payload. Kind 0 is a JSON array of messages, so that many
//! travel in one write; kind 1 is `stream id (u64, little-endian)` and bytes of a file.
//! Members are only ever added, with a default: a newer server understands an older agent, and
//! `released` holds what older ones say. Messages of a kind that an older agent does not know are
//! not sent to it: the hello says how far it goes.

use kiln_domain::autoscale::Measurement;
use kiln_domain::batch::application::PackageReference;
pub use kiln_domain::batch::attempt::AttemptKind;
use kiln_domain::batch::certificate::{CertificateFormat, CertificateReference};
use kiln_domain::batch::command::{EnvironmentSetting, ResourceFile, StartTaskSpec};
use kiln_domain::batch::container::{ContainerConfiguration, ContainerInfo};
pub use kiln_domain::batch::node::StartTaskRun as StartTaskInfo;
pub use kiln_domain::batch::task::Outcome;
use kiln_domain::batch::task::{NameValue, Task, TaskSpec};
use kiln_domain::batch::usage::Usage;
use kiln_domain::batch::user::UserAccount;
use kiln_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use shell::{FromShell, ToShell};

pub mod frames;
mod mount;
mod protocol;
#[cfg(test)]
mod released;
mod request;
pub mod shell;

pub use mount::{BlobMount, Mount};
pub use protocol::{PROTOCOL, PROTOCOL_OLDEST, SHELLS_SINCE, agree};
pub use request::{NodeAnswer, NodeRefusal, NodeRequest, NodeUser, SecretUrl};

/// Bytes of one frame that a side accepts.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of file content in one frame.
pub const FILE_FRAME_BYTES: usize = 256 * 1024;

/// Names one run of one task: late or repeated messages about another attempt are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptId {
    /// The store's key of the job.
    pub job_key: i64,
    /// The task's id.
    pub task_id: String,
    /// Counts the runs of the task, from 1.
    pub attempt: u32,
    /// What it is a run of.
    #[serde(default)]
    pub kind: AttemptKind,
    /// Tells a task from one of the same id that was deleted before it.
    #[serde(default)]
    pub sequence: i64,
}

impl AttemptId {
    /// The current run of a task.
    pub fn of(task: &Task) -> Self {
        Self {
            job_key: task.job_key,
            task_id: task.id.clone(),
            attempt: task.life.attempt,
            kind: AttemptKind::Task,
            sequence: task.sequence,
        }
    }

    /// Whether it may begin only once nothing is left of `other`, which is stopped for it: it is
    /// a later run of the same task, or of one that has the name of a task that was deleted, in
    /// the same directory; or it is the release of a job, which comes after all else of the job.
    pub fn comes_after(&self, other: &Self) -> bool {
        let is_same_run = (self.sequence, self.attempt) == (other.sequence, other.attempt);
        let shares_directory = self.task_id == other.task_id
            && match (self.kind, other.kind) {
                // The coordination command of a run and its main command are there together.
                (
                    AttemptKind::Task | AttemptKind::Subtask { .. },
                    AttemptKind::Task | AttemptKind::Subtask { .. },
                ) => self.kind == other.kind || !is_same_run,
                (kind, other) => kind == other,
            };
        self.job_key == other.job_key && (shares_directory || self.kind == AttemptKind::Release)
    }
}

/// What an agent is told when it starts, once, through its standard input.
#[derive(Clone, Serialize, Deserialize)]
pub struct NodeConfig {
    /// The node's id, `tvmps_…_d`.
    pub node_id: String,
    /// The pool's id.
    pub pool_id: String,
    /// The Batch account's name.
    pub account_name: String,
    /// Proves to the server that this is the agent it started; never printed.
    pub link_secret: String,
    /// Unix socket of the server's link.
    pub link_socket: String,
    /// The node's own directory on this machine; the agent owns all below it.
    pub directory: String,
    /// Directories of this machine that no task may see (the server's data).
    pub hidden: Vec<String>,
    /// First of the 65,536 user ids of this machine that the node's users are mapped to.
    pub first_uid: u32,
    /// How the node is kept apart from the machine: `auto`, `namespaces` or `plain`.
    pub isolation: String,
    /// The node's name for itself on the network, `10.0.0.4`.
    pub ip_address: String,
    /// Seconds without a server after which the agent gives up and ends its node.
    pub orphan_timeout_seconds: u64,
    /// What a task may take of the machine.
    #[serde(default)]
    pub slot_limits: SlotLimits,
}

/// What a task may take at once for each of its slots, where the machine can limit that; what
/// is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlotLimits {
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processors, in thousandths.
    pub milli_processors: Option<u32>,
    /// Disk space, in bytes.
    pub disk_bytes: Option<u64>,
}

/// From the server to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ToAgent {
    /// First message on a link: the agent is known; reports up to `acknowledged` are kept.
    Welcome {
        /// See [`ToAgent::Acknowledge`].
        acknowledged: u64,
        /// The version of the messages that both speak.
        #[serde(default = "protocol::first")]
        protocol: u32,
    },
    /// Instead of [`ToAgent::Welcome`]: server and agent have no version of the messages in
    /// common. The agent ends, and another one is started in its place.
    Refused {
        /// What is wrong and what happens.
        reason: String,
    },
    /// Make the node ready: its directories and view, then the start task.
    Prepare(Box<Prepare>),
    /// Run an attempt of a task. Repeats of a known attempt are ignored.
    Run(Box<Run>),
    /// End an attempt: kill its processes, report it as [`Outcome::Stopped`]. An unknown
    /// attempt is reported as stopped at once.
    Stop {
        /// Which.
        attempt: AttemptId,
    },
    /// Remove the directory of a task, below the node's root, `workitems/J/job-1/T`.
    RemoveDirectory {
        /// Relative path.
        path: String,
    },
    /// Answer with [`FromAgent::Files`] and, for [`FileRequest::Read`], file frames.
    Files {
        /// Names the answer, and the stream of bytes.
        stream: u64,
        /// What is asked.
        request: FileRequest,
    },
    /// Do something and answer with [`FromAgent::Answer`].
    Request {
        /// Names the answer.
        number: u64,
        /// What is asked.
        request: NodeRequest,
    },
    /// To a shell in the surroundings of a task; answered with [`FromAgent::Shell`].
    Shell {
        /// Names the shell.
        shell: u64,
        /// The task as it last ran, with the first message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<Box<Run>>,
        /// What is said.
        message: ToShell,
    },
    /// No more bytes of this stream are wanted.
    CancelStream {
        /// Which.
        stream: u64,
    },
    /// Answer with [`Report::RetentionOver`] once nothing runs and the directory of no task is
    /// kept any more. Repeats are ignored.
    AwaitRetention,
    /// All reports up to this number are durable: forget them.
    Acknowledge {
        /// Number of the last report that is kept.
        acknowledged: u64,
    },
    /// Kill every process and exit. Files stay: the server's side takes them over.
    Leave,
}

/// How a node is made ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepare {
    /// Counts the starts of the node, from 1; repeats are ignored.
    pub boot: u32,
    /// The pool's start task.
    pub start_task: Option<StartTaskSpec>,
    /// Variables for every process: account, pool, proxy and certificate settings.
    pub environment: Vec<EnvironmentSetting>,
    /// Whether it is a dedicated node (and not a Spot one).
    pub is_dedicated: bool,
    /// Task slots: how many tasks run at once at the most.
    pub task_slots: u32,
    /// Users that the pool names, without their passwords.
    #[serde(default)]
    pub user_accounts: Vec<UserAccount>,
    /// The pool's packages, which all commands find.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// The pool's certificates.
    #[serde(default)]
    pub certificates: Vec<NodeCertificate>,
    /// How the node runs containers, if it does.
    #[serde(default)]
    pub containers: Option<ContainerConfiguration>,
    /// What the node mounts.
    #[serde(default)]
    pub mounts: Vec<Mount>,
}

/// One attempt of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its name in reports.
    pub attempt: AttemptId,
    /// The job's id, for `AZ_BATCH_JOB_ID`.
    pub job_id: String,
    /// The task's directory below the node's root: `workitems/J/job-1/T`.
    pub directory: String,
    /// The task.
    pub task: TaskSpec,
    /// The job's `commonEnvironmentSettings`.
    #[serde(default)]
    pub job_environment: Vec<EnvironmentSetting>,
    /// The task's packages.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// The directory of the job's preparation task, for those that run after it.
    #[serde(default)]
    pub preparation_directory: Option<String>,
    /// Which instance it is of a task that has instances.
    #[serde(default)]
    pub instance: Option<Instance>,
    /// Whether a failed run is followed by another, to which output files are left.
    #[serde(default)]
    pub may_run_again: bool,
    /// Task slots that it takes; those of the whole node if none.
    #[serde(default)]
    pub slots: u32,
}

impl Run {
    /// The directory with all that the task has on the node.
    pub fn whole_directory(&self) -> &str {
        self.instance.as_ref().map_or(&self.directory, |it| &it.shared_directory)
    }
}

/// What an instance of a task knows of all its instances.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Counts the instances; the primary is 0.
    pub number: u32,
    /// Names of their nodes on the network, in the order of their numbers.
    pub addresses: Vec<String>,
    /// The directory, below the root of each node, that all commands of the task share there.
    pub shared_directory: String,
    /// Files fetched into that directory before the coordination command.
    #[serde(default)]
    pub common_resource_files: Vec<ResourceFile>,
}

/// A package of an application that commands find on their node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// How a pool or task asks for it.
    pub reference: PackageReference,
    /// Where it is; `None` when it is not there any more.
    #[serde(default)]
    pub source: Option<PackageSource>,
}

/// Where a package is; its URL opens it and is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSource {
    /// The directory that it is unpacked to, below the node's `applications`.
    pub directory: String,
    /// Opens its zip file.
    pub url: String,
}

/// A certificate that commands find on their node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCertificate {
    /// How a pool asks for it.
    pub reference: CertificateReference,
    /// What it is made of; `None` when it is not there any more.
    #[serde(default)]
    pub content: Option<CertificateContent>,
}

/// What a certificate is made of, which is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateContent {
    /// What kind of file it is.
    pub format: CertificateFormat,
    /// The file, in base64.
    pub data: String,
    /// Opens the file.
    pub password: Option<String>,
}

/// A question about files below the node's root.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FileRequest {
    /// What lies in a directory, in name order, parents before children.
    List {
        /// Relative path, empty for the root.
        path: String,
        /// Also all that lies deeper.
        recursive: bool,
    },
    /// About one file or directory.
    Stat {
        /// Relative path.
        path: String,
    },
    /// The bytes of a file.
    Read {
        /// Relative path.
        path: String,
        /// First byte.
        first: u64,
        /// Last byte, inclusive; the end as it is now when absent.
        last: Option<u64>,
    },
    /// Remove a file, or a directory.
    Remove {
        /// Relative path.
        path: String,
        /// A directory with all in it; else only an empty one.
        recursive: bool,
    },
}

impl FileRequest {
    /// What it is about.
    pub fn path(&self) -> &str {
        let (Self::List { path, .. }
        | Self::Stat { path }
        | Self::Read { path, .. }
        | Self::Remove { path, .. }) = self;
        path
    }
}

/// About one file or directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Path relative to the requested directory (`List`) or as requested (`Stat`).
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Bytes of content.
    pub length_bytes: u64,
    /// When its content last changed.
    pub modified_at: Timestamp,
    /// Type and permission bits, as `stat` gives them.
    pub mode: u32,
}

/// The answer to a question about files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FileAnswer {
    /// To [`FileRequest::List`].
    List {
        /// What lies there.
        files: Vec<FileInfo>,
    },
    /// To [`FileRequest::Stat`].
    Stat {
        /// About it.
        info: FileInfo,
    },
    /// To [`FileRequest::Read`]: `length_bytes` bytes follow in file frames.
    Bytes {
        /// About the whole file.
        info: FileInfo,
        /// Bytes that follow.
        length_bytes: u64,
    },
    /// To [`FileRequest::Remove`].
    Removed,
}

/// Why a question about files has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FileRefusal {
    /// Nothing lies there.
    NotFound,
    /// The path leaves the root, or passes through a link that does.
    Outside,
    /// The first byte asked for lies at or past the end.
    OutOfRange {
        /// Bytes of content.
        length_bytes: u64,
    },
    /// A directory where a file is needed.
    IsDirectory,
    /// The directory still holds something.
    NotEmpty,
    /// The operating system refused; its message.
    Failed {
        /// What it said.
        message: String,
    },
}

/// From an agent to the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FromAgent {
    /// First message on a link.
    Hello(Box<Hello>),
    /// Something happened that the server must keep. Sent again on each new link until
    /// acknowledged; numbers rise by one from 1 for the life of the agent process.
    Report {
        /// The report's number.
        number: u64,
        /// What happened.
        report: Box<Report>,
    },
    /// Answer to [`ToAgent::Files`].
    Files {
        /// The stream of the question.
        stream: u64,
        /// The answer; after [`FileAnswer::Bytes`] come file frames, the last one empty.
        answer: Result<FileAnswer, FileRefusal>,
    },
    /// Answer to [`ToAgent::Request`].
    Answer {
        /// The number of the request.
        number: u64,
        /// The answer.
        answer: Result<NodeAnswer, NodeRefusal>,
    },
    /// From a shell.
    Shell {
        /// Which.
        shell: u64,
        /// What it says.
        message: FromShell,
    },
    /// The agent lives; sent every few seconds.
    Heartbeat {
        /// What it measured of its node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        measured: Option<Measurement>,
    },
}

/// An agent presents itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the agent.
    pub protocol: u32,
    /// The node.
    pub node_id: String,
    /// From [`NodeConfig::link_secret`].
    pub link_secret: String,
    /// Version of the agent's program.
    pub agent_version: String,
    /// Drawn anew by each agent process: tells a new process from a new link.
    pub incarnation: String,
    /// How the node is kept apart: `namespaces`, `plain`, …
    pub isolation: String,
    /// Boot that was prepared or is being prepared; 0 before the first.
    pub boot: u32,
    /// Attempts known to this process that have not ended.
    pub running: Vec<AttemptId>,
}

/// Something that happened on a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Report {
    /// What ran before a boot that is not the first has ended; the node is being made.
    BootBegan {
        /// Which boot.
        boot: u32,
        /// When.
        at: Timestamp,
    },
    /// The view and directories stand; the start task, if any, begins.
    Booted {
        /// Which boot.
        boot: u32,
        /// When.
        at: Timestamp,
        /// Whether there were no files of an earlier boot.
        #[serde(default)]
        is_fresh: bool,
    },
    /// The node can not be made ready.
    BootFailed {
        /// Which boot.
        boot: u32,
        /// What went wrong and what to do.
        message: String,
        /// Azure's name for it, where it has one.
        #[serde(default)]
        code: Option<String>,
        /// More about it.
        #[serde(default)]
        details: Vec<NameValue>,
    },
    /// A run of the start task began or ended.
    StartTask {
        /// Which boot.
        boot: u32,
        /// How it stands.
        info: StartTaskInfo,
    },
    /// The directories of all tasks were kept for long enough: the answer to
    /// [`ToAgent::AwaitRetention`].
    RetentionOver,
    /// An attempt began. Agents of the release before say so; nothing follows from it.
    Started {
        /// Which.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// The command of an attempt runs in this container.
    Contained {
        /// Which.
        attempt: AttemptId,
        /// The container.
        container: ContainerInfo,
    },
    /// A coordination command ended well; what it started runs until the attempt is stopped.
    Coordinated {
        /// Which.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// An attempt ended; nothing of it runs any more.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// When it ended.
        at: Timestamp,
        /// How.
        outcome: Outcome,
        /// What it took of its node, where that was measured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// The container that it ran in, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<ContainerInfo>,
    },
}

impl std::fmt::Debug for CertificateContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateContent").field("format", &self.format).finish_non_exhaustive()
    }
}

impl NodeCertificate {
    /// A certificate of which it is not known yet what it is made of.
    pub fn wanted(reference: &CertificateReference) -> Self {
        Self { reference: reference.clone(), content: None }
    }
}

impl Package {
    /// A package of which it is not known yet where it is.
    pub fn wanted(reference: PackageReference) -> Self {
        Self { reference, source: None }
    }
}

impl std::fmt::Debug for PackageSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackageSource").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConfig")
            .field("node_id", &self.node_id)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("protocol", &self.protocol)
            .field("node_id", &self.node_id)
            .field("incarnation", &self.incarnation)
            .field("boot", &self.boot)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{AttemptId, AttemptKind, FromAgent};

    /// Reads a message and checks that it is written the same way, but for what is left out.
    fn check(json: &str, kind: AttemptKind) {
        let id: AttemptId = serde_json::from_str(json).expect("an attempt");
        assert_eq!(id.kind, kind, "{json}");
        let written = serde_json::to_string(&id).expect("JSON");
        assert_eq!(serde_json::from_str::<AttemptId>(&written).expect("an attempt"), id);
    }

    #[test]
    fn an_older_agent_speaks_of_tasks_only() {
        check(r#"{"job_key":1,"task_id":"t","attempt":2}"#, AttemptKind::Task);
        let subtask = r#"{"job_key":1,"task_id":"t","attempt":2,"kind":{"subtask":{"number":3}}}"#;
        check(subtask, AttemptKind::Subtask { number: 3 });
        let release = r#"{"job_key":1,"task_id":"t","attempt":2,"kind":"release"}"#;
        check(release, AttemptKind::Release);
    }

    #[test]
    fn an_older_agent_measures_nothing() {
        let old = serde_json::from_str(r#"{"kind":"heartbeat"}"#).expect("a sign of life");
        assert!(matches!(old, FromAgent::Heartbeat { measured: None }));
        let newer = FromAgent::Heartbeat { measured: None };
        let written = serde_json::to_string(&newer).expect("JSON");
        assert_eq!(written, r#"{"kind":"heartbeat"}"#);
    }

    #[test]
    fn runs_that_share_a_directory_wait_for_each_other() {
        use AttemptKind as K;
        let run = |kind, attempt, sequence| AttemptId {
            job_key: 1,
            task_id: "t".to_owned(),
            attempt,
            kind,
            sequence,
        };
        let subtask = |number, attempt| run(K::Subtask { number }, attempt, 1);
        for (later, earlier, waits) in [
            (run(K::Task, 2, 1), run(K::Task, 1, 1), true),
            (run(K::Task, 1, 2), run(K::Task, 1, 1), true),
            (run(K::Task, 1, 1), subtask(0, 1), false),
            (subtask(1, 2), subtask(0, 1), true),
            (subtask(1, 2), run(K::Task, 1, 1), true),
            (run(K::Release, 3, 0), run(K::Task, 1, 1), true),
            (run(K::Preparation, 1, 0), run(K::Task, 1, 1), false),
        ] {
            assert_eq!(later.comes_after(&earlier), waits, "{later:?} after {earlier:?}");
            let elsewhere = AttemptId { job_key: 2, ..earlier };
            assert!(!later.comes_after(&elsewhere), "jobs share nothing");
        }
    }
}
