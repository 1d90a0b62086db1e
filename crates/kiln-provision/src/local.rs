//! Nodes on this machine: each is an agent process in a session of its own.
//!
//! Agents outlive the server on purpose: a server that was killed finds them again by the
//! lock that each holds on `agent.lock` in its node's directory for as long as it lives. The
//! lock is taken here, before the agent is started, and handed to it as its standard output:
//! there is no moment in which an agent lives without it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_files::Trash;
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Name of the file in a node's directory that its agent keeps locked; it holds its process id.
const LOCK_FILE: &str = "agent.lock";
/// Name of the file that takes what an agent logs.
const LOG_FILE: &str = "agent.log";

/// Tries for the lock: an agent whose server died before it was told anything ends at once.
const LOCK_TRIES: u32 = 100;
/// Pause between them.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An agent process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its node.
    pub node_id: String,
    /// The process that ended.
    pub pid: i32,
}

/// Why a node could not be obtained or returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The node's directory can not be prepared or removed.
    #[error("the directory `{}` of node `{node_id}` can not be {action}", path.display())]
    Directory {
        /// The node.
        node_id: String,
        /// The directory or a file in it.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The agent's program can not be started.
    #[error("the agent `{}` of node `{node_id}` can not be started", program.display())]
    Start {
        /// The node.
        node_id: String,
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Starts agents, which live on without the server, and tells when they end.
pub trait Provisioner: fmt::Debug + Send + Sync {
    /// The directory of a node on this machine.
    fn directory_of(&self, node_id: &str) -> PathBuf;

    /// Starts the agent of a node, which is told `config`.
    ///
    /// # Errors
    /// When the directory can not be made or the program not started.
    fn start<'s>(&'s self, node_id: &'s str, config: &'s [u8]) -> Starting<'s>;

    /// Whether the agent of a node lives; then its end will be told as if started here.
    fn adopt(&self, node_id: &str) -> bool;

    /// Whether the agent of a node lives.
    fn is_alive(&self, node_id: &str) -> bool;

    /// Whether another agent of the node than the process `pid` lives.
    fn has_another(&self, node_id: &str, pid: i32) -> bool;

    /// Kills the agent of a node, if it still lives; its processes end with it.
    fn kill(&self, node_id: &str);

    /// Removes the directory of a node whose agent has ended: at once from its place, and then
    /// beside all other work.
    ///
    /// # Errors
    /// When it can not be moved.
    fn remove_directory(&self, node_id: &str) -> Result<(), ProvisionError>;

    /// Whether an agent that was started or adopted here has not been seen to end.
    fn has_agents(&self) -> bool;

    /// The names of the node directories that are there.
    fn directories(&self) -> Vec<String>;
}

/// The start of an agent.
pub type Starting<'s> = Pin<Box<dyn Future<Output = Result<(), ProvisionError>> + Send + 's>>;

/// Starts agents on this machine and tells when they end.
#[derive(Debug)]
pub struct LocalProvisioner {
    program: PathBuf,
    directory: PathBuf,
    trash: Arc<Trash>,
    exits: mpsc::Sender<Exit>,
    watches: Mutex<JoinSet<()>>,
}

impl LocalProvisioner {
    /// Nodes in folders of `directory`, whose agents are `program agent`; their ends are told
    /// through `exits`. What nodes leave is brought to `trash`.
    pub fn new(
        program: PathBuf,
        directory: PathBuf,
        trash: Arc<Trash>,
        exits: mpsc::Sender<Exit>,
    ) -> Self {
        Self { program, directory, trash, exits, watches: Mutex::new(JoinSet::new()) }
    }

    /// Starts the agent of a node; it reads `config` from its standard input.
    async fn start_here(&self, node_id: &str, config: &[u8]) -> Result<(), ProvisionError> {
        let directory = self.directory_of(node_id);
        let failed = |path: &Path, action, cause| ProvisionError::Directory {
            node_id: node_id.to_owned(),
            path: path.to_owned(),
            action,
            cause,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&directory)
            .map_err(|cause| failed(&directory, "made", cause))?;
        let log_path = directory.join(LOG_FILE);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log_path)
            .map_err(|cause| failed(&log_path, "opened", cause))?;
        let lock_path = directory.join(LOCK_FILE);
        let lock =
            take_lock(&lock_path).await.map_err(|cause| failed(&lock_path, "locked", cause))?;
        self.spawn(node_id, config, log, lock).await.map_err(|cause| ProvisionError::Start {
            node_id: node_id.to_owned(),
            program: self.program.clone(),
            cause,
        })
    }

    async fn spawn(
        &self,
        node_id: &str,
        config: &[u8],
        log: File,
        mut lock: File,
    ) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .arg("agent")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(lock.try_clone()?))
            .stderr(Stdio::from(log));
        let mut child = command.spawn()?;
        // Before the agent knows what to do: one that acts can always be found.
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
        writeln!(lock, "{pid}")?;
        drop(lock);
        if let Some(mut stdin) = child.stdin.take() {
            tokio::io::AsyncWriteExt::write_all(&mut stdin, config).await?;
        }
        self.watch(node_id, pid, async move {
            if let Err(error) = child.wait().await {
                warn!(%error, "an agent could not be waited for");
            }
        });
        Ok(())
    }

    /// The process that holds the lock of a node's directory.
    fn living_agent(&self, node_id: &str) -> Option<Pid> {
        let mut lock = File::open(self.directory_of(node_id).join(LOCK_FILE)).ok()?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
            // Nobody holds it: the agent has ended.
            Ok(()) => None,
            Err(_held) => {
                let mut text = String::new();
                lock.read_to_string(&mut text).ok()?;
                let pid = Pid::from_raw(text.trim().parse().ok()?)?;
                // What it started may hold the lock for a moment longer than it lives.
                rustix::process::test_kill_process(pid).is_ok().then_some(pid)
            }
        }
    }

    fn watch(&self, node_id: &str, pid: i32, ended: impl Future<Output = ()> + Send + 'static) {
        let (exits, node_id) = (self.exits.clone(), node_id.to_owned());
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        while watches.try_join_next().is_some() {}
        watches.spawn(async move {
            ended.await;
            if exits.send(Exit { node_id, pid }).await.is_err() {
                debug!("nobody waits for the end of agents any more");
            }
        });
    }
}

impl Provisioner for LocalProvisioner {
    fn directory_of(&self, node_id: &str) -> PathBuf {
        self.directory.join(node_id)
    }

    fn start<'s>(&'s self, node_id: &'s str, config: &'s [u8]) -> Starting<'s> {
        Box::pin(self.start_here(node_id, config))
    }

    fn adopt(&self, node_id: &str) -> bool {
        let Some(pid) = self.living_agent(node_id) else { return false };
        let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) else {
            return false;
        };
        let Ok(pidfd) = owned_pidfd(pidfd) else { return false };
        self.watch(node_id, pid.as_raw_pid(), async move {
            if let Err(error) = pidfd.readable().await {
                warn!(%error, "an agent could not be watched");
            }
        });
        true
    }

    fn is_alive(&self, node_id: &str) -> bool {
        self.living_agent(node_id).is_some()
    }

    fn has_another(&self, node_id: &str, pid: i32) -> bool {
        self.living_agent(node_id).is_some_and(|living| living.as_raw_pid() != pid)
    }

    fn kill(&self, node_id: &str) {
        if let Some(pid) = self.living_agent(node_id)
            && let Err(error) = rustix::process::kill_process(pid, Signal::KILL)
        {
            debug!(%error, node_id, "the agent was gone already");
        }
    }

    fn remove_directory(&self, node_id: &str) -> Result<(), ProvisionError> {
        let directory = self.directory_of(node_id);
        match self.trash.take(&directory) {
            Ok(_) => Ok(()),
            Err(cause) => Err(ProvisionError::Directory {
                node_id: node_id.to_owned(),
                path: directory,
                action: "removed",
                cause,
            }),
        }
    }

    fn has_agents(&self) -> bool {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        while watches.try_join_next().is_some() {}
        !watches.is_empty()
    }

    fn directories(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

/// The lock on a node's directory, once no agent holds it.
async fn take_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let lock =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    for _ in 1..LOCK_TRIES {
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            lock.set_len(0)?;
            return Ok(lock);
        }
        pause().await;
    }
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    lock.set_len(0)?;
    Ok(lock)
}

#[expect(clippy::disallowed_methods, reason = "the end of a stranger's process is not announced")]
async fn pause() {
    tokio::time::sleep(LOCK_PAUSE).await;
}

#[expect(deprecated, reason = "the descriptor is owned here, which the newer form has one promise")]
fn owned_pidfd(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd)
}
