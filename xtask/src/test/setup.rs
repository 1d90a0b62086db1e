//! What the checks need from the machine, and how to get it.

use crate::program;
use crate::report::{self, Outcome};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Something the checks need, how to see that it is there, and the packages that bring it.
struct Need {
    probe: &'static [&'static str],
    packages: &'static [&'static str],
    without_it: &'static str,
}

const NEEDS: [Need; 10] = [
    Need {
        probe: &["/usr/bin/python3", "-c", "import venv, ensurepip"],
        packages: &["python3", "python3-venv"],
        without_it: "no /usr/bin/python3 with venv: the clients step has no Python to run",
    },
    Need {
        probe: &["/usr/bin/python3", "-m", "pip", "--version"],
        packages: &["python3-pip"],
        without_it: "no pip of /usr/bin/python3: start tasks that call it fetch it first",
    },
    Need {
        probe: &["node", "--version"],
        packages: &["nodejs"],
        without_it: "no node: the JavaScript client is left out",
    },
    Need {
        probe: &["npm", "--version"],
        packages: &["npm"],
        without_it: "no npm: the JavaScript client is left out",
    },
    Need {
        probe: &["curl", "--version"],
        packages: &["curl"],
        without_it: "no curl: task command lines that fetch with it are not tested",
    },
    Need {
        probe: &["cc", "--version"],
        packages: &["build-essential"],
        without_it: "no C compiler: SQLite cannot be built",
    },
    Need {
        probe: &["c++", "--version"],
        packages: &["build-essential"],
        without_it: "no C++ compiler: the fuzzers cannot be built",
    },
    Need {
        probe: &["podman", "--version"],
        packages: &["podman"],
        without_it: "no podman: tasks in containers are not tested",
    },
    Need {
        probe: &["crun", "--version"],
        packages: &["crun"],
        without_it: "no crun: tasks in containers are not tested",
    },
    Need {
        probe: &["/bin/busybox", "true"],
        packages: &["busybox-static"],
        without_it: "no busybox: there is nothing to put into an image, so no tests of containers",
    },
];

/// What this machine lacks, one line each; nothing here fails by itself.
pub(crate) fn shortcomings(root: &Path) -> Vec<String> {
    let mut notes: Vec<String> = NEEDS
        .iter()
        .filter(|need| !is_met(need, root))
        .map(|need| format!("{} (`--setup` installs it)", need.without_it))
        .collect();
    if !is_root() && !allows_user_namespaces() {
        notes.push(
            "neither root nor user namespaces: nodes run as plain processes, \
             and tests of their isolation are left out"
                .to_owned(),
        );
    }
    notes
}

/// Installs what is missing with `apt-get`.
pub(crate) fn install(root: &Path) -> Outcome {
    let packages: Vec<&str> = NEEDS
        .iter()
        .filter(|need| !is_met(need, root))
        .flat_map(|need| need.packages.iter().copied())
        .collect();
    if packages.is_empty() {
        return Outcome::Passed;
    }
    if !is_root() {
        return Outcome::Skipped(format!("needs root to install {}", packages.join(" ")));
    }
    if !program::works(program::command("apt-get", root).arg("--version")) {
        return Outcome::Skipped(format!("no apt-get to install {}", packages.join(" ")));
    }
    report::say(&format!("installing {}", packages.join(" ")));
    let result = apt_get(root, &["update"]).and_then(|()| {
        let mut asked = vec!["install", "--yes", "--no-install-recommends"];
        asked.extend(packages);
        apt_get(root, &asked)
    });
    match result {
        Ok(()) => Outcome::Passed,
        Err(why) => Outcome::Failed(why),
    }
}

fn apt_get(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = program::command("apt-get", root);
    command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    program::run_quietly(&mut command).map(drop)
}

fn is_met(need: &Need, root: &Path) -> bool {
    need.probe.split_first().is_none_or(|(name, arguments)| {
        program::works(program::command(name, root).args(arguments))
    })
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn allows_user_namespaces() -> bool {
    program::works(program::command("unshare", Path::new("/")).args(["--user", "true"]))
}
