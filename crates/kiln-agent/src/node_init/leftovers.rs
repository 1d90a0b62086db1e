//! Finds what is left of a task where no control group keeps its processes together.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;

use rustix::process::{Pid, Signal, kill_process};

/// Bytes of a process's environment that are searched.
const ENVIRONMENT_BYTES_MAX: u64 = 1024 * 1024;

/// One process, as `/proc` shows it.
struct Seen {
    pid: i32,
    parent: i32,
    session: i32,
}

/// Kills every process of `session`, every one with the variable `mark` in its environment
/// and all their descendants; answers whether there were any.
pub(crate) fn kill(session: Option<i32>, mark: &str) -> bool {
    let seen = processes();
    let mut found: BTreeSet<i32> = seen
        .iter()
        .filter(|process| Some(process.session) == session || has_mark(process.pid, mark))
        .map(|process| process.pid)
        .collect();
    loop {
        let n_found = found.len();
        let children = seen.iter().filter(|process| found.contains(&process.parent));
        let children: Vec<i32> = children.map(|process| process.pid).collect();
        found.extend(children);
        if found.len() == n_found {
            break;
        }
    }
    for pid in found.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that ended meanwhile is what we want; one that is not ours can not be helped.
        let _ended = kill_process(pid, Signal::KILL);
    }
    !found.is_empty()
}

/// All processes but the first, ourselves and those that ended.
fn processes() -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != 1 && *pid != own).filter_map(see).collect()
}

/// `None` when the process ended.
fn see(pid: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut members = rest.split(' ');
    let state = members.next()?;
    let parent = members.next()?.parse().ok()?;
    let session = members.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Seen { pid, parent, session })
}

fn has_mark(pid: i32, mark: &str) -> bool {
    let mut environment = Vec::new();
    let Ok(file) = File::open(format!("/proc/{pid}/environ")) else {
        return false;
    };
    // A process that ends or that we may not look into has no mark.
    if file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment).is_err() {
        return false;
    }
    environment.split(|byte| *byte == 0).any(|setting| setting == mark.as_bytes())
}
