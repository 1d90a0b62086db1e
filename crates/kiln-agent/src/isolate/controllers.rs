//! Where groups of nodes lie in the control groups of version 2, and which controllers they get.
//!
//! A group whose own processes are not in groups below can not share out what most controllers
//! count. Where all processes of the agent's group are Kiln's, they are therefore moved to one
//! below; nobody else's are touched.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::limits::Controller;

/// Where the kernel tells which control group a process is in, and what is mounted.
const OWN_GROUP: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";
/// Name of the group to which Kiln moves its own processes.
const AGENTS: &str = "kiln-agents";

/// Where the agent's own control group lies in the file system, or the one above it if Kiln
/// made that for itself.
pub(crate) fn own_directory() -> io::Result<PathBuf> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let mounts = fs::read_to_string(MOUNTS)?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten()
    });
    let groups = fs::read_to_string(OWN_GROUP)?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(missing)?;
    let own = own.strip_suffix(AGENTS).unwrap_or(own).trim_end_matches('/');
    Ok(Path::new(mount.ok_or_else(missing)?).join(own))
}

/// The controllers that the groups below `above` have.
pub(crate) fn enabled(above: &Path) -> Vec<Controller> {
    listed(&above.join("cgroup.subtree_control"))
}

/// The controllers that the groups below `above` have or could be given; changes nothing.
pub(crate) fn can_enable(above: &Path) -> Vec<Controller> {
    let may_write =
        rustix::fs::access(above.join("cgroup.subtree_control"), rustix::fs::Access::WRITE_OK);
    if may_write.is_err() {
        return Vec::new();
    }
    let has_room = own_processes(above).is_ok() || !above.join("cgroup.type").exists();
    if has_room { listed(&above.join("cgroup.controllers")) } else { enabled(above) }
}

/// Lets the groups below `above` have `wanted`, as far as that can be; answers which they have.
pub(crate) fn enable(above: &Path, wanted: &[Controller]) -> Vec<Controller> {
    let names: Vec<&str> = wanted.iter().map(|controller| controller.name()).collect();
    if let Err(error) = enable_named(above, &names) {
        tracing::info!(%error, group = %above.display(), "tasks can not be limited");
    }
    enabled(above)
}

fn enable_named(above: &Path, wanted: &[&str]) -> io::Result<()> {
    let available = fs::read_to_string(above.join("cgroup.controllers"))?;
    let present = fs::read_to_string(above.join("cgroup.subtree_control"))?;
    let has = |list: &str, name: &str| list.split_whitespace().any(|listed| listed == name);
    let missing: Vec<String> = wanted
        .iter()
        .filter(|name| has(&available, name) && !has(&present, name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let enable = || fs::write(above.join("cgroup.subtree_control"), missing.join(" "));
    match enable() {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            move_own_down(above)?;
            enable()
        }
        done => done,
    }
}

/// The processes of `above`, if all of them are Kiln's.
fn own_processes(above: &Path) -> io::Result<Vec<String>> {
    let processes = fs::read_to_string(above.join("cgroup.procs"))?;
    let program = |process: &str| {
        let found = fs::metadata(format!("/proc/{process}/exe"))?;
        Ok::<_, io::Error>((found.dev(), found.ino()))
    };
    let own = program("self")?;
    for process in processes.lines() {
        if program(process)? != own {
            let text = format!("process {process} of the same control group is not Kiln's");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
    }
    Ok(processes.lines().map(str::to_owned).collect())
}

/// Moves the processes of `above` to a group below, if all of them are Kiln's.
fn move_own_down(above: &Path) -> io::Result<()> {
    let processes = own_processes(above)?;
    let below = above.join(AGENTS);
    match fs::create_dir(&below) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for process in processes {
        fs::write(below.join("cgroup.procs"), process)?;
    }
    Ok(())
}

fn listed(path: &Path) -> Vec<Controller> {
    let list = fs::read_to_string(path).unwrap_or_default();
    let is_listed =
        |controller: &Controller| list.split_whitespace().any(|name| name == controller.name());
    Controller::ALL.into_iter().filter(is_listed).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::path::PathBuf;

    use super::{AGENTS, enable_named, own_directory};

    /// A group that goes with the test, which is moved out of it.
    struct Group(PathBuf);

    impl Drop for Group {
        fn drop(&mut self) {
            let own = std::process::id().to_string();
            let above = self.0.parent().expect("it lies in one");
            fs::write(above.join("cgroup.procs"), own).expect("allowed");
            let _absent = fs::remove_dir(self.0.join(AGENTS));
            fs::remove_dir(&self.0).expect("empty");
        }
    }

    #[test]
    fn own_processes_make_room_for_controllers() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let above = own_directory().expect("mounted");
        let before = fs::read_to_string(above.join("cgroup.subtree_control")).expect("readable");
        let available = fs::read_to_string(above.join("cgroup.controllers")).expect("readable");
        let Some(name) = available.split_whitespace().next().map(str::to_owned) else { return };
        let had = before.split_whitespace().any(|it| it == name);
        if enable_named(&above, &[&name]).is_err() {
            return;
        }
        {
            let group = Group(above.join(format!("kiln-test-{}", std::process::id())));
            fs::create_dir(&group.0).expect("made");
            let own = std::process::id().to_string();
            fs::write(group.0.join("cgroup.procs"), &own).expect("allowed");
            assert_eq!(own_directory().expect("there"), group.0);
            let enabled = enable_named(&group.0, &[&name]);
            // Some controllers do not mind processes beside groups.
            assert!(enabled.is_ok(), "{enabled:?}");
            let now = fs::read_to_string(group.0.join("cgroup.subtree_control"));
            assert_eq!(now.expect("readable").trim(), name);
            assert_eq!(own_directory().expect("there"), group.0);
            fs::write(group.0.join("cgroup.subtree_control"), format!("-{name}")).expect("off");
        }
        if !had {
            fs::write(above.join("cgroup.subtree_control"), format!("-{name}")).expect("off");
        }
        // A controller that the kernel does not have is none to wait for.
        let none: io::Result<()> = enable_named(&above, &["no-such-controller"]);
        assert!(none.is_ok());
    }
}
