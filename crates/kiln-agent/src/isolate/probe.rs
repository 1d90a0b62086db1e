//! What works on this machine, and what to do about what does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use super::limits::Controller;
use super::{controllers, seats};
use crate::containers::RUNTIMES;

/// Where programs lie.
const PLACES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Something that a node can make use of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is.
    pub name: &'static str,
    /// Whether it works here.
    pub is_available: bool,
    /// What it is for, or what to do to have it.
    pub advice: String,
}

/// Looks around; changes nothing.
pub fn probe() -> Vec<Capability> {
    let is_root = geteuid().is_root();
    let check = |name, is_available, good: &str, bad: &str| Capability {
        name,
        is_available,
        advice: if is_available { good.to_owned() } else { bad.to_owned() },
    };
    vec![
        check(
            "root",
            is_root,
            "nodes get the whole machine's view and users of their own",
            "run Kiln as root for nodes in which packages can be installed",
        ),
        check(
            "user namespaces",
            has_user_namespaces(),
            "nodes are kept apart from the machine",
            "allow them: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and \
             kernel.apparmor_restrict_unprivileged_userns",
        ),
        check(
            "overlay file system",
            has_file_system("overlay"),
            "what a node writes stays in the node",
            "load it: modprobe overlay",
        ),
        check(
            "mounts with translated owners",
            is_root && kernel_is_at_least(5, 19),
            "a node's root user owns what root owns, in its view only",
            "needs root and a kernel from 5.19 on",
        ),
        check(
            "control groups, version 2",
            can_make_group(),
            "a task and all it started are killed at once",
            "mount cgroup2 at /sys/fs/cgroup and give Kiln a group it may divide; processes are \
             searched until then",
        ),
        limit_check(
            Controller::Processes,
            "limits on processes",
            "a task can not start without end",
        ),
        limit_check(Controller::Memory, "limits on memory", "`--slot-memory` limits tasks"),
        limit_check(
            Controller::Processor,
            "limits on processors",
            "`--slot-processors` limits tasks",
        ),
        check(
            "users of their own",
            geteuid().is_root(),
            "tasks run as users that only their node has",
            "run Kiln as root; until then all tasks of a node are you",
        ),
        containers(),
    ]
}

/// Whether commands can be limited, by either version of control groups.
fn limit_check(controller: Controller, name: &'static str, good: &str) -> Capability {
    let by_version_2 = controllers::own_directory()
        .is_ok_and(|own| controllers::can_enable(&own).contains(&controller));
    let is_available = by_version_2 || seats::has(controller);
    let bad = format!(
        "needs the controller `{}` of control groups, in a group that Kiln may divide (a systemd \
         service has one with Delegate=yes)",
        controller.name()
    );
    let advice = if is_available { good.to_owned() } else { bad };
    Capability { name, is_available, advice }
}

fn has_user_namespaces() -> bool {
    let number = |path: &str| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let is_on = |path: &str| number(path).unwrap_or(1) > 0;
    let is_root = geteuid().is_root();
    is_on("/proc/sys/user/max_user_namespaces")
        && (is_root || is_on("/proc/sys/kernel/unprivileged_userns_clone"))
        && (is_root
            || number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").unwrap_or(0) == 0)
        && Path::new("/proc/self/ns/user").exists()
}

fn has_file_system(name: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().next_back() == Some(name))
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= (major, minor)
}

fn can_make_group() -> bool {
    let Ok(directory) = controllers::own_directory() else {
        return false;
    };
    let access = rustix::fs::Access::WRITE_OK;
    rustix::fs::access(&directory, access).is_ok() && kernel_is_at_least(5, 14)
}

/// Whether what runs containers is there. Whether it works is found out on each node that is to
/// run some.
fn containers() -> Capability {
    let runtime = RUNTIMES.iter().find_map(|name| find(name));
    let (is_available, advice) = match (find("podman"), runtime) {
        (Some(podman), Some(runtime)) => {
            let versions = [podman, runtime].map(|program| version(&program));
            (true, format!("pools may have a containerConfiguration: {}", versions.join(", ")))
        }
        (None, Some(_)) => (false, "install podman: apt-get install podman".to_owned()),
        (_, None) => (false, "install podman and crun: apt-get install podman crun".to_owned()),
    };
    Capability { name: "containers", is_available, advice }
}

/// Where a program lies.
fn find(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())
}

/// What a program calls itself.
#[expect(clippy::disallowed_methods, reason = "only the program knows its version")]
fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let said = said.unwrap_or_default();
    said.lines().next().map_or_else(|| program.display().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_has_advice() {
        for capability in super::probe() {
            assert!(!capability.advice.is_empty(), "{}", capability.name);
        }
    }
}
