//! The node on this machine: its directories, its view, its first process.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_domain::autoscale::Measurement;
use kiln_domain::batch::user::UserAccount;
use kiln_wire::node::{NodeConfig, SlotLimits};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::account::{Accounts, Mapping};
use crate::clock;
use crate::init_client::{InitClient, Process, Streams};
use crate::isolate::SetupError;
use crate::isolate::group::NodeGroup;
use crate::isolate::layers::Layers;
use crate::isolate::limits::Limits;
use crate::isolate::seats::Seats;
use crate::isolate::view::{ENGINE_DIRECTORY, TASKS_DIRECTORY};
use crate::measure::measure;
use crate::mounts::Mounted;
use crate::node_init::channel::Incoming;
use crate::node_init::message::{FromInit, Setup, SetupKind, Spawn, ToInit, UserId};
use crate::readiness;
use kiln_files::{Directory, NODE_ROOT, WORK_ITEMS};

/// The directory of the engine of containers, beside the node's root within its own directory.
const ENGINE: &str = "containers";
/// Permission bits of that directory: what is in it is nobody else's business.
const ENGINE_MODE: u32 = 0o700;
/// Time that a node's first process has to become ready, in seconds.
const READY_SECONDS_MAX: u64 = 30;
/// Directories of a node's root, with their permission bits. What anyone puts into `shared`
/// belongs to the group of all users: a start task that runs as root copies it for tasks that
/// do not.
const DIRECTORIES: [(&str, u32); 7] = [
    ("applications", 0o755),
    ("fsmounts", 0o755),
    ("shared", 0o2777),
    ("startup", 0o755),
    ("volatile", 0o755),
    ("volatile/startup", 0o755),
    (WORK_ITEMS, 0o755),
];

/// A node, as those who run something on it see it.
#[derive(Debug)]
pub(crate) struct Node {
    /// What keeps it apart.
    pub(crate) kind: SetupKind,
    /// Its users.
    pub(crate) accounts: Accounts,
    /// Its root directory.
    pub(crate) root: Directory,
    /// Its root directory, as its processes see it.
    pub(crate) root_in_view: String,
    /// The directory that the engine of containers has for itself.
    pub(crate) engine: Directory,
    /// That directory, as the engine sees it.
    pub(crate) engine_in_view: String,
    /// Its first process.
    pub(crate) init: InitClient,
    group: Option<Arc<NodeGroup>>,
    seats: Option<Arc<Seats>>,
    slot_limits: SlotLimits,
    /// Process id of the first process on the machine.
    init_pid: i32,
    /// Its own directory on the machine.
    directory: PathBuf,
    /// What is mounted on it.
    mounts: Mutex<Vec<Mounted>>,
}

/// What must be done to end a node.
#[derive(Debug)]
pub(crate) struct Running {
    init: FirstProcess,
    listener: JoinSet<()>,
}

#[derive(Debug)]
enum FirstProcess {
    /// The process that the agent started.
    Started(Child),
    /// The one that it made in its place.
    Launched(AsyncFd<OwnedFd>),
}

/// The kinds to try, best first, for the `isolation` of the configuration.
pub(crate) fn kinds(isolation: &str) -> Vec<SetupKind> {
    let is_root = rustix::process::geteuid().is_root();
    let namespaces = if is_root { SetupKind::Namespaces } else { SetupKind::Rootless };
    match isolation {
        "plain" => vec![SetupKind::Plain],
        "namespaces" => vec![namespaces],
        _ => vec![namespaces, SetupKind::Plain],
    }
}

/// Name of a kind in messages.
pub(crate) fn kind_name(kind: SetupKind) -> &'static str {
    match kind {
        SetupKind::Namespaces => "namespaces",
        SetupKind::Rootless => "namespaces-rootless",
        SetupKind::Plain => "plain",
    }
}

impl Node {
    /// Makes the node of the first of `kinds` that works here.
    pub(crate) async fn start(
        config: &NodeConfig,
        program: &Path,
        kinds: &[SetupKind],
        users: &[UserAccount],
    ) -> Result<(Arc<Self>, Running), SetupError> {
        let mut failed = SetupError::new("choose a kind of node", io::ErrorKind::Unsupported);
        for kind in kinds {
            match Self::start_kind(config, program, *kind, users).await {
                Ok(started) => return Ok(started),
                Err(error) => {
                    let cause = crate::with_causes(&error);
                    tracing::warn!(kind = kind_name(*kind), cause, "this kind of node fails here");
                    failed = error;
                }
            }
        }
        Err(failed)
    }

    async fn start_kind(
        config: &NodeConfig,
        program: &Path,
        kind: SetupKind,
        users: &[UserAccount],
    ) -> Result<(Arc<Self>, Running), SetupError> {
        let directory = PathBuf::from(&config.directory);
        let tasks = directory.join(NODE_ROOT);
        fs::create_dir_all(&tasks)
            .map_err(|error| SetupError::new(format!("make `{}`", tasks.display()), error))?;
        let accounts = accounts(config, kind, users)?;
        let root = lay_out(&tasks, &accounts)?;
        let engine_directory = directory.join(ENGINE);
        let engine = lay_out_engine(&engine_directory, &accounts)?;
        let host_name = host_name(&config.node_id);
        if kind != SetupKind::Plain {
            let first_uid = (kind == SetupKind::Namespaces).then_some(config.first_uid);
            let layers = Layers::create(&directory.join("view"), first_uid)?;
            for hidden in config.hidden.iter().chain([&config.directory]) {
                layers.hide(Path::new(hidden))?;
            }
            layers.write_settings(&accounts, &host_name)?;
            layers.name_python()?;
        }
        let setup = Setup {
            kind,
            view_directory: text(&directory.join("view"))?,
            tasks_directory: text(&tasks)?,
            engine_directory: text(&engine_directory)?,
            first_uid: config.first_uid,
            host_name,
        };
        let limits = Limits::of(&config.slot_limits, 1);
        let group = make_group(config, kind, &limits);
        let started = start_init(program, setup, group.as_ref()).await;
        let Started { init, mut process, pid, is_in_group, incoming } = match (started, &group) {
            (Ok(started), _) => started,
            (Err(error), Some(group)) => {
                // Removed by the next agent if not now.
                let _kept = group.remove();
                return Err(error);
            }
            (Err(error), None) => return Err(error),
        };
        let seats = make_seats(config, kind, &limits, group.as_ref(), pid);
        if kind != SetupKind::Plain {
            if let Some(group) = group.as_ref().filter(|_| !is_in_group) {
                group.adopt(pid).map_err(|error| SetupError::new("move the node", error))?;
            }
            if let FirstProcess::Started(launcher) = &mut process {
                let _status = launcher.wait().await;
            }
            process = FirstProcess::Launched(watch(pid)?);
        }
        let [root_in_view, engine_in_view] = in_view(kind, [&tasks, &engine_directory])?;
        let node = Arc::new(Self {
            kind,
            accounts,
            root,
            root_in_view,
            engine,
            engine_in_view,
            init,
            group: group.map(Arc::new),
            seats,
            slot_limits: config.slot_limits,
            init_pid: pid,
            directory,
            mounts: Mutex::default(),
        });
        let mut listener = JoinSet::new();
        let listening = Arc::clone(&node);
        listener.spawn(async move { listening.init.listen(incoming).await });
        Ok((node, Running { init: process, listener }))
    }

    /// Disk space that a command with so many slots may take, if that is limited.
    pub(crate) fn disk_limit(&self, slots: u32) -> Option<u64> {
        Some(self.slot_limits.disk_bytes?.saturating_mul(slots.max(1).into()))
    }

    /// Processes that all commands of a node with so many slots may have together, where nothing
    /// else counts them: its users are told apart from those of its machine.
    pub(crate) fn processes_limit(&self, slots: u32) -> Option<u64> {
        match self.kind {
            SetupKind::Rootless => {
                let each = self.slot_limits.processes?;
                Some(u64::from(each).saturating_mul(slots.max(1).into()))
            }
            SetupKind::Namespaces | SetupKind::Plain => None,
        }
    }

    /// Directories of the machine that all commands of the node share and write to.
    pub(crate) fn shared_places(&self) -> Vec<PathBuf> {
        let mut places = vec![self.directory.join(NODE_ROOT).join("shared")];
        if self.has_view() {
            places.extend(["upper", "tmp"].map(|name| self.directory.join("view").join(name)));
        }
        places
    }

    /// The directory of the machine in which a command has its files.
    pub(crate) fn place_of(&self, directory: &str) -> PathBuf {
        self.directory.join(NODE_ROOT).join(directory)
    }

    /// What it takes of the machine.
    pub(crate) fn measure(&self) -> Measurement {
        measure(self.group.as_deref().map(NodeGroup::path), &self.root)
    }

    /// Whether its processes see another root than the machine's.
    pub(crate) fn has_view(&self) -> bool {
        match self.kind {
            SetupKind::Namespaces | SetupKind::Rootless => true,
            SetupKind::Plain => false,
        }
    }

    /// The root of what the node's processes see.
    pub(crate) fn view(&self) -> io::Result<Directory> {
        match self.kind {
            SetupKind::Namespaces | SetupKind::Rootless => {
                Directory::open_root(Path::new(&format!("/proc/{}/root", self.init_pid)))
            }
            SetupKind::Plain => Directory::open_root(Path::new("/")),
        }
    }

    /// The process id of its first process on the machine.
    pub(crate) fn init_pid(&self) -> i32 {
        self.init_pid
    }

    /// Something is mounted on it; it lasts as long as the node.
    pub(crate) fn add_mount(&self, mounted: Mounted) {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner).push(mounted);
    }

    /// Waits for the end of what was mounted on it.
    async fn end_mounts(&self) {
        let mounts =
            std::mem::take(&mut *self.mounts.lock().unwrap_or_else(PoisonError::into_inner));
        for mounted in mounts {
            mounted.end().await;
        }
    }

    /// Asks for a process, which may take what so many task slots may.
    pub(crate) async fn spawn(
        &self,
        request: Spawn,
        streams: Streams<'_>,
        slots: u32,
    ) -> io::Result<Process> {
        let limits = Limits::of(&self.slot_limits, slots);
        let group = self.group.as_ref().map(|group| group.take(&limits)).transpose()?;
        let seat = self.seats.as_ref().map(|seats| seats.take(&limits)).transpose()?;
        self.init.spawn(request, streams, group, seat).await
    }
}

impl Running {
    /// Comes back when the node's first process is gone.
    pub(crate) async fn ended(&mut self) {
        self.listener.join_next().await;
    }

    /// Kills every process of the node and waits until none is left.
    pub(crate) async fn end(self, node: &Node) -> Result<(), SetupError> {
        let Self { init, mut listener } = self;
        let failed = |error| SetupError::new("end the node's processes", error);
        if let Some(group) = &node.group {
            // The first process collects what ends, and goes last.
            group.kill_commands().map_err(failed)?;
        }
        listener.shutdown().await;
        match init {
            FirstProcess::Launched(process) => {
                // One that ended already is what we want.
                let _ended = pidfd_send_signal(process.get_ref(), Signal::KILL);
                let _readable = process.readable().await.map_err(failed)?;
                let _status = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
            }
            FirstProcess::Started(mut child) => {
                // It ends, and kills all it started, when the agent's end is shut.
                node.init.shut();
                let _status = child.wait().await.map_err(failed)?;
            }
        }
        node.end_mounts().await;
        if let Some(group) = &node.group {
            group.kill().and_then(|()| group.remove()).map_err(failed)?;
        }
        match &node.seats {
            Some(seats) => seats.remove().map_err(failed),
            None => Ok(()),
        }
    }
}

/// An agent that may not make groups does without.
fn make_group(config: &NodeConfig, kind: SetupKind, limits: &Limits) -> Option<NodeGroup> {
    let owner = (kind == SetupKind::Namespaces).then_some(config.first_uid);
    let made = match kind {
        SetupKind::Namespaces | SetupKind::Plain => {
            NodeGroup::create(&config.node_id, owner, limits)
        }
        // Its first process could not be moved there.
        SetupKind::Rootless => Err(io::Error::from(io::ErrorKind::Unsupported)),
    };
    made.inspect_err(|error| tracing::info!(%error, "no control groups; processes are searched"))
        .ok()
}

/// What version 2 of control groups can not limit here, version 1 may.
fn make_seats(
    config: &NodeConfig,
    kind: SetupKind,
    limits: &Limits,
    group: Option<&NodeGroup>,
    init: i32,
) -> Option<Arc<Seats>> {
    if kind == SetupKind::Rootless {
        return None;
    }
    let others = group.map(NodeGroup::controllers).unwrap_or_default();
    let seats = Seats::create(&config.node_id, limits, others)?;
    if let Err(error) = seats.adopt(init) {
        tracing::info!(%error, "tasks can not be limited");
        let _kept = seats.remove();
        return None;
    }
    Some(seats)
}

fn accounts(
    config: &NodeConfig,
    kind: SetupKind,
    users: &[UserAccount],
) -> Result<Accounts, SetupError> {
    let is_root = rustix::process::geteuid().is_root();
    let mapping = match kind {
        SetupKind::Namespaces => Mapping::From(config.first_uid),
        SetupKind::Plain if is_root && is_open_to_all(Path::new(&config.directory)) => {
            Mapping::Ordinary(config.first_uid)
        }
        SetupKind::Plain | SetupKind::Rootless => Mapping::Single,
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Accounts::new(mapping, &read("/etc/passwd"), &read("/etc/group"), users)
}

/// Whether every user of the machine can reach what lies in a directory.
fn is_open_to_all(directory: &Path) -> bool {
    directory.ancestors().all(|above| fs::metadata(above).is_ok_and(|found| found.mode() & 1 == 1))
}

fn lay_out(tasks: &Path, accounts: &Accounts) -> Result<Directory, SetupError> {
    let failed = |error| SetupError::new(format!("lay out `{}`", tasks.display()), error);
    let owner = accounts.root().owner;
    let root = Directory::open_root(tasks).map_err(failed)?;
    root.give(owner, 0o755).map_err(failed)?;
    for (name, mode) in DIRECTORIES {
        root.make(name, owner.map(UserId::sharing), mode).map_err(failed)?;
    }
    Ok(root)
}

/// The node's root and the engine's directory, which are these on the machine, as the node's
/// processes see them.
fn in_view(kind: SetupKind, [tasks, engine]: [&Path; 2]) -> Result<[String; 2], SetupError> {
    match kind {
        SetupKind::Namespaces | SetupKind::Rootless => {
            Ok([TASKS_DIRECTORY, ENGINE_DIRECTORY].map(|path| format!("/{path}")))
        }
        SetupKind::Plain => Ok([text(tasks)?, text(engine)?]),
    }
}

fn lay_out_engine(path: &Path, accounts: &Accounts) -> Result<Directory, SetupError> {
    let lay_out = || {
        fs::create_dir_all(path)?;
        let directory = Directory::open_root(path)?;
        directory.give(accounts.root().owner, ENGINE_MODE)?;
        Ok::<_, io::Error>(directory)
    };
    lay_out().map_err(|error| SetupError::new(format!("lay out `{}`", path.display()), error))
}

/// A first process that is ready.
struct Started {
    init: InitClient,
    process: FirstProcess,
    pid: i32,
    is_in_group: bool,
    incoming: Incoming,
}

async fn start_init(
    program: &Path,
    setup: Setup,
    group: Option<&NodeGroup>,
) -> Result<Started, SetupError> {
    let failed = |error| SetupError::new("start the node's first process", error);
    let (near, far) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    near.set_nonblocking(true).map_err(failed)?;
    let launcher = start_program(program, far.into()).map_err(failed)?;
    let mut pid = launcher.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    let init = InitClient::new(UnixStream::from_std(near).map_err(failed)?);
    let group = group.map(NodeGroup::init_directory).transpose().map_err(failed)?;
    let descriptors: Vec<BorrowedFd<'_>> = group.iter().map(|group| group.as_fd()).collect();
    init.send(&ToInit::Setup(setup), &descriptors).await.map_err(failed)?;
    let mut is_in_group = false;
    let mut incoming = Incoming::default();
    let ready = async {
        loop {
            match init.receive(&mut incoming).await? {
                Some(FromInit::Launched { pid: launched, is_in_group: joined }) => {
                    pid = launched;
                    is_in_group = joined;
                }
                Some(FromInit::Ready) => return Ok(()),
                Some(FromInit::SetupFailed { message }) => return Err(io::Error::other(message)),
                Some(
                    FromInit::Spawned { .. }
                    | FromInit::SpawnFailed { .. }
                    | FromInit::Exited { .. }
                    | FromInit::Emptied { .. },
                ) => {}
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
    };
    let made = tokio::select! {
        made = ready => made,
        () = clock::sleep(Duration::from_secs(READY_SECONDS_MAX)) => {
            Err(io::Error::from(io::ErrorKind::TimedOut))
        }
    };
    match made {
        Ok(()) => {
            let process = FirstProcess::Started(launcher);
            Ok(Started { init, process, pid, is_in_group, incoming })
        }
        Err(error) => {
            drop(init);
            abandon(launcher, pid).await;
            Err(failed(error))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one program that the agent starts")]
fn start_program(program: &Path, socket: OwnedFd) -> io::Result<Child> {
    // No variables, user or other step that makes the library copy this process.
    Command::from(std::process::Command::new(program))
        .arg("node-init")
        .env_clear()
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
}

/// Ends what is left of a first process that did not become ready.
async fn abandon(mut launcher: Child, pid: i32) {
    let own = launcher.id();
    let _killed = launcher.kill().await;
    if own.and_then(|own| i32::try_from(own).ok()) == Some(pid) {
        return;
    }
    if let Ok(process) = watch(pid) {
        let _killed = pidfd_send_signal(process.get_ref(), Signal::KILL);
        let _readable = process.readable().await.map(|mut ready| ready.clear_ready());
        let _status = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    }
}

fn watch(pid: i32) -> Result<AsyncFd<OwnedFd>, SetupError> {
    let failed = |error| SetupError::new("watch the node's first process", error);
    let pid = Pid::from_raw(pid).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let process = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
    readiness::watch(process, tokio::io::Interest::READABLE).map_err(failed)
}

/// The node's name for itself: short, and different from its neighbors'.
fn host_name(node_id: &str) -> String {
    let name = node_id.strip_prefix("tvmps_").unwrap_or(node_id);
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(12);
    format!("tvm-{}", letters.collect::<String>().to_ascii_lowercase())
}

fn text(path: &Path) -> Result<String, SetupError> {
    let error = || io::Error::from(io::ErrorKind::InvalidFilename);
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| SetupError::new(format!("name `{}`", path.display()), error()))
}

/// Whether an earlier boot left files on the machine's disk.
pub(crate) fn has_files(config: &NodeConfig) -> bool {
    Path::new(&config.directory).join(NODE_ROOT).exists()
}

/// Opens to their owner the directories that an overlay of an ordinary user left closed to
/// everyone, so that all a node left can be removed.
pub(crate) fn open_layers(directory: &Path) -> io::Result<()> {
    let layers = fs::read_dir(directory.join("view/work")).into_iter().flatten().flatten();
    for layer in layers {
        for inner in [layer.path(), layer.path().join("work")] {
            if fs::symlink_metadata(&inner).is_ok_and(|found| found.is_dir()) {
                fs::set_permissions(&inner, fs::Permissions::from_mode(0o700))?;
            }
        }
    }
    Ok(())
}
