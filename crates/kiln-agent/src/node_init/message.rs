//! What an agent and the first process of its node say to each other.

use kiln_domain::batch::usage::Usage;
pub(crate) use kiln_files::UserId;
use serde::{Deserialize, Serialize};

/// From the agent to the node's first process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// First message: how to become the node's first process. May carry a descriptor: the
    /// directory of the control group that this process begins in.
    Setup(Setup),
    /// Start a process. Carries descriptors: standard input if it has one; standard output,
    /// standard error and, with `has_group`, the directory of its control group; then files that it is to write to.
    Spawn(Box<Spawn>),
    /// Kill what is left of a process and its descendants, by session, ancestry and mark.
    Empty {
        /// The process.
        id: u64,
    },
}

/// How to become the node's first process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// What keeps the node apart.
    pub(crate) kind: SetupKind,
    /// Directory of the view's layers, `D/view`.
    pub(crate) view_directory: String,
    /// Directory that becomes the node's root, `D/tasks`.
    pub(crate) tasks_directory: String,
    /// Directory that the engine of containers has for itself, `D/containers`.
    pub(crate) engine_directory: String,
    /// First of the 65,536 user ids of the machine that the node's users are mapped to.
    pub(crate) first_uid: u32,
    /// The node's name for itself.
    pub(crate) host_name: String,
}

/// What keeps a node apart from its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SetupKind {
    /// Namespaces and a view, made by root.
    Namespaces,
    /// Namespaces and a view, made by an ordinary user.
    Rootless,
    /// Nothing but directories of its own.
    Plain,
}

/// A process to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// Names the process in answers; never used twice.
    pub(crate) id: u64,
    /// Program and arguments; never empty.
    pub(crate) argv: Vec<String>,
    /// `NAME=value`, all of it.
    pub(crate) environment: Vec<String>,
    /// The variable (`NAME=value`) that tells this process's descendants from others.
    pub(crate) mark: String,
    /// Working directory, as the node sees it.
    pub(crate) directory: String,
    /// User and group, as the node sees them; the first process's own when absent.
    pub(crate) user: Option<UserId>,
    /// What it may do on its node.
    pub(crate) rights: Rights,
    /// Whether the directory of a control group comes along.
    pub(crate) has_group: bool,
    /// Files that come along in which it takes its place, as in a control group of version 1.
    pub(crate) n_places: usize,
    /// Processes that its user may have in the node.
    pub(crate) processes_max: Option<u64>,
    /// What it reads.
    pub(crate) input: Input,
}

/// What a process may do on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rights {
    /// What ordinary users may.
    User,
    /// What administrators may: nearly all, on a node that is apart from its machine.
    Admin,
    /// All there is to have on the node: the engine of containers makes name spaces and mounts.
    Engine,
}

/// What a process reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// A descriptor that comes along.
    Stream,
    /// A descriptor that comes along: the terminal that it is to have.
    Terminal,
}

/// From the node's first process to the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// The process that stays has this id on the machine; a child of the agent.
    Launched {
        /// Process id.
        pid: i32,
        /// Whether it is in the control group that came with the setup.
        is_in_group: bool,
    },
    /// The node stands; processes may be started.
    Ready,
    /// The node can not be made.
    SetupFailed {
        /// What went wrong.
        message: String,
    },
    /// A process runs.
    Spawned {
        /// The process.
        id: u64,
    },
    /// A process can not be started.
    SpawnFailed {
        /// The process.
        id: u64,
        /// Where it went wrong.
        step: SpawnStep,
        /// The operating system's error number.
        errno: i32,
    },
    /// A process ended.
    Exited {
        /// The process.
        id: u64,
        /// 128 + signal when a signal ended it.
        exit_code: i32,
        /// What it and the descendants it waited for took, but for the time of day.
        usage: Usage,
    },
    /// Nothing is left of a process and its descendants.
    Emptied {
        /// The process.
        id: u64,
    },
}

/// Where starting a process went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SpawnStep {
    /// The request makes no sense.
    Request,
    /// Making the process.
    Clone,
    /// Joining the control group.
    Group,
    /// Standard input, output and error.
    Streams,
    /// Becoming the user.
    User,
    /// Entering the working directory.
    Directory,
    /// Running the program.
    Program,
}
