//! One start of a node: what its commands have in common until the next one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kiln_domain::batch::certificate::Visibility;
use kiln_domain::batch::command::{EnvironmentSetting, StartTaskSpec};
use kiln_domain::batch::container::{
    ContainerConfiguration, ContainerSettings, TaskKind, admit_to_pool,
};
use kiln_domain::batch::task::FailureInfo;
use kiln_domain::span::Span;
use kiln_wire::auth::task_token::Issuer;
use kiln_wire::node::{AttemptKind, Mount, NodeConfig, Prepare, Run};
use rustix::fs::OFlags;

use crate::certificates::Certificates;
use crate::command::{Command, Contained};
use crate::containers::{self, Containers};
use crate::environment::{CommandFacts, NodeFacts, variables};
use crate::fetch::Fetcher;
use crate::mounts;
use crate::node::Node;
use crate::node_init::message::SetupKind;
use crate::packages::Packages;
use crate::transfer::Transfer;
use crate::upload::Uploader;
use kiln_files::Links;

/// Directory of the start task below the node's root.
const START_TASK_DIRECTORY: &str = "startup";
/// Permission bits of a directory that all users may read.
const READABLE_MODE: u32 = 0o755;
/// Permission bits of the directory of a task.
const TASK_MODE: u32 = 0o750;
/// Names of the files that catch what a command prints.
const STREAMS: [&str; 2] = ["stdout.txt", "stderr.txt"];
/// Names of those that catch what the coordination command of a primary prints.
const COORDINATION_STREAMS: [&str; 2] = ["coordination_stdout.txt", "coordination_stderr.txt"];
/// Where certificates that commands trust are put, below the node's root.
pub(crate) const TRUST_DIRECTORY: &str = "volatile/trust";
/// Where the program that tasks may call is put, below the node's root.
const PROGRAM_DIRECTORY: &str = "volatile/bin";
/// Variable that names this program.
const PROGRAM_VARIABLE: &str = "KILN_PROGRAM";
/// Variables that name a file of certificates.
const TRUST_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
];

/// The variable with the token of a task that may use its job.
const TOKEN: &str = "AZ_BATCH_AUTHENTICATION_TOKEN";

/// One start of a node.
#[derive(Debug)]
pub(crate) struct Boot {
    /// Counts the starts, from 1.
    pub(crate) number: u32,
    /// Task slots of the node.
    slots: u32,
    /// The node.
    pub(crate) node: Arc<Node>,
    /// Brings files.
    pub(crate) fetcher: Fetcher,
    /// Keeps files.
    pub(crate) uploader: Uploader,
    /// Brings packages of applications.
    pub(crate) packages: Packages,
    /// Puts certificates into place.
    pub(crate) certificates: Certificates,
    /// Runs containers, once the node is ready.
    containers: OnceLock<Containers>,
    /// How the node is to run them, if it is.
    containers_wanted: Option<ContainerConfiguration>,
    /// What it mounts, from where its own directory is.
    mounts_wanted: Vec<Mount>,
    directory: PathBuf,
    facts: NodeFacts,
    tokens: Issuer,
}

impl Boot {
    /// What `prepare` asks for.
    pub(crate) fn new(
        config: &NodeConfig,
        prepare: &Prepare,
        node: Arc<Node>,
    ) -> std::io::Result<Self> {
        let facts = NodeFacts {
            account_name: config.account_name.clone(),
            pool_id: config.pool_id.clone(),
            node_id: config.node_id.clone(),
            is_dedicated: prepare.is_dedicated,
            root: node.root_in_view.clone(),
            packages: prepare.packages.clone(),
            given: adopt_program(adopt_certificates(&prepare.environment, &node)?, &node)?,
        };
        let transfer = Arc::new(Transfer::new(prepare.environment.clone()));
        let directory = Path::new(&config.directory);
        Ok(Self {
            number: prepare.boot,
            slots: prepare.task_slots,
            packages: Packages::new(Arc::clone(&transfer), Arc::clone(&node), directory)?,
            certificates: Certificates::new(&prepare.certificates),
            node,
            fetcher: Fetcher::new(Arc::clone(&transfer), Path::new(&config.directory))?,
            uploader: Uploader::new(transfer),
            containers: OnceLock::new(),
            containers_wanted: prepare.containers.clone(),
            mounts_wanted: prepare.mounts.clone(),
            directory: directory.to_owned(),
            facts,
            tokens: Issuer::of(config),
        })
    }

    /// Processes that all commands of the node may have together, where nothing else counts them.
    pub(crate) fn processes_limit(&self) -> Option<u64> {
        self.node.processes_limit(self.slots)
    }

    /// Disk space that what all commands of the node share may take, if that is limited.
    pub(crate) fn shared_disk_limit(&self) -> Option<u64> {
        self.node.disk_limit(self.slots)
    }

    /// Brings what the pool wants on its nodes before any command runs.
    pub(crate) async fn make_ready(&self) -> Result<(), FailureInfo> {
        self.packages.bring(&self.facts.packages).await?;
        self.certificates.check()?;
        let given = &self.facts.given;
        mounts::mount_all(&self.node, &self.directory, &self.mounts_wanted, given).await?;
        if let Some(wanted) = &self.containers_wanted {
            let started = Containers::start(&self.node, wanted, &self.facts.given).await?;
            // It is made ready once.
            let _once = self.containers.set(started);
        }
        Ok(())
    }

    /// What runs containers on this node.
    ///
    /// # Errors
    /// When its pool wants none.
    pub(crate) fn containers(&self) -> Result<&Containers, FailureInfo> {
        let reason = "the pool of the node has no containerConfiguration";
        self.containers.get().ok_or_else(|| containers::does_not_fit(reason))
    }

    /// The container of a command, if it has one; `task` is all that its task has on the node.
    fn contained(
        &self,
        kind: TaskKind,
        settings: Option<&ContainerSettings>,
        facts: &CommandFacts<'_>,
        task: &str,
    ) -> Result<Option<Contained>, FailureInfo> {
        let offered = self.containers_wanted.as_ref();
        admit_to_pool("containerSettings", kind, settings, offered)
            .map_err(|rejection| containers::does_not_fit(&rejection.to_string()))?;
        let given = facts.given.into_iter().flatten().map(|setting| setting.name.clone());
        Ok(settings.map(|settings| Contained {
            settings: settings.clone(),
            given: given.collect(),
            task: task.to_owned(),
            preparation: facts.preparation_directory.map(str::to_owned),
        }))
    }

    /// The start task as a command.
    pub(crate) fn start_task_command(&self, spec: &StartTaskSpec) -> Result<Command, FailureInfo> {
        let account = self.node.accounts.choose(spec.user_identity.as_ref(), None)?;
        let facts = CommandFacts {
            task: None,
            directory: START_TASK_DIRECTORY,
            user: &account.name,
            identity: &account.identity,
            preparation_directory: None,
            instance: None,
            packages: &[],
            given: [&[], &spec.environment_settings],
        };
        let settings = spec.container_settings.as_ref();
        let directory = START_TASK_DIRECTORY;
        Ok(Command {
            container: self.contained(TaskKind::Preparation, settings, &facts, directory)?,
            directory: START_TASK_DIRECTORY.to_owned(),
            directory_mode: READABLE_MODE,
            command_line: spec.command_line.clone(),
            sees: Visibility::StartTask,
            packages: Vec::new(),
            resource_files: spec.resource_files.clone(),
            shared: None,
            streams: STREAMS,
            coordinates: false,
            output_files: Vec::new(),
            may_run_again: false,
            variables: variables(&self.facts, &facts),
            account,
            slots: self.slots,
            time_limit: None,
        })
    }

    /// The surroundings of a task for a shell; `count` is that of its attempt while it runs.
    pub(crate) fn shell_command(
        &self,
        run: &Run,
        count: Option<u64>,
    ) -> Result<Command, FailureInfo> {
        let of_owner = || {
            // Later its user is known by what it owns.
            let found = self.node.root.open(&run.directory, OFlags::PATH, Links::Refused).ok()?;
            self.node.accounts.run_of(rustix::fs::fstat(found).ok()?.st_uid)
        };
        self.task_command(run, count.or_else(of_owner).unwrap_or(0))
    }

    /// An attempt of a task as a command; `count` counts the attempts of the node.
    pub(crate) fn task_command(&self, run: &Run, count: u64) -> Result<Command, FailureInfo> {
        let spec = &run.task;
        let account = self.node.accounts.choose(spec.user_identity.as_ref(), Some(count))?;
        let facts = CommandFacts {
            task: Some((&run.job_id, &spec.id)),
            directory: &run.directory,
            user: &account.name,
            identity: &account.identity,
            preparation_directory: run.preparation_directory.as_deref(),
            instance: run.instance.as_ref(),
            packages: &run.packages,
            given: [&run.job_environment, &spec.environment_settings],
        };
        let mut variables = variables(&self.facts, &facts);
        if spec.may_use_job() {
            variables.insert(TOKEN.to_owned(), self.tokens.make(&run.attempt));
        }
        let kind = match run.attempt.kind {
            AttemptKind::Task | AttemptKind::Subtask { .. } => TaskKind::Task,
            AttemptKind::Preparation | AttemptKind::Release => TaskKind::Preparation,
        };
        let settings = spec.container_settings.as_ref();
        let container = self.contained(kind, settings, &facts, run.whole_directory())?;
        let limit = spec.constraints.max_wall_clock_time.filter(|limit| *limit != Span::MAX);
        Ok(Command {
            container,
            directory: run.directory.clone(),
            directory_mode: match run.attempt.kind {
                // What it brought is there for the tasks of the job, whoever runs them.
                AttemptKind::Preparation => READABLE_MODE,
                AttemptKind::Task | AttemptKind::Release | AttemptKind::Subtask { .. } => TASK_MODE,
            },
            command_line: spec.command_line.clone(),
            sees: Visibility::Task,
            packages: run.packages.clone(),
            resource_files: spec.resource_files.clone(),
            shared: run.instance.as_ref().map(|instance| {
                (instance.shared_directory.clone(), instance.common_resource_files.clone())
            }),
            streams: match run.attempt.kind {
                // The main command of the primary prints into the same directory.
                AttemptKind::Subtask { number: 0 } => COORDINATION_STREAMS,
                AttemptKind::Task
                | AttemptKind::Preparation
                | AttemptKind::Release
                | AttemptKind::Subtask { .. } => STREAMS,
            },
            coordinates: matches!(run.attempt.kind, AttemptKind::Subtask { .. }),
            output_files: spec.output_files.clone(),
            may_run_again: run.may_run_again,
            variables,
            account,
            slots: if run.slots == 0 { self.slots } else { run.slots },
            time_limit: limit.map(Span::to_std),
        })
    }
}

/// Copies the files of certificates that `settings` name to a place that the node sees, and
/// names that place instead.
fn adopt_certificates(
    settings: &[EnvironmentSetting],
    node: &Node,
) -> std::io::Result<Vec<EnvironmentSetting>> {
    let owner = node.accounts.root().owner;
    let directory = node.root.make(TRUST_DIRECTORY, owner, READABLE_MODE)?;
    let mut adopted = settings.to_vec();
    for setting in &mut adopted {
        let path = Path::new(&setting.value);
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !TRUST_VARIABLES.contains(&setting.name.as_str()) {
            continue;
        }
        let Ok(content) = fs::read(path) else {
            tracing::warn!(name = setting.name, "the file of certificates can not be read");
            continue;
        };
        directory.create(name, owner, 0o644)?.write_all(&content)?;
        setting.value = format!("{}/{TRUST_DIRECTORY}/{name}", node.root_in_view);
    }
    Ok(adopted)
}

/// Shows the program that `settings` name in the node, from where its place on the machine may
/// be out of sight or out of reach, and names that place instead.
fn adopt_program(
    mut settings: Vec<EnvironmentSetting>,
    node: &Node,
) -> std::io::Result<Vec<EnvironmentSetting>> {
    // Only where no user of the node owns the machine's files is a link out of their reach.
    let may_link = match node.kind {
        SetupKind::Namespaces => true,
        SetupKind::Rootless | SetupKind::Plain => false,
    };
    let owner = node.accounts.root().owner;
    for setting in settings.iter_mut().filter(|setting| setting.name == PROGRAM_VARIABLE) {
        let path = Path::new(&setting.value);
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let directory = node.root.make(PROGRAM_DIRECTORY, owner, READABLE_MODE)?;
        directory.adopt(path, name, owner, READABLE_MODE, may_link)?;
        setting.value = format!("{}/{PROGRAM_DIRECTORY}/{name}", node.root_in_view);
    }
    Ok(settings)
}
