//! What pools offer and tasks ask for, and whether they may.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::image::registry_name;
use crate::batch::command::IdentityReference;
use crate::batch::pool::PoolSpec;
use crate::rejection::Rejection;

/// What the rules and the nodes read of the machines that a pool asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualMachineSpec {
    /// Whether and how its nodes run containers.
    pub container_configuration: Option<ContainerConfiguration>,
}

/// How the nodes of a pool run containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerConfiguration {
    /// What the client thinks runs them.
    #[serde(rename = "type")]
    pub kind: ContainerKind,
    /// Images that are fetched when a node joins.
    #[serde(default)]
    pub container_image_names: Vec<String>,
    /// Registries that want to know who asks.
    #[serde(default)]
    pub container_registries: Vec<ContainerRegistry>,
}

/// What a client thinks runs containers; nodes treat all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ContainerKind {
    /// Docker, or something like it.
    DockerCompatible,
    /// Something that Kubernetes could use.
    CriCompatible,
}

/// A registry, and who asks it. Its password is never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerRegistry {
    /// Its host; Docker's own when absent.
    pub registry_server: Option<String>,
    /// Who asks.
    #[serde(rename = "username")]
    pub user_name: Option<String>,
    /// What proves it.
    pub password: Option<String>,
    /// An identity of the pool that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_reference: Option<IdentityReference>,
}

/// The container that a task runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerSettings {
    /// The image, as the client calls it.
    pub image_name: String,
    /// More options, in the words of `docker create`.
    pub container_run_options: Option<String>,
    /// The registry of the image, if the pool does not know it.
    pub registry: Option<ContainerRegistry>,
    /// Where the command begins.
    pub working_directory: WorkingDirectory,
    /// What it sees of its node; all of the node's root directory when absent.
    pub container_host_batch_bind_mounts: Option<Vec<BindMount>>,
}

/// Where the command of a container begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkingDirectory {
    /// In the working directory of the task.
    #[default]
    TaskWorkingDirectory,
    /// Where the image says.
    ContainerImageDefault,
}

/// A directory of the node that a container sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindMount {
    /// Which; none when absent.
    pub source: Option<HostPath>,
    /// Whether it can not write there.
    #[serde(default)]
    pub is_read_only: bool,
}

/// A directory of a node, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPath {
    /// What all tasks of the node share.
    Shared,
    /// The start task's.
    Startup,
    /// What the pool mounts.
    VfsMounts,
    /// The task's own.
    Task,
    /// The job preparation task's.
    JobPrep,
    /// Packages.
    Applications,
}

/// What became of the container of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerInfo {
    /// The engine's name of it.
    pub container_id: String,
    /// The engine's word for where it stands.
    pub state: String,
    /// What went wrong, in the engine's words; empty when nothing did.
    pub error: String,
}

/// What a command is, to the rule that pools of containers run nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// A task, or the manager of a job.
    Task,
    /// What prepares or clears a node for a job.
    Preparation,
}

impl ContainerRegistry {
    /// Its host.
    pub fn host(&self) -> String {
        registry_name(self.registry_server.as_deref().unwrap_or_default())
    }

    /// Who asks, and what proves it.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        Some((self.user_name.as_deref()?, self.password.as_deref().unwrap_or_default()))
    }
}

impl fmt::Debug for ContainerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerRegistry")
            .field("registry_server", &self.registry_server)
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

impl ContainerSettings {
    /// Whether the container sees the directory of its task.
    pub fn sees_task(&self) -> bool {
        let mounts = self.container_host_batch_bind_mounts.as_ref();
        mounts.is_none_or(|mounts| mounts.iter().any(|it| it.source == Some(HostPath::Task)))
    }
}

/// Whether a pool may run containers so.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit_pool(spec: &PoolSpec) -> Result<(), Rejection> {
    const NAME: &str = "virtualMachineConfiguration.containerConfiguration";
    let start = spec.start_task.as_ref().and_then(|task| task.container_settings.as_ref());
    admit_settings("startTask.containerSettings", start)?;
    let Some(configuration) = spec.containers() else {
        return match start {
            Some(settings) => Err(not_offered("startTask.containerSettings", settings)),
            None => Ok(()),
        };
    };
    for image in &configuration.container_image_names {
        check_image(&format!("{NAME}.containerImageNames"), image)?;
    }
    let mut hosts = Vec::new();
    for registry in &configuration.container_registries {
        check_registry(&format!("{NAME}.containerRegistries"), registry)?;
        let host = registry.host();
        if hosts.contains(&host) {
            let name = format!("{NAME}.containerRegistries.registryServer");
            return Err(Rejection::property(name, host, "No registry may be there twice"));
        }
        hosts.push(host);
    }
    Ok(())
}

/// Whether a container may be asked for so in the member `name`, whatever its pool offers.
///
/// # Errors
/// When a member breaks a rule.
pub fn admit_settings(name: &str, settings: Option<&ContainerSettings>) -> Result<(), Rejection> {
    let Some(settings) = settings else { return Ok(()) };
    check_image(&format!("{name}.imageName"), &settings.image_name)?;
    if let Some(registry) = &settings.registry {
        check_registry(&format!("{name}.registry"), registry)?;
    }
    let mounts = settings.container_host_batch_bind_mounts.iter().flatten();
    if mounts.clone().any(|mount| mount.source.is_none()) {
        let name = format!("{name}.containerHostBatchBindMounts.source");
        return Err(Rejection::MissingProperty { name });
    }
    match settings.working_directory {
        WorkingDirectory::TaskWorkingDirectory if !settings.sees_task() => {
            Err(Rejection::property(
                format!("{name}.workingDirectory"),
                "taskWorkingDirectory",
                "A container that does not see its task's directory begins in \
                 containerImageDefault",
            ))
        }
        WorkingDirectory::TaskWorkingDirectory | WorkingDirectory::ContainerImageDefault => Ok(()),
    }
}

/// Whether a command with these settings, in the member `name`, may run on the nodes of a pool
/// that runs containers so, or not at all.
///
/// # Errors
/// When it wants a container that the pool does not offer, or must have one and has none.
pub fn admit_to_pool(
    name: &str,
    kind: TaskKind,
    settings: Option<&ContainerSettings>,
    offered: Option<&ContainerConfiguration>,
) -> Result<(), Rejection> {
    match (offered, settings, kind) {
        (None, Some(settings), _) => Err(not_offered(name, settings)),
        (Some(_), None, TaskKind::Task) => {
            let reason = "The pool has a containerConfiguration, so its tasks run in containers";
            Err(Rejection::property(name, "null", reason))
        }
        (Some(_), None, TaskKind::Preparation) | (Some(_), Some(_), _) | (None, None, _) => Ok(()),
    }
}

fn not_offered(name: &str, settings: &ContainerSettings) -> Rejection {
    let reason = "The pool has no containerConfiguration, so it runs no containers";
    Rejection::property(name, &settings.image_name, reason)
}

fn check_image(name: &str, image: &str) -> Result<(), Rejection> {
    if image.is_empty() {
        return Err(Rejection::property(name, image, "An image has a name"));
    }
    // Whether there is an image of that name is found out on the node.
    Ok(())
}

fn check_registry(name: &str, registry: &ContainerRegistry) -> Result<(), Rejection> {
    match (registry.credentials(), &registry.identity_reference) {
        (Some(_), Some(_)) => Err(Rejection::property(
            format!("{name}.username"),
            registry.user_name.as_deref().unwrap_or_default(),
            "username and identityReference exclude each other",
        )),
        (Some(_) | None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ContainerRegistry, ContainerSettings, TaskKind};
    use crate::batch::pool::PoolSpec;
    use crate::rejection::Rejection;

    fn said(result: Result<(), Rejection>) -> String {
        result.map_or_else(|rejection| rejection.to_string(), |()| "fine".to_owned())
    }

    fn pool(members: &str) -> PoolSpec {
        serde_json::from_str(&format!(r#"{{"id":"p"{members}}}"#)).expect("a pool")
    }

    const CONTAINERS: &str = r#","virtualMachineConfiguration":{"containerConfiguration":
        {"type":"dockerCompatible","containerImageNames":["a"]}}"#;

    #[track_caller]
    fn check_pool(members: &str, expected: &str) {
        let said = said(super::admit_pool(&pool(members)));
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn pools_offer_containers_or_do_not() {
        check_pool("", "fine");
        check_pool(CONTAINERS, "fine");
        let start = r#","startTask":{"commandLine":"a","containerSettings":{"imageName":"i"}}"#;
        check_pool(start, "`startTask.containerSettings` cannot be `i`");
        check_pool(&format!("{CONTAINERS}{start}"), "fine");
        let with = |rest: &str| {
            let containers = format!(r#"{{"type":"criCompatible",{rest}}}"#);
            format!(r#","virtualMachineConfiguration":{{"containerConfiguration":{containers}}}"#)
        };
        check_pool(&with(r#""containerImageNames":[""]"#), "containerImageNames` cannot be ``");
        let twice = r#""containerRegistries":[{"username":"u","password":"p"},
            {"registryServer":"https://index.docker.io/v1/","username":"u","password":"p"}]"#;
        check_pool(&with(twice), "registryServer` cannot be `docker.io`");
        let both = r#""containerRegistries":[{"username":"u","identityReference":{}}]"#;
        check_pool(&with(both), "exclude each other");
    }

    #[track_caller]
    fn check(settings: &str, expected: &str) {
        let settings: ContainerSettings = serde_json::from_str(settings).expect("settings");
        let said = said(super::admit_settings("containerSettings", Some(&settings)));
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn a_container_is_asked_for_in_its_own_rules() {
        check(r#"{"imageName":"busybox"}"#, "fine");
        check(r#"{"imageName":""}"#, "`containerSettings.imageName` cannot be ``");
        let mounts = |mounts: &str, more: &str| {
            format!(r#"{{"imageName":"a","containerHostBatchBindMounts":{mounts}{more}}}"#)
        };
        let elsewhere = r#","workingDirectory":"containerImageDefault""#;
        check(&mounts("null", ""), "fine");
        check(&mounts("[]", elsewhere), "fine");
        check(&mounts("[]", ""), "begins in containerImageDefault");
        check(&mounts(r#"[{"source":"Shared"}]"#, ""), "begins in containerImageDefault");
        check(&mounts(r#"[{"source":"Task","isReadOnly":true}]"#, ""), "fine");
        check(&mounts("[{}]", elsewhere), "containerHostBatchBindMounts.source` is missing");
    }

    #[test]
    fn pools_of_containers_run_nothing_else() {
        let settings = ContainerSettings { image_name: "i".to_owned(), ..Default::default() };
        let (plain, containers) = (pool(""), pool(CONTAINERS));
        let check = |kind, settings: Option<&ContainerSettings>, pool: &PoolSpec| {
            super::admit_to_pool("containerSettings", kind, settings, pool.containers()).is_ok()
        };
        for kind in [TaskKind::Task, TaskKind::Preparation] {
            assert!(check(kind, None, &plain));
            assert!(!check(kind, Some(&settings), &plain));
            assert!(check(kind, Some(&settings), &containers));
            assert_eq!(check(kind, None, &containers), kind == TaskKind::Preparation);
        }
    }

    #[test]
    fn passwords_of_registries_are_not_printed() {
        let registry = ContainerRegistry {
            user_name: Some("me".to_owned()),
            password: Some("hush".to_owned()),
            ..Default::default()
        };
        let printed = format!("{registry:?}");
        assert!(printed.contains("me") && !printed.contains("hush"), "{printed}");
    }
}
