//! Runs one command on the node, from its directory to its end: carries out what
//! [`kiln_domain::batch::attempt`] decides.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use kiln_domain::batch::attempt::{Effect, Fact, State, step};
use kiln_domain::batch::certificate::Visibility;
use kiln_domain::batch::command::{OutputFile, ResourceFile};
use kiln_domain::batch::container::{ContainerInfo, ContainerSettings};
use kiln_domain::batch::task::{FailureCategory, FailureInfo, Outcome};
use kiln_domain::batch::usage::Usage;
use kiln_domain::span::Span;
use kiln_domain::time::Timestamp;
use kiln_wire::node::{AttemptId, Package, Report};
use tokio::sync::{mpsc, watch};

use crate::account::Account;
use crate::boot::{Boot, TRUST_DIRECTORY};
use crate::containers::{Container, Order, Places};
use crate::environment::MARK;
use crate::init_client::{Process, ProcessFact, Streams};
use crate::node::Node;
use crate::node_init::message::{Input, Rights, Spawn, SpawnStep, UserId};
use crate::{clock, disk};
use kiln_files::Directory;

/// Permission bits of the directories above those of tasks.
const COMMON_MODE: u32 = 0o755;
/// Permission bits of the files that catch what a task prints.
const OUTPUT_MODE: u32 = 0o644;

/// A command to run.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Its directory below the node's root.
    pub(crate) directory: String,
    /// Permission bits of that directory.
    pub(crate) directory_mode: u32,
    /// The program and its arguments.
    pub(crate) command_line: String,
    /// Which certificates it finds.
    pub(crate) sees: Visibility,
    /// Packages brought before.
    pub(crate) packages: Vec<Package>,
    /// Files fetched before.
    pub(crate) resource_files: Vec<ResourceFile>,
    /// The directory below the node's root that it shares with other commands of its task, and
    /// the files that are fetched there before.
    pub(crate) shared: Option<(String, Vec<ResourceFile>)>,
    /// Names of the files that catch what it prints.
    pub(crate) streams: [&'static str; 2],
    /// Whether what it leaves running stays when it ended well, until its end is asked for.
    pub(crate) coordinates: bool,
    /// Files kept after.
    pub(crate) output_files: Vec<OutputFile>,
    /// Whether a failed run is followed by another, to which output files are left.
    pub(crate) may_run_again: bool,
    /// Variables of its process.
    pub(crate) variables: BTreeMap<String, String>,
    /// Who runs it.
    pub(crate) account: Account,
    /// Task slots that it takes.
    pub(crate) slots: u32,
    /// Time after which it is killed.
    pub(crate) time_limit: Option<Duration>,
    /// The container that it runs in, if it does.
    pub(crate) container: Option<Contained>,
}

/// The container that a command wants.
#[derive(Clone, Debug)]
pub(crate) struct Contained {
    /// As the client says.
    pub(crate) settings: ContainerSettings,
    /// Names of the variables that the client chose.
    pub(crate) given: Vec<String>,
    /// The directory, below the node's root, with all that the task has there.
    pub(crate) task: String,
    /// That of the job's preparation task.
    pub(crate) preparation: Option<String>,
}

/// What is there before a command is started.
struct Prepared {
    directory: Directory,
    container: Option<Container>,
}

type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, FailureInfo>> + Send + 'a>>;

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// In the words of the domain.
    pub(crate) outcome: Outcome,
    /// What it took of the node, if its process ran.
    pub(crate) usage: Option<Usage>,
    /// The container that it ran in, if it did.
    pub(crate) container: Option<ContainerInfo>,
}

impl From<Outcome> for End {
    /// The end of a command whose process never ran.
    fn from(outcome: Outcome) -> Self {
        Self { outcome, usage: None, container: None }
    }
}

/// The hands of one attempt.
struct Hands<'a> {
    boot: &'a Boot,
    command: &'a Command,
    preparation: Option<Step<'a, Prepared>>,
    upload: Option<Step<'a, ()>>,
    directory: Option<Directory>,
    process: Option<Process>,
    container: Option<Container>,
    /// Exit code of a process whose container has not been looked at.
    exited: Option<i32>,
    /// Whether no process is left, but the container.
    is_emptied: bool,
    began_at: Timestamp,
}

/// Who hears what happens to a command before it ends.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The attempt.
    pub(crate) attempt: AttemptId,
    /// Where reports go.
    pub(crate) reports: mpsc::Sender<Report>,
}

impl Listener {
    async fn hear_contained(&self, container: ContainerInfo) {
        let report = Report::Contained { attempt: self.attempt.clone(), container };
        // Nobody listens to what runs on a node that ends.
        let _ended = self.reports.send(report).await;
    }

    async fn hear_coordinated(&self) {
        let report = Report::Coordinated { attempt: self.attempt.clone(), at: clock::now() };
        // Nobody listens to what runs on a node that ends.
        let _ended = self.reports.send(report).await;
    }
}

/// Runs `command` to its end; `stop` becomes true when its end is asked for.
pub(crate) async fn run(
    boot: &Boot,
    command: &Command,
    stop: watch::Receiver<bool>,
    listener: Option<&Listener>,
) -> End {
    let mut hands = Hands {
        boot,
        command,
        preparation: Some(Box::pin(prepare(boot, command))),
        upload: None,
        directory: None,
        process: None,
        container: None,
        exited: None,
        is_emptied: false,
        began_at: clock::now(),
    };
    if let Some(end) = survive(live(&mut hands, stop, listener)).await {
        hands.remove_container().await;
        return end;
    }
    // A bug: the server must hear of an end all the same, and nothing may run on.
    if survive(hands.abandon()).await.is_none() {
        tracing::error!(directory = command.directory, "bug: a broken attempt can not be ended");
    }
    hands.end(Outcome::NotStarted { failure: broken() })
}

/// What a future brings; `None` when it panics.
async fn survive<T>(future: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}

/// Lives the life of one attempt.
async fn live(
    hands: &mut Hands<'_>,
    mut stop: watch::Receiver<bool>,
    listener: Option<&Listener>,
) -> End {
    let command = hands.command;
    let deadline = async {
        match command.time_limit {
            Some(time) => clock::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);
    let full = disk::exceeded(hands.boot, command);
    tokio::pin!(full);
    let (mut is_late, mut is_stopped, mut is_full) = (false, false, false);
    let mut state = State::Preparing;
    let mut facts = VecDeque::new();
    loop {
        let fact = match facts.pop_front() {
            Some(fact) => fact,
            None => tokio::select! {
                biased;
                asked = stop.wait_for(|stop| *stop), if !is_stopped => {
                    drop(asked);
                    is_stopped = true;
                    Fact::Stop
                }
                () = &mut deadline, if !is_late => {
                    is_late = true;
                    Fact::Deadline
                }
                failure = &mut full, if !is_full => {
                    is_full = true;
                    Fact::Exceeded(failure)
                }
                fact = hands.next() => fact,
            },
        };
        if let (Fact::Spawned, Some(listener), Some(container)) =
            (&fact, listener, &hands.container)
        {
            listener.hear_contained(container.info()).await;
        }
        let effects;
        (state, effects) = match step(state, fact) {
            Ok(next) => next,
            Err(impossible) => {
                tracing::error!(%impossible, "an attempt lost track");
                let failure = launch_failed(&impossible.to_string());
                return hands.end(Outcome::NotStarted { failure });
            }
        };
        for effect in effects {
            if let Effect::Report(outcome) = effect {
                return hands.end(outcome);
            }
            if let (Effect::Announce, Some(listener)) = (&effect, listener) {
                listener.hear_coordinated().await;
            }
            facts.extend(hands.apply(effect).await);
        }
    }
}

impl Hands<'_> {
    /// What happens next by itself.
    async fn next(&mut self) -> Fact {
        if let Some(preparation) = &mut self.preparation {
            let prepared = preparation.await;
            self.preparation = None;
            return match prepared {
                Ok(Prepared { directory, container }) => {
                    self.directory = Some(directory);
                    self.container = container;
                    Fact::Prepared
                }
                Err(failure) => Fact::PrepareFailed(failure),
            };
        }
        if let Some(upload) = &mut self.upload {
            let uploaded = upload.await;
            self.upload = None;
            return uploaded.map_or_else(Fact::UploadFailed, |()| Fact::Uploaded);
        }
        loop {
            if let Some(fact) = self.next_of_container().await {
                return fact;
            }
            let Some(process) = &mut self.process else {
                return std::future::pending().await;
            };
            match process.next().await {
                ProcessFact::Spawned => return Fact::Spawned,
                ProcessFact::SpawnFailed { step, errno } => {
                    return Fact::SpawnFailed(not_started(step, errno));
                }
                ProcessFact::Exited { exit_code } => self.exited = Some(exit_code),
                ProcessFact::Emptied => self.is_emptied = true,
            }
        }
    }

    /// What follows from the end of a process, once its container, if it has one, was looked at
    /// or is removed; loses nothing when it is cancelled.
    async fn next_of_container(&mut self) -> Option<Fact> {
        if let Some(exit_code) = self.exited {
            let why_not = match &mut self.container {
                Some(container) => container.on_exited(exit_code).await,
                None => None,
            };
            self.exited = None;
            return Some(match (why_not, exit_code) {
                (Some(failure), _) => Fact::NeverBegan(failure),
                (None, 0) if self.command.coordinates => Fact::Coordinated,
                (None, exit_code) => Fact::Exited { exit_code },
            });
        }
        if self.is_emptied {
            self.remove_container().await;
            self.is_emptied = false;
            return Some(Fact::Emptied);
        }
        None
    }

    /// Removes the container, if there is one that was not removed.
    async fn remove_container(&mut self) {
        if let Some(container) = &mut self.container {
            container.remove().await;
        }
    }

    /// Carries out an effect; answers what is known at once.
    async fn apply(&mut self, effect: Effect) -> Option<Fact> {
        match effect {
            Effect::AbandonPreparation => {
                self.preparation = None;
                None
            }
            Effect::Spawn => match self.spawn().await {
                Ok(process) => {
                    self.process = Some(process);
                    None
                }
                Err(failure) => Some(Fact::SpawnFailed(failure)),
            },
            Effect::Empty => {
                if let Some(process) = &mut self.process
                    && let Err(error) = self.boot.node.init.empty(process).await
                {
                    tracing::error!(%error, "failed to ask for the end of a task's processes");
                }
                None
            }
            Effect::Upload { exit_code } => self.upload(exit_code),
            Effect::AbandonUpload => {
                self.upload = None;
                None
            }
            Effect::Report(_) | Effect::Announce => None,
        }
    }

    /// Begins to upload output files, unless a later run will.
    fn upload(&mut self, exit_code: i32) -> Option<Fact> {
        let (boot, command) = (self.boot, self.command);
        let is_last = exit_code == 0 || !command.may_run_again;
        if command.output_files.is_empty() || !is_last {
            return Some(Fact::Uploaded);
        }
        self.upload = Some(Box::pin(boot.uploader.upload(&boot.node, command, exit_code)));
        None
    }

    /// Ends what is left of an attempt that lost its way.
    async fn abandon(&mut self) {
        self.preparation = None;
        self.upload = None;
        let Some(process) = &mut self.process else { return self.remove_container().await };
        if let Err(error) = self.boot.node.init.empty(process).await {
            tracing::error!(%error, "failed to ask for the end of a task's processes");
        }
        loop {
            match process.next().await {
                ProcessFact::Emptied | ProcessFact::SpawnFailed { .. } => {
                    return self.remove_container().await;
                }
                ProcessFact::Spawned | ProcessFact::Exited { .. } => {}
            }
        }
    }

    fn end(&mut self, outcome: Outcome) -> End {
        let wall_clock = Span::from_std(clock::now().since(self.began_at));
        let usage = self.process.as_mut().and_then(Process::usage);
        End {
            outcome,
            usage: usage.map(|usage| Usage { wall_clock, ..usage }),
            container: self.container.as_ref().map(Container::info),
        }
    }

    async fn spawn(&mut self) -> Result<Process, FailureInfo> {
        let command = self.command;
        let failed = |error: io::Error| launch_failed(&error.to_string());
        let Some(directory) = &self.directory else {
            return Err(launch_failed("the task has no directory"));
        };
        let output = |name: &str| {
            directory.create_log(name, command.account.owner, OUTPUT_MODE).map(OwnedFd::from)
        };
        let [stdout, stderr] = command.streams.map(output);
        let (stdout, stderr) = (stdout.map_err(failed)?, stderr.map_err(failed)?);
        let request = match &mut self.container {
            Some(container) => contained_request(&self.boot.node, command, container),
            None => request(&self.boot.node, command)?,
        };
        let request = Spawn { processes_max: self.boot.processes_limit(), ..request };
        self.boot
            .node
            .spawn(request, Streams::of_output(&stdout, &stderr), command.slots)
            .await
            .map_err(failed)
    }
}

/// The process of a command.
fn request(node: &Node, command: &Command) -> Result<Spawn, FailureInfo> {
    let argv = shell_words::split(&command.command_line)
        .map_err(|error| launch_failed(&error.to_string()))?;
    if argv.is_empty() {
        return Err(program_not_found("the command line is empty"));
    }
    let settings = command.variables.iter().map(|(name, value)| [name, "=", value].concat());
    let place = format!("{}/{}", node.root_in_view, command.directory);
    Ok(Spawn {
        id: node.init.new_id(),
        argv,
        environment: settings.collect(),
        mark: format!("{MARK}={place}"),
        directory: format!("{place}/wd"),
        user: command.account.id,
        rights: command.account.rights(),
        has_group: false,
        n_places: 0,
        input: Input::Nothing,
        processes_max: None,
    })
}

/// The process that stays with the container of a command.
fn contained_request(node: &Node, command: &Command, container: &mut Container) -> Spawn {
    let mark = format!("{MARK}={}/{}", node.root_in_view, command.directory);
    engine_request(node, container.start(), mark)
}

/// A process of the engine that stays with what runs in a container.
pub(crate) fn engine_request(
    node: &Node,
    (argv, mut environment): (Vec<String>, Vec<String>),
    mark: String,
) -> Spawn {
    environment.push(mark.clone());
    Spawn {
        id: node.init.new_id(),
        argv,
        environment,
        mark,
        directory: "/".to_owned(),
        user: node.accounts.root().id,
        rights: Rights::Engine,
        has_group: false,
        n_places: 0,
        input: Input::Nothing,
        processes_max: None,
    }
}

impl Drop for Hands<'_> {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            self.boot.node.init.forget(process);
        }
    }
}

async fn prepare(boot: &Boot, command: &Command) -> Result<Prepared, FailureInfo> {
    let failed = |error: io::Error| {
        let message = "The directory of the task can not be made";
        failure("ResourceDirectoryCreateFailed", message, &error.to_string())
    };
    boot.packages.bring(&command.packages).await?;
    // A start task copies what it fetched with `cp -p`, for tasks of other users to read.
    let owner = command.account.owner.map(UserId::sharing);
    if let Some((path, files)) = &command.shared {
        let shared = own_directory(&boot.node, command, path).map_err(failed)?;
        boot.fetcher.fetch(files, &shared, owner).await?;
    }
    let directory = own_directory(&boot.node, command, &command.directory).map_err(failed)?;
    let working_directory =
        directory.claim("wd", command.account.owner, command.directory_mode).map_err(failed)?;
    boot.certificates.install(command.sees, &directory, command.account.owner).map_err(failed)?;
    boot.fetcher.fetch(&command.resource_files, &working_directory, owner).await?;
    let container = match &command.container {
        Some(contained) => {
            let order = order(&boot.node, command, contained);
            Some(boot.containers()?.make(&contained.settings, order).await?)
        }
        None => None,
    };
    Ok(Prepared { directory, container })
}

/// What a command wants of its container.
pub(crate) fn order<'a>(
    node: &'a Node,
    command: &'a Command,
    contained: &'a Contained,
) -> Order<'a> {
    Order {
        command_line: &command.command_line,
        variables: &command.variables,
        given: &contained.given,
        account: &command.account,
        places: Places {
            root: &node.root_in_view,
            task: &contained.task,
            preparation: contained.preparation.as_deref(),
            trust: TRUST_DIRECTORY,
        },
        directory: &command.directory,
        coordinates: command.coordinates,
    }
}

/// The directory at `path` below the node's root, which belongs to the user of `command`.
fn own_directory(node: &Node, command: &Command, path: &str) -> io::Result<Directory> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let above = node.root.make(above, node.accounts.root().owner, COMMON_MODE)?;
    above.claim(name, command.account.owner, command.directory_mode)
}

pub(crate) fn not_started(step: SpawnStep, errno: i32) -> FailureInfo {
    let cause = io::Error::from_raw_os_error(errno);
    match step {
        SpawnStep::Program if cause.kind() == io::ErrorKind::NotFound => {
            program_not_found(&cause.to_string())
        }
        SpawnStep::Request
        | SpawnStep::Clone
        | SpawnStep::Group
        | SpawnStep::Streams
        | SpawnStep::User
        | SpawnStep::Directory
        | SpawnStep::Program => launch_failed(&cause.to_string()),
    }
}

fn program_not_found(detail: &str) -> FailureInfo {
    failure("CommandProgramNotFound", "The specified command program is not found", detail)
}

/// A bug of the agent ended an attempt.
fn broken() -> FailureInfo {
    FailureInfo {
        category: FailureCategory::ServerError,
        ..failure("Unknown", "The node lost track of the task", "see the agent's log")
    }
}

fn launch_failed(detail: &str) -> FailureInfo {
    failure("CommandLaunchFailed", "Failed to launch the specified command line", detail)
}

fn failure(code: &str, message: &str, detail: &str) -> FailureInfo {
    FailureInfo::user_error(code, message).with_detail("Message", detail)
}

#[cfg(test)]
mod tests {
    use super::survive;

    #[tokio::test]
    async fn a_panic_of_an_attempt_is_survived() {
        let survived = survive(async { u32::from(true) }).await;
        let broken = survive(async {
            let none: Option<u32> = std::hint::black_box(None);
            none.expect("a bug")
        });
        assert_eq!((survived, broken.await), (Some(1), None));
    }
}
