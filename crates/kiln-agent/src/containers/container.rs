//! The container of one command: made before the command is started, removed after it ended.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kiln_domain::batch::container::{
    ContainerInfo, ContainerSettings, Image, RunOptions, WorkingDirectory,
};
use kiln_domain::batch::task::FailureInfo;
use serde::Deserialize;

use super::engine::{self, Engine};
use super::mounts::{self, Places};
use super::visitor::Visitor;
use super::{does_not_fit, variables};
use crate::account::Account;

/// Time for making or removing a container, in seconds.
const STEP_SECONDS_MAX: u64 = 120;
/// What the engine says of a container before anything ran in it.
const CREATED: &str = "created";
const RUNNING: &str = "running";
const EXITED: &str = "exited";
/// What the engine's time says of a container in which nothing ran.
const NEVER: &str = "0001-01-01";
/// Exit codes by which the engine may mean its own failure.
pub(crate) const ENGINE_EXIT_CODES: std::ops::RangeInclusive<i32> = 125..=127;
/// Words of the engine about a program that is not in the image.
const NOT_FOUND: [&str; 2] = ["command that was not found", "executable file"];

/// What a command wants of its container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    /// The program and its arguments; the image's own when empty.
    pub(crate) command_line: &'a str,
    /// Variables of the command.
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Names of those that the user chose.
    pub(crate) given: &'a [String],
    /// Who runs it.
    pub(crate) account: &'a Account,
    /// Where the command and its like are.
    pub(crate) places: Places<'a>,
    /// Its own directory, below the node's root.
    pub(crate) directory: &'a str,
    /// Whether what it starts is to outlive it.
    pub(crate) coordinates: bool,
}

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    engine: Arc<Engine>,
    /// The directory of its command, under which it is found while it runs; none when a shell
    /// runs in it.
    directory: Option<String>,
    /// The directory, below the engine's, with what it was made of.
    asked: String,
    id: String,
    state: &'static str,
    error: String,
    is_removed: bool,
}

/// What the engine tells of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Told {
    started_at: String,
    error: String,
}

/// Names the directories of orders.
static N_ORDERS: AtomicU64 = AtomicU64::new(0);

impl Container {
    /// Makes a container of an image that is there.
    pub(super) async fn make(
        engine: &Arc<Engine>,
        image: &Image,
        settings: &ContainerSettings,
        order: Order<'_>,
        visitor: Option<&Visitor<'_>>,
    ) -> Result<Self, FailureInfo> {
        let options = options_of(settings)?;
        let command = match visitor {
            None => shell_words::split(order.command_line)
                .map_err(|error| does_not_fit(&error.to_string()))?,
            Some(_) => Vec::new(),
        };
        let asked = format!("asked/{}", N_ORDERS.fetch_add(1, Ordering::Relaxed));
        let mut made = Self {
            engine: Arc::clone(engine),
            directory: visitor.is_none().then(|| order.directory.to_owned()),
            asked,
            id: String::new(),
            state: CREATED,
            error: String::new(),
            is_removed: false,
        };
        let words = made.write(image, settings, &order, options, visitor).map_err(failed)?;
        let words = words.into_iter().chain(command).collect::<Vec<_>>();
        // Beside the command, whose end may be asked for: what was made must be known.
        let (answer, answered) = tokio::sync::oneshot::channel();
        engine.beside(async move {
            let created = made.create(&words).await;
            if let Err((mut unwanted, _)) = answer.send((made, created)) {
                unwanted.remove().await;
            }
        });
        match answered.await {
            Ok((made, Ok(()))) => Ok(made),
            Ok((mut made, Err(detail))) => {
                made.remove().await;
                Err(does_not_fit(&detail))
            }
            Err(broken) => Err(failed(io::Error::other(broken))),
        }
    }

    /// Writes down what must not be seen in a list of processes; answers the other words.
    fn write(
        &self,
        image: &Image,
        settings: &ContainerSettings,
        order: &Order<'_>,
        options: RunOptions,
        visitor: Option<&Visitor<'_>>,
    ) -> io::Result<Vec<String>> {
        let node = self.engine.podman.node();
        let owner = node.accounts.root().owner;
        let directory = node.engine.make(&self.asked, owner, 0o700)?;
        let place = format!("{}/{}", node.engine_in_view, self.asked);
        let mounts = mounts::of(settings, &order.places);
        let mut all = variables::of(order.variables, order.given, order.places.root, &mounts);
        all.extend(options.variables);
        let (lines, list) = variables::files(&all);
        let write = |name: &str, text: &str| -> io::Result<()> {
            directory.create(name, owner, 0o600)?.write_all(text.as_bytes())
        };
        write("environment", &lines)?;
        write("containers.conf", &format!("{}{list}", engine::SETTINGS))?;
        let mut words = vec!["create".to_owned()];
        words.extend(self.engine.arguments(order.coordinates));
        words.push(format!("--cidfile={place}/id"));
        words.push(format!("--env-file={place}/environment"));
        words.extend(user_arguments(order.account));
        words.extend(mounts.iter().map(mounts::Mount::argument));
        if settings.working_directory == WorkingDirectory::TaskWorkingDirectory {
            words.push(format!("--workdir={}/{}/wd", order.places.root, order.directory));
        }
        words.extend(options.arguments);
        words.extend(visitor.into_iter().flat_map(Visitor::instead));
        words.push(image.to_string());
        Ok(words)
    }

    async fn create(&mut self, words: &[String]) -> Result<(), String> {
        let time = Duration::from_secs(STEP_SECONDS_MAX);
        let settings = format!("{}/containers.conf", self.asked);
        let words = words.iter().map(String::as_str);
        engine::said(self.engine.podman.call_with(&settings, words, time).await)?;
        self.id = self.read_id().map_err(|error| error.to_string())?;
        Ok(())
    }

    fn read_id(&self) -> io::Result<String> {
        let node = self.engine.podman.node();
        let file = node.engine.open(
            &format!("{}/id", self.asked),
            rustix::fs::OFlags::RDONLY,
            kiln_files::Links::Refused,
        )?;
        Ok(io::read_to_string(std::fs::File::from(file))?.trim().to_owned())
    }

    /// The words and the variables that run it: they end as it does.
    pub(crate) fn start(&mut self) -> (Vec<String>, Vec<String>) {
        self.state = RUNNING;
        if let Some(directory) = &self.directory {
            self.engine.begun(directory, &self.id);
        }
        let heard = self.directory.is_none().then_some("--interactive");
        let words = ["start", "--attach", "--sig-proxy=false"];
        self.engine.podman.words(words.into_iter().chain(heard).chain([self.id.as_str()]))
    }

    /// What ran in it ended with this exit code; answers why nothing did, if so.
    pub(crate) async fn on_exited(&mut self, exit_code: i32) -> Option<FailureInfo> {
        self.state = EXITED;
        if let Some(directory) = &self.directory {
            self.engine.ended(directory);
        }
        if !ENGINE_EXIT_CODES.contains(&exit_code) {
            return None;
        }
        let time = Duration::from_secs(STEP_SECONDS_MAX);
        let words = ["container", "inspect", "--format={{json .State}}", &self.id];
        let told = match engine::said(self.engine.podman.call(words, time).await) {
            Ok(told) => serde_json::from_str::<Told>(&told).unwrap_or_default(),
            Err(error) => Told { started_at: NEVER.to_owned(), error },
        };
        if !told.started_at.starts_with(NEVER) {
            return None;
        }
        self.state = CREATED;
        self.error = told.error;
        Some(self.diagnose(exit_code).await)
    }

    /// Why nothing runs in it: the engine says so when it is asked to try again, and only then.
    async fn diagnose(&mut self, exit_code: i32) -> FailureInfo {
        if self.error.is_empty() {
            let time = Duration::from_secs(STEP_SECONDS_MAX);
            let tried = self.engine.podman.call(["init", &self.id], time).await;
            self.error = engine::said(tried).err().unwrap_or_default();
        }
        let is_missing = NOT_FOUND.iter().any(|words| self.error.contains(words));
        let (code, message) = if is_missing {
            ("CommandProgramNotFound", "The specified command program is not found")
        } else {
            ("CommandLaunchFailed", "Failed to launch the specified command line")
        };
        FailureInfo::user_error(code, message)
            .with_detail("Message", self.error.as_str())
            .with_detail("AdditionalErrorCode", exit_code.to_string())
    }

    /// What clients are told of it.
    pub(crate) fn info(&self) -> ContainerInfo {
        ContainerInfo {
            container_id: self.id.clone(),
            state: self.state.to_owned(),
            error: self.error.clone(),
        }
    }

    /// Removes it with all that runs in it, and what it was made of.
    pub(crate) async fn remove(&mut self) {
        if self.is_removed {
            return;
        }
        if self.state == RUNNING {
            self.state = EXITED;
        }
        if let Some(directory) = &self.directory {
            self.engine.ended(directory);
        }
        let id =
            if self.id.is_empty() { self.read_id().unwrap_or_default() } else { self.id.clone() };
        if !id.is_empty() {
            let time = Duration::from_secs(STEP_SECONDS_MAX);
            let words = ["rm", "--force", "--volumes", "--ignore", "--time=0", &id];
            if let Err(detail) = engine::said(self.engine.podman.call(words, time).await) {
                tracing::error!(detail, id, "a container can not be removed");
            }
        }
        let node = self.engine.podman.node();
        let removed = engine::asked(node).and_then(|asked| {
            let name = Path::new(&self.asked).file_name().and_then(|name| name.to_str());
            asked.remove_all(name.unwrap_or_default())
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "what a container was made of stays until the node ends");
        }
        self.is_removed = true;
    }
}

fn options_of(settings: &ContainerSettings) -> Result<RunOptions, FailureInfo> {
    let text = settings.container_run_options.as_deref().unwrap_or_default();
    let words = shell_words::split(text).map_err(|error| does_not_fit(&error.to_string()))?;
    RunOptions::parse(&words).map_err(|fault| does_not_fit(&fault.to_string()))
}

/// Who runs the program: administrators are root in their container, where nobody knows `sudo`.
fn user_arguments(account: &Account) -> Vec<String> {
    match account.id {
        _ if account.is_admin => vec!["--user=0:0".to_owned()],
        Some(id) => {
            vec![format!("--user={}:{}", id.uid, id.gid), format!("--group-add={}", id.shared_gid)]
        }
        None => vec!["--user=0:0".to_owned()],
    }
}

fn failed(error: io::Error) -> FailureInfo {
    super::engine_failed(&error.to_string())
}
