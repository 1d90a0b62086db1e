//! Finds a way in which podman runs containers on this node, by trying.
//!
//! Nothing is concluded from what the machine is: whether a runtime gets along with its control
//! groups, its limits and its kernel is seen when it runs something.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_domain::batch::command::EnvironmentSetting;
use kiln_domain::batch::task::FailureInfo;
use rustix::process::{Resource, Rlimit, getrlimit};
use tokio::task::JoinSet;

use super::podman::{Podman, SETTINGS_FILE};
use crate::node::Node;
use crate::node_init::message::SetupKind;
use crate::tool::{Ended, ToolError};
use kiln_files::Directory;

/// Time for a container that does nothing, in seconds.
const TRIAL_SECONDS_MAX: u64 = 60;
/// Time for removing what an earlier boot left, in seconds.
const CLEANING_SECONDS_MAX: u64 = 120;
/// Time for a container that was started to run, in seconds.
const BEGIN_SECONDS_MAX: u64 = 30;
/// Directories of the engine that begin empty with each boot.
const PASSING: [&str; 4] = ["run", "tmp", "asked", "trial"];
/// Those that stay.
const LASTING: [&str; 2] = ["store", "home"];
/// Directories of the node that a container without an image is tried with.
const PROGRAMS: [&str; 7] = ["/bin", "/sbin", "/usr", "/lib", "/lib32", "/lib64", "/nix"];
/// Where the kernel tells how many processes it can have.
const PROCESSES: &str = "/proc/sys/kernel/pid_max";
/// What podman may run containers with, best first. It sees none of the machine's control groups
/// in a node, and so leaves containers in those of their command.
pub(crate) const RUNTIMES: [&str; 2] = ["crun", "runc"];
/// Code of a node without an engine.
const NO_ENGINE: &str = "ContainerEngineUnavailable";
/// What to do about it.
const NOT_APART: &str = "A node that is not kept apart from its machine runs no containers, \
                         because they could outlive it: see `kiln doctor`";
const ADVICE: &str = "install podman and crun on the machine (`apt-get install podman crun`); \
                      see `kiln doctor`";

/// What podman is told in each call.
pub(super) const SETTINGS: &str =
    "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n";

/// A working engine.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) podman: Podman,
    runtime: &'static str,
    /// What goes on when nobody waits for it any more.
    work: Mutex<JoinSet<()>>,
    /// The containers that run, by the directory of their command.
    running: Mutex<BTreeMap<String, String>>,
}

impl Engine {
    /// The engine of `node`, whose variables `settings` tell of proxies.
    pub(super) async fn find(
        node: &Arc<Node>,
        settings: &[EnvironmentSetting],
    ) -> Result<Self, FailureInfo> {
        let unavailable = |detail: &str| {
            let message = format!("The node can not run containers: {ADVICE}");
            FailureInfo::user_error(NO_ENGINE, &message).with_detail("Message", detail)
        };
        match node.kind {
            SetupKind::Namespaces | SetupKind::Rootless => {}
            SetupKind::Plain => return Err(FailureInfo::user_error(NO_ENGINE, NOT_APART)),
        }
        lay_out(node).map_err(|error| unavailable(&error.to_string()))?;
        let mut podman = Podman::new(node, settings);
        // What an earlier boot left is of no use to anybody; its images are.
        let cleaning = Duration::from_secs(CLEANING_SECONDS_MAX);
        let cleaned = podman.call(["rm", "--all", "--force", "--volumes"], cleaning).await;
        said(cleaned).map_err(|detail| unavailable(&detail))?;
        let mut faults = Vec::new();
        for runtime in RUNTIMES {
            let (work, running) = (Mutex::default(), Mutex::default());
            let engine = Self { podman, runtime, work, running };
            match engine.attempt_trial().await {
                Ok(()) => {
                    tracing::info!(runtime, "containers run");
                    return Ok(engine);
                }
                Err(detail) => faults.push(format!("{runtime}: {detail}")),
            }
            podman = engine.podman;
        }
        Err(unavailable(&faults.join("; ")))
    }

    /// Does what comes to its end also when the command that asked for it does not wait.
    pub(super) fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut all = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn(work);
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container `id` of the command in `directory` is about to run.
    pub(super) fn begun(&self, directory: &str, id: &str) {
        self.running().insert(directory.to_owned(), id.to_owned());
    }

    /// Nothing runs in the container of the command in `directory` any more.
    pub(super) fn ended(&self, directory: &str) {
        self.running().remove(directory);
    }

    /// The container of the command in `directory`, if it runs; one that is about to is waited
    /// for.
    pub(super) async fn running_in(&self, directory: &str) -> Option<String> {
        let id = self.running().get(directory).cloned()?;
        let words = ["wait", "--condition=running", "--condition=exited", "--interval=50ms", &id];
        let time = Duration::from_secs(BEGIN_SECONDS_MAX);
        said(self.podman.call(words, time).await).ok()?;
        self.running().get(directory).cloned()
    }

    /// Arguments for making a container, whatever is in it; `coordinates` when what its command
    /// starts is to outlive that.
    pub(super) fn arguments(&self, coordinates: bool) -> Vec<String> {
        let mut arguments = vec![
            format!("--runtime={}", self.runtime),
            // A node has the network of its machine, and so has what runs there.
            "--network=host".to_owned(),
            "--log-driver=passthrough".to_owned(),
            "--http-proxy=false".to_owned(),
            "--pull=never".to_owned(),
        ];
        arguments.push(limit("nofile", getrlimit(Resource::Nofile), None));
        arguments.push(limit("nproc", getrlimit(Resource::Nproc), processes_max()));
        if coordinates {
            // The kernel ends all that a container has with its first process.
            arguments.push("--pid=host".to_owned());
        }
        arguments
    }

    /// Runs a container with the node's own programs in it.
    async fn attempt_trial(&self) -> Result<(), String> {
        let node = self.podman.node();
        let trial = format!("{}/trial", node.engine_in_view);
        let view = node.view().map_err(|error| error.to_string())?;
        let mut words = vec!["run".to_owned(), "--rm".to_owned(), "--read-only".to_owned()];
        words.extend(self.arguments(false).into_iter().filter(|it| it != "--pull=never"));
        for path in PROGRAMS {
            if view.enter(path.trim_start_matches('/'), kiln_files::Links::Within).is_ok() {
                words.push(format!("--volume={path}:{path}:ro"));
            }
        }
        words.extend(["--rootfs".to_owned(), trial, "/bin/sh".to_owned(), "-c".to_owned()]);
        words.push("exit 0".to_owned());
        let time = Duration::from_secs(TRIAL_SECONDS_MAX);
        said(self.podman.call(words.iter().map(String::as_str), time).await).map(drop)
    }
}

/// Gives containers the node's own limit, or `most` if that is less: the engine would raise it,
/// which not everybody may.
fn limit(name: &str, own: Rlimit, most: Option<u64>) -> String {
    let text = |own: Option<u64>| match (own, most) {
        (Some(own), Some(most)) => own.min(most).to_string(),
        (Some(limit), None) | (None, Some(limit)) => limit.to_string(),
        (None, None) => "-1".to_owned(),
    };
    format!("--ulimit={name}={}:{}", text(own.current), text(own.maximum))
}

/// The most processes that the machine can have: podman gives itself a limit of so many.
fn processes_max() -> Option<u64> {
    fs::read_to_string(PROCESSES).ok()?.trim().parse().ok()
}

/// What podman printed when it did as it was told, else what it complained of.
pub(super) fn said(ended: Result<Ended, ToolError>) -> Result<String, String> {
    match ended {
        Ok(Ended { exit_code: 0, output, .. }) => Ok(output),
        Ok(Ended { exit_code, output, errors }) => {
            let words = if errors.is_empty() { output } else { errors };
            Err(format!("{words} (exit code {exit_code})"))
        }
        Err(error) => Err(crate::with_causes(&error)),
    }
}

/// Makes the directories and settings of the engine.
fn lay_out(node: &Node) -> io::Result<()> {
    let owner = node.accounts.root().owner;
    for name in PASSING {
        match node.engine.remove_all(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    for name in PASSING.into_iter().chain(LASTING) {
        node.engine.make(name, owner, 0o700)?;
    }
    let write = |name: &str, text: &str| -> io::Result<()> {
        node.engine.create(name, owner, 0o600)?.write_all(text.as_bytes())
    };
    let place = &node.engine_in_view;
    write(SETTINGS_FILE, SETTINGS)?;
    write(
        "storage.conf",
        &format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{place}/store\"\n\
             rootless_storage_path = \"{place}/store\"\nrunroot = \"{place}/run\"\n"
        ),
    )
}

/// The directory in which what podman is asked for is written down.
pub(super) fn asked(node: &Node) -> io::Result<Directory> {
    node.engine.enter("asked", kiln_files::Links::Refused)
}
