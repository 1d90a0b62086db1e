//! The variables of a task's process.

use std::collections::BTreeMap;

use kiln_domain::batch::application::variable_names;
use kiln_domain::batch::command::EnvironmentSetting;
use kiln_wire::node::{Instance, Package};

/// Where programs lie on a machine.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Port that instances of a task are told to find the primary at; nothing listens there by itself.
const PRIMARY_PORT: u16 = 6000;

/// Variables that say how much of the disk tasks must leave free, and the bytes that it is: none,
/// because the agent needs no room of its own.
const RESERVED_VARIABLES: [&str; 2] =
    ["AZ_BATCH_TASK_RESERVED_EPHEMERAL_DISK_SPACE_BYTES", "AZ_BATCH_RESERVED_DISK_SPACE_BYTES"];
const RESERVED_BYTES: &str = "0";

/// What the variables of every command on a node say.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    /// The Batch account's name.
    pub(crate) account_name: String,
    /// The pool's id.
    pub(crate) pool_id: String,
    /// The node's id.
    pub(crate) node_id: String,
    /// Whether it is a dedicated node.
    pub(crate) is_dedicated: bool,
    /// The node's root directory, as the node sees it.
    pub(crate) root: String,
    /// Packages of the pool.
    pub(crate) packages: Vec<Package>,
    /// Variables that the server gives to every command.
    pub(crate) given: Vec<EnvironmentSetting>,
}

/// What the variables of one command say.
#[derive(Clone, Debug)]
pub(crate) struct CommandFacts<'a> {
    /// Job and task; `None` for the start task.
    pub(crate) task: Option<(&'a str, &'a str)>,
    /// Its directory below the node's root.
    pub(crate) directory: &'a str,
    /// Name of its user.
    pub(crate) user: &'a str,
    /// `PoolNonAdmin` and its like.
    pub(crate) identity: &'a str,
    /// Directory of the job's preparation task below the node's root.
    pub(crate) preparation_directory: Option<&'a str>,
    /// Which instance it is of a task that has instances.
    pub(crate) instance: Option<&'a Instance>,
    /// Packages of the task.
    pub(crate) packages: &'a [Package],
    /// Variables of the job, then of the task.
    pub(crate) given: [&'a [EnvironmentSetting]; 2],
}

/// Name of the variable that no two commands of a node share.
pub(crate) const MARK: &str = "AZ_BATCH_TASK_DIR";

/// All variables of a command, in name order. What is given later wins.
pub(crate) fn variables(node: &NodeFacts, command: &CommandFacts<'_>) -> BTreeMap<String, String> {
    let root = &node.root;
    let directory = format!("{root}/{}", command.directory);
    let working_directory = format!("{directory}/wd");
    let shared = format!("{root}/shared");
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        all.insert(name.to_owned(), value.to_owned());
    };
    set("PATH", PATH);
    // A node is a machine of its own: what pip installs there for all, nobody else sees. Debian
    // does not know that.
    set("PIP_BREAK_SYSTEM_PACKAGES", "1");
    set("PIP_ROOT_USER_ACTION", "ignore");
    set("AZ_BATCH_ACCOUNT_NAME", &node.account_name);
    set("AZ_BATCH_POOL_ID", &node.pool_id);
    set("AZ_BATCH_NODE_ID", &node.node_id);
    set("AZ_BATCH_NODE_IS_DEDICATED", if node.is_dedicated { "true" } else { "false" });
    set("AZ_BATCH_NODE_ROOT_DIR", root);
    set("AZ_BATCH_NODE_SHARED_DIR", &shared);
    set("AZ_BATCH_NODE_STARTUP_DIR", &format!("{root}/startup"));
    set("AZ_BATCH_NODE_STARTUP_WORKING_DIR", &format!("{root}/startup/wd"));
    set("AZ_BATCH_NODE_MOUNTS_DIR", &format!("{root}/fsmounts"));
    set(MARK, &directory);
    set("AZ_BATCH_TASK_WORKING_DIR", &working_directory);
    set("AZ_BATCH_CERTIFICATES_DIR", &format!("{directory}/certs"));
    for name in RESERVED_VARIABLES {
        set(name, RESERVED_BYTES);
    }
    set("AZ_BATCH_TASK_USER", command.user);
    set("AZ_BATCH_TASK_USER_IDENTITY", command.identity);
    set("HOME", &working_directory);
    set("PWD", &working_directory);
    set("USER", command.user);
    if let Some((job, task)) = command.task {
        set("AZ_BATCH_JOB_ID", job);
        set("AZ_BATCH_TASK_ID", task);
    }
    if let Some(directory) = command.preparation_directory {
        set("AZ_BATCH_JOB_PREP_DIR", &format!("{root}/{directory}"));
        set("AZ_BATCH_JOB_PREP_WORKING_DIR", &format!("{root}/{directory}/wd"));
    }
    for (name, value) in command.instance.into_iter().flat_map(|it| of_instance(root, it)) {
        set(name, &value);
    }
    for Package { reference, source } in node.packages.iter().chain(command.packages) {
        if let Some(source) = source {
            let place = format!("{root}/applications/{}", source.directory);
            variable_names(reference).iter().for_each(|name| set(name, &place));
        }
    }
    for EnvironmentSetting { name, value } in &node.given {
        set(name, value);
    }
    let path = all.remove("PATH").unwrap_or_default();
    all.insert("PATH".to_owned(), format!("{path}:{shared}:{working_directory}"));
    for EnvironmentSetting { name, value } in command.given.into_iter().flatten() {
        all.insert(name.clone(), value.clone());
    }
    // A name that the kernel can not tell from its value is no name.
    all.retain(|name, _| !name.is_empty() && !name.contains('='));
    all
}

/// What tells an instance of a task about the others.
fn of_instance(root: &str, instance: &Instance) -> [(&'static str, String); 6] {
    let addresses = &instance.addresses;
    let processors: String = addresses.iter().map(|address| format!(" {address} 1")).collect();
    let primary = addresses.first().map_or("", String::as_str);
    [
        ("AZ_BATCH_NODE_LIST", addresses.join(";")),
        ("AZ_BATCH_HOST_LIST", addresses.join(",")),
        ("CCP_NODES", format!("{}{processors}", addresses.len())),
        ("AZ_BATCH_MASTER_NODE", format!("{primary}:{PRIMARY_PORT}")),
        ("AZ_BATCH_IS_CURRENT_NODE_MASTER", (instance.number == 0).to_string()),
        ("AZ_BATCH_TASK_SHARED_DIR", format!("{root}/{}", instance.shared_directory)),
    ]
}

#[cfg(test)]
mod tests {
    use kiln_domain::batch::application::PackageReference;
    use kiln_domain::batch::command::EnvironmentSetting;
    use kiln_wire::node::{Instance, Package, PackageSource};

    use super::{CommandFacts, NodeFacts, variables};

    fn setting(name: &str, value: &str) -> EnvironmentSetting {
        EnvironmentSetting { name: name.to_owned(), value: value.to_owned() }
    }

    fn package(id: &str, version: Option<&str>, directory: &str) -> Package {
        let (application_id, version) = (id.to_owned(), version.map(str::to_owned));
        let reference = PackageReference { application_id, version };
        let (directory, url) = (directory.to_owned(), String::new());
        Package { reference, source: Some(PackageSource { directory, url }) }
    }

    fn node() -> NodeFacts {
        NodeFacts {
            account_name: "kilndev".to_owned(),
            pool_id: "p".to_owned(),
            node_id: "n".to_owned(),
            is_dedicated: true,
            root: "/mnt/batch/tasks".to_owned(),
            packages: vec![package("tool", Some("1.0"), "tool1.0x")],
            given: vec![setting("PATH", "/venv/bin:/bin"), setting("X", "server")],
        }
    }

    #[test]
    fn later_settings_win() {
        let (job, task) = ([setting("X", "job"), setting("Y", "job")], [setting("Y", "task")]);
        let command = CommandFacts {
            task: Some(("j", "t")),
            directory: "workitems/j/job-1/t",
            user: "_azbatch",
            identity: "PoolNonAdmin",
            preparation_directory: Some("workitems/j/job-1/jobpreparation"),
            instance: None,
            packages: &[package("app", None, "app2x")],
            given: [&job, &task],
        };
        let all = variables(&node(), &command);
        let value = |name: &str| all.get(name).map(String::as_str);
        assert_eq!(value("X"), Some("job"));
        assert_eq!(value("Y"), Some("task"));
        assert_eq!(value("AZ_BATCH_JOB_ID"), Some("j"));
        assert_eq!(value("AZ_BATCH_TASK_ID"), Some("t"));
        assert_eq!(value("HOME"), Some("/mnt/batch/tasks/workitems/j/job-1/t/wd"));
        let place = |directory: &str| format!("/mnt/batch/tasks/applications/{directory}");
        for name in ["AZ_BATCH_APP_PACKAGE_tool_1_0", "AZ_BATCH_APP_PACKAGE_TOOL_1_0"] {
            assert_eq!(value(name), Some(place("tool1.0x").as_str()));
        }
        assert_eq!(value("AZ_BATCH_APP_PACKAGE_app"), Some(place("app2x").as_str()));
        let preparation = "/mnt/batch/tasks/workitems/j/job-1/jobpreparation";
        assert_eq!(value("AZ_BATCH_JOB_PREP_DIR"), Some(preparation));
        assert_eq!(
            value("AZ_BATCH_JOB_PREP_WORKING_DIR"),
            Some(format!("{preparation}/wd").as_str())
        );
        assert_eq!(
            value("PATH"),
            Some("/venv/bin:/bin:/mnt/batch/tasks/shared:/mnt/batch/tasks/workitems/j/job-1/t/wd")
        );
    }

    #[test]
    fn instances_know_each_other() {
        let instance = Instance {
            number: 1,
            addresses: vec!["10.0.0.4".to_owned(), "10.0.0.5".to_owned()],
            shared_directory: "workitems/j/job-1/t".to_owned(),
            common_resource_files: Vec::new(),
        };
        let command = CommandFacts {
            task: Some(("j", "t")),
            directory: "workitems/j/job-1/t/1",
            user: "_azbatch",
            identity: "PoolNonAdmin",
            preparation_directory: None,
            instance: Some(&instance),
            packages: &[],
            given: [&[], &[]],
        };
        let all = variables(&node(), &command);
        for (name, value) in [
            ("AZ_BATCH_NODE_LIST", "10.0.0.4;10.0.0.5"),
            ("AZ_BATCH_HOST_LIST", "10.0.0.4,10.0.0.5"),
            ("CCP_NODES", "2 10.0.0.4 1 10.0.0.5 1"),
            ("AZ_BATCH_MASTER_NODE", "10.0.0.4:6000"),
            ("AZ_BATCH_IS_CURRENT_NODE_MASTER", "false"),
            ("AZ_BATCH_TASK_SHARED_DIR", "/mnt/batch/tasks/workitems/j/job-1/t"),
            ("AZ_BATCH_TASK_DIR", "/mnt/batch/tasks/workitems/j/job-1/t/1"),
        ] {
            assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn a_start_task_has_no_job() {
        let command = CommandFacts {
            task: None,
            directory: "startup",
            user: "root",
            identity: "PoolAdmin",
            preparation_directory: None,
            instance: None,
            packages: &[],
            given: [&[], &[]],
        };
        let all = variables(&node(), &command);
        assert!(!all.contains_key("AZ_BATCH_JOB_ID"));
        assert!(!all.contains_key("AZ_BATCH_JOB_PREP_DIR"));
        assert_eq!(
            all.get("AZ_BATCH_TASK_DIR").map(String::as_str),
            Some("/mnt/batch/tasks/startup")
        );
    }
}
